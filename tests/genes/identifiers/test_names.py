"""Which gene a name means, and that every name of the published panels means one."""

import gzip
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.datasets.phantom_genes import PROGRAMMES
from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import GeneNames, ambiguous, builtin, ensembl_id, match, read_gene_names
from stainscript.genes.identifiers.tables import GeneRecord, GeneTable

HUMAN = GeneNames.of(
    GeneTable(
        species="human",
        release="test",
        genes=(
            GeneRecord("ATP5F1B", "ENSG00000110955", ("ATP5B",), ("ATPMB",)),
            GeneRecord("TP53", "ENSG00000141510", (), ("p53", "SHARED")),
            GeneRecord("C10orf90", "ENSG00000154493", (), ("SHARED",)),
            GeneRecord("NEW", "ENSG00000000001", ("SWAP", "TWICE"), ("ATP5B",)),
            GeneRecord("SWAP", "ENSG00000000002", (), ()),
            GeneRecord("OTHER", "", ("TWICE",), ()),
        ),
    )
)
MOUSE = GeneNames.of(
    GeneTable(species="mouse", release="test", genes=(GeneRecord("Atp5f1b", "ENSMUSG00000025393", ("Atp5b",)),))
)


@pytest.mark.parametrize("name", ["ATP5F1B", "ATP5B", "ATPMB", "ENSG00000110955", "ENSG00000110955.14"])
def test_every_name_of_a_gene_means_it(name):
    assert HUMAN.current(name) == "ATP5F1B"
    assert HUMAN.ensembl(name) == "ENSG00000110955"


def test_a_symbol_that_is_one_genes_now_and_was_anothers_before_stays():
    """SWAP was NEW's symbol; it is the symbol of another gene today."""
    assert HUMAN.claims("SWAP") == ("current", ("SWAP",))


def test_a_previous_symbol_goes_before_an_alias():
    """ATP5B was ATP5F1B's symbol, and someone's alias of NEW."""
    assert HUMAN.claims("ATP5B") == ("previous", ("ATP5F1B",))


@pytest.mark.parametrize(("name", "owners"), [("SHARED", ("C10orf90", "TP53")), ("TWICE", ("NEW", "OTHER"))])
def test_a_name_that_several_genes_claim_means_nothing_and_says_so(name, owners):
    assert HUMAN.claims(name) == ("ambiguous", owners)
    assert HUMAN.current(name) is None
    assert HUMAN.ensembl(name) is None


def test_a_human_symbol_in_capitals_is_found_but_an_alias_keeps_its_case():
    assert HUMAN.current("C10ORF90") == "C10orf90"
    assert HUMAN.claims("atp5b") == ("previous", ("ATP5F1B",))
    assert HUMAN.current("P53") is None


def test_a_mouse_symbol_is_never_another_case():
    assert MOUSE.current("Atp5b") == "Atp5f1b"
    assert MOUSE.current("ATP5B") is None
    assert MOUSE.current("ATP5F1B") is None


def test_an_ensembl_id_loses_its_version_and_nothing_else():
    """STAMP's vocabulary has ids with a duplicate suffix; GENCODE has the second copy of a gene on Y."""
    assert ensembl_id("ENSG00000141510.18") == "ENSG00000141510"
    assert ensembl_id("ENSMUSG00000025393.5") == "ENSMUSG00000025393"
    for other in ("ENSG00000141510-1", "ENSG00000182378.14_PAR_Y", "ENST00000269305.9", "ENSG1", "TP53"):
        assert ensembl_id(other) is None


def test_an_ensembl_id_that_the_table_lacks_is_its_own_id_and_has_no_symbol():
    assert HUMAN.ensembl("ENSG00000999999.3") == "ENSG00000999999"
    assert HUMAN.current("ENSG00000999999.3") is None


def test_a_gene_without_a_known_id_has_a_symbol_only():
    assert (HUMAN.current("OTHER"), HUMAN.ensembl("OTHER")) == ("OTHER", None)


def test_matching_takes_the_exact_name_then_the_id_then_the_current_symbol():
    wanted = ["TP53", "ENSG00000110955.1", "ATP5B", "SWAP", "SHARED", "TWICE", "ENSG00000154493", "NOTHING", "MINE"]
    available = ["MINE", "ENSG00000110955.7", "TP53", "C10orf90", "NEW", "ENSG00000000003"]
    assert match(wanted, available, names=HUMAN) == {
        "TP53": "TP53",
        "ENSG00000110955.1": "ENSG00000110955.7",
        "ATP5B": "ENSG00000110955.7",
        "ENSG00000154493": "C10orf90",
        "MINE": "MINE",
    }


def test_an_old_and_a_new_name_find_each_other():
    assert match(["ATP5B"], ["ATP5F1B"], names=HUMAN) == {"ATP5B": "ATP5F1B"}
    assert match(["ATP5F1B"], ["ATP5B"], names=HUMAN) == {"ATP5F1B": "ATP5B"}


def test_versions_of_an_id_that_the_table_lacks_find_each_other():
    assert match(["ENSG00000999999.1"], ["ENSG00000999999-1", "ENSG00000999999.4"], names=HUMAN) == {
        "ENSG00000999999.1": "ENSG00000999999.4"
    }


def test_an_ambiguous_name_still_matches_itself():
    assert match(["SHARED"], ["TP53", "SHARED"], names=HUMAN) == {"SHARED": "SHARED"}


def test_of_two_names_of_the_gene_the_exact_one_is_taken_else_the_first_and_both_are_told():
    available = ["ATPMB", "ATP5B"]
    assert match(["ATP5B", "ATP5F1B"], available, names=HUMAN) == {"ATP5B": "ATP5B", "ATP5F1B": "ATPMB"}
    assert ambiguous(["ATP5B", "ATP5F1B", "TP53"], available, names=HUMAN) == {
        "ATP5B": ("ATP5B", "ATPMB"),
        "ATP5F1B": ("ATPMB", "ATP5B"),
    }


POOL = ["ATP5F1B", "ATP5B", "ATPMB", "ENSG00000110955.2", "TP53", "p53", "SWAP", "NEW", "SHARED", "TWICE", "X", "x"]


@given(st.lists(st.sampled_from(POOL), unique=True), st.lists(st.sampled_from(POOL), unique=True))
def test_a_match_is_available_means_the_same_gene_and_prefers_the_exact_name(wanted, available):
    found = match(wanted, available, names=HUMAN)
    assert set(found) <= set(wanted)
    for name, other in found.items():
        assert other in available
        assert name == other or (name not in available and HUMAN.current(name) == HUMAN.current(other) is not None)
    assert all(name in found for name in wanted if name in available)


def test_a_table_of_40000_genes_names_36601_columns_in_well_under_a_second():
    genes = tuple(GeneRecord(f"G{n}", f"ENSG{n:011d}", (f"OLD{n}",), (f"a{n}",)) for n in range(40_000))
    names = GeneNames.of(GeneTable(species="human", release="test", genes=genes))
    columns = [f"ENSG{n:011d}.{n % 9}" for n in range(20_000)] + [f"OLD{n}" for n in range(20_000, 36_601)]
    start = time.process_time()
    found = match([f"G{n}" for n in range(36_601)], columns, names=names)
    assert time.process_time() - start < 1.0
    assert len(found) == 36_601
    assert found["G7"] == "ENSG00000000007.7"
    assert found["G36600"] == "OLD36600"


def test_an_unknown_species_is_named(tmp_path):
    with pytest.raises(DataContractError, match="species: expected one of human, mouse; found 'rat'"):
        builtin("rat")
    with pytest.raises(DataContractError, match=r"species: expected one of human, mouse; found 'humna'.*'human'"):
        read_gene_names(tmp_path / "table.txt", species="humna")


RENAMED = {
    "ATP5B": "ATP5F1B",
    "ATP5E": "ATP5F1E",
    "ATP5G2": "ATP5MC2",
    "ATP5MD": "ATP5MK",
    "ATP5MPL": "ATP5MJ",
    "AES": "TLE5",
    "HN1": "JPT1",
    "SEPW1": "SELENOW",
    "SLC9A3R1": "NHERF1",
    "TCEB2": "ELOB",
    "H1F0": "H1-0",
    "H1FX": "H1-10",
    "H2AFJ": "H2AJ",
    "PHB": "PHB1",
    "ACPP": "ACP3",
    "WARS": "WARS1",
    "H3F3B": "H3-3B",
    "H3F3A": "H3-3A",
    "KIAA0100": "BLTP2",
    "C4orf48": "NICOL1",
    "MINOS1": "MICOS10",
    "HIST1H4C": "H4C3",
    "GNB2L1": "RACK1",
    "CTGF": "CCN2",
    "SEP15": "SELENOF",
}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_the_built_in_table_knows_the_old_symbols_of_the_panels(old, new):
    names = builtin("human")
    assert names.current(old) == new == names.current(new)
    assert names.ensembl(old) == names.ensembl(new) is not None


@pytest.mark.parametrize(
    ("old", "new"), [("Atp5b", "Atp5f1b"), ("Gnb2l1", "Rack1"), ("H2afz", "H2az1"), ("1110008P14Rik", "Bbln")]
)
def test_the_built_in_table_knows_old_mouse_symbols(old, new):
    names = builtin("mouse")
    assert names.current(old) == new
    assert names.ensembl(old).startswith("ENSMUSG")


CLONES = {"AP000769.1", "AC090498.1"}  # names of clones: no nomenclature ever had them
MISREAD = {  # what the text of HINGE's Fig. S1 makes of other genes; ATP6A1 would pass for a previous symbol
    *("ARHGDI1", "ATP6A1", "CAPI", "CTSR", "FGFFR3", "FNBPI1", "FXYP2", "FXYP4", "H1FO", "IGH1A", "LLLG2", "NATS"),
    *("PDPDF", "TSP0", "UQCRCQ", "VDACA1"),
}


def unresolved(genes, names):
    return {gene for gene in genes if names.current(gene) is None or names.ensembl(gene) is None}


def test_every_gene_of_dkans_printed_lists_resolves(shared_golden):
    lists = json.loads((shared_golden / "classic/paper_gene_lists.json").read_text())
    assert len(lists) == 12
    assert unresolved({gene for genes in lists.values() for gene in genes}, builtin("human")) == CLONES


@pytest.mark.parametrize("dataset", ["her2st", "kidney", "mouse_brain", "PRAD", "ccRCC"])
def test_every_gene_of_genars_printed_panels_and_groups_resolves(shared_golden, dataset):
    panels = json.loads((shared_golden.parent / "specs/genar_panels.json").read_text())[dataset]
    genes = {
        *panels["printed_panel"],
        *panels["panel_200"],
        *(gene for group in panels["groups"].values() for gene in group),
    }
    names = builtin("mouse" if dataset == "mouse_brain" else "human")
    assert len(genes) >= 200
    assert unresolved(genes, names) == ({"AP000769.1"} if dataset == "her2st" else set())


def test_every_gene_of_hinges_figure_s1_resolves_but_the_misread_ones(shared_golden):
    text = (shared_golden.parent / "papers/002_153badbf71f3222a.txt").read_text()
    lists = re.findall(r"^<b>(?:cSCC|Her2ST|Kidney)</b>\t([^,\n]+(?:, [^,\n]+){200,})$", text, re.MULTILINE)
    assert [len(genes.split(", ")) for genes in lists] == [270, 260, 253]
    missing = unresolved({gene.strip() for genes in lists for gene in genes.split(", ")}, builtin("human"))
    assert missing <= CLONES | MISREAD
    assert missing >= MISREAD


def test_every_gene_of_the_phantom_resolves():
    assert not unresolved(
        (symbol for programme in PROGRAMMES.values() for symbol in programme.symbols), builtin("human")
    )


def genes_of(path):
    sets = (line.rstrip("\n").split("\t")[2:] for line in path.read_text().splitlines())
    return {gene.split(",")[0] for row in sets for gene in row if gene}


@pytest.mark.real
def test_every_hallmark_gene_is_current(shared_data):
    genes = genes_of(shared_data / "genesets/h.all.v2025.1.Hs.symbols.gmt")
    assert len(genes) == 4384
    names = builtin("human")
    assert {way for gene in genes for way in [names.claims(gene)[0]]} == {"current"}
    assert not unresolved(genes, names)


@pytest.mark.real
def test_old_and_capital_symbols_of_the_go_library_resolve(shared_data):
    genes = genes_of(shared_data / "genesets/enrichr.GO_Biological_Process_2021.gmt")
    names = builtin("human")
    capitals = {gene for gene in genes if re.fullmatch(r"C[\dXY]+ORF\d+", gene)}
    assert len(capitals) == 25
    assert not unresolved(capitals, names)
    ways = [names.claims(gene) for gene in genes]
    assert sum(way == "previous" for way, _ in ways) == 57
    assert not any(way == "ambiguous" for way, _ in ways)


@pytest.mark.real
def test_the_printed_panels_are_found_in_the_her2_tables_under_old_and_new_names(shared_data, shared_golden):
    panel = json.loads((shared_golden / "classic/paper_gene_lists.json").read_text())["goi|HER2+"]
    names = builtin("human")
    with gzip.open(shared_data / "her2st/data/ST-cnts/C1.tsv.gz", "rt") as handle:
        columns = handle.readline().rstrip("\n").split("\t")[1:]
    today = [names.current(gene) or gene for gene in panel]
    assert sum(old != new for old, new in zip(panel, today, strict=True)) == 12
    assert match(panel, columns, names=names) == {gene: gene for gene in panel}
    assert match(today, columns, names=names) == dict(zip(today, panel, strict=True))
