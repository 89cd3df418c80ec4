"""The published gene lists against the texts they were read from."""

import json

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import builtin
from stainscript.genes.panels import printed

SIZES = {
    "genar/her2st": 208,
    "genar/PRAD": 200,
    "genar/kidney": 200,
    "genar/mouse_brain": 217,
    "genar/ccRCC": 243,
    "hinge/cscc": 270,
    "hinge/her2st": 260,
    "hinge/kidney": 253,
    **{f"dkan/{cohort}": 250 for cohort in ("her2st", "cscc", "stnet")},
    **{f"dkan/{cohort}_{kind}50": 50 for cohort in ("her2st", "cscc", "stnet") for kind in ("heg", "hvg")},
}


@pytest.fixture(scope="module")
def genar(shared_golden):
    return json.loads((shared_golden.parent / "specs/genar_panels.json").read_text())


def test_there_are_the_lists_of_three_papers_in_their_sizes():
    assert {name: len(printed.panel(name)) for name in printed.names()} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_a_list_has_each_gene_once_and_no_stray_character(name):
    genes = printed.panel(name)
    assert len(set(genes)) == len(genes)
    assert all(gene and gene == gene.strip() and gene.replace("-", "").replace(".", "").isalnum() for gene in genes)


@pytest.mark.parametrize("name", [name for name in SIZES if not name.startswith("dkan/")])
def test_the_lists_of_high_mean_and_variance_are_alphabetical(name):
    assert list(printed.panel(name)) == sorted(printed.panel(name))


def test_genars_panels_and_groups_are_those_of_the_paper(genar):
    for dataset, facts in genar.items():
        name = f"genar/{dataset}"
        assert list(printed.panel(name)) == facts["printed_panel"]
        assert list(printed.panel(name)[:200]) == facts["panel_200"]
        assert [list(group) for group in printed.groups(name)] == list(facts["groups"].values())
        without = set(facts["panel_200"]) - {gene for group in printed.groups(name) for gene in group}
        assert without == set(facts["panel_genes_without_printed_group"])


def test_printed_groups_hold_1_to_12_of_the_first_200_genes():
    for name in ("her2st", "PRAD", "kidney", "mouse_brain", "ccRCC"):
        groups = printed.groups(f"genar/{name}")
        assert len(groups) == (31 if name == "kidney" else 32)
        assert {len(group) for group in groups} <= set(range(1, 13))
        grouped = [gene for group in groups for gene in group]
        assert len(grouped) == len(set(grouped)) >= 199
        assert set(grouped) <= set(printed.panel(f"genar/{name}")[:200])


def test_dkans_lists_are_those_of_the_paper(shared_golden):
    stored = json.loads((shared_golden / "classic/paper_gene_lists.json").read_text())
    for cohort, name in (("HER2+", "her2st"), ("cSCC", "cscc"), ("STNET", "stnet")):
        assert list(printed.panel(f"dkan/{name}")) == stored[f"goi|{cohort}"]
        assert list(printed.panel(f"dkan/{name}_heg50")) == stored[f"heg|{cohort}"]
        assert list(printed.panel(f"dkan/{name}_hvg50")) == stored[f"hvg|{cohort}"]


def test_every_50_genes_of_dkan_are_among_its_250():
    for cohort in ("her2st", "cscc", "stnet"):
        assert set(printed.panel(f"dkan/{cohort}_heg50")) <= set(printed.panel(f"dkan/{cohort}"))
        assert set(printed.panel(f"dkan/{cohort}_hvg50")) <= set(printed.panel(f"dkan/{cohort}"))


def test_hinges_lists_hold_what_the_slips_of_reading_stood_for():
    slips = {"CAPI", "FGFFR3", "PDPDF", "VDACA1", "ARHGDI1", "FNBPI1", "H1FO", "IGH1A", "LLLG2", "TSP0", "NATS", "TPH1"}
    assert not slips & {gene for name in printed.names() for gene in printed.panel(name)}
    assert {"CAP1", "FGFR3", "PPDPF", "VDAC1"} <= set(printed.panel("hinge/cscc"))
    assert {"FXYD2", "FXYD4", "IGHA1", "NAT8", "TPI1"} <= set(printed.panel("hinge/kidney"))


def test_genars_kidney_genes_are_hinges_but_for_what_its_vocabulary_lacks():
    """Both chose on the same slides by the same rule; the model that HINGE builds on knows no symbol with a hyphen."""
    only = set(printed.panel("genar/kidney")) - set(printed.panel("hinge/kidney"))
    assert {gene for gene in only if "-" not in gene} == {"A1BG", "ATP5MD", "ATP5MPL", "H3F3A"}


@pytest.mark.parametrize("name", SIZES)
def test_the_built_in_gene_names_know_every_printed_gene(name):
    """Clone names have no symbol of their own; everything else finds its gene, each another one."""
    names = builtin("mouse" if name == "genar/mouse_brain" else "human")
    current = {gene: names.current(gene) for gene in printed.panel(name)}
    assert {gene for gene, symbol in current.items() if symbol is None} <= {"AP000769.1", "AC090498.1"}
    found = [symbol for symbol in current.values() if symbol is not None]
    assert len(set(found)) == len(found)


def test_a_list_without_groups_has_none():
    assert printed.groups("hinge/kidney") == ()


def test_an_unknown_list_is_answered_with_a_guess():
    with pytest.raises(DataContractError, match="did you mean 'hinge/kidney'"):
        printed.panel("hinge/kidneys")
