"""Published gene lists and labels, from the counts of all 36 HER2+ sections."""

import gzip
import json
import re
import time

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.config import PanelRule
from stainscript.config.genes import GroupRule
from stainscript.evaluation.errors import mae_per_gene, mse_per_gene
from stainscript.evaluation.subsets import of_labels
from stainscript.genes.groups.grouping import group
from stainscript.genes.groups.rules import rule_of as group_rule_of
from stainscript.genes.identifiers.names import builtin
from stainscript.genes.normalise import target_matrix
from stainscript.genes.panels import printed
from stainscript.genes.panels.select import rule_of, select
from stainscript.types import Space, Target

pytestmark = pytest.mark.real

LABELS = Target(space=Space.LOG10P1_CP10K, library="panel", smooth="grid3x3")
STEM_PREFIXES = ("MT", "mt", "RPS", "RPL")


def read_section(path):
    """Counts of one section, spots in order of (y, x)."""
    head, body = gzip.decompress(path.read_bytes()).split(b"\n", 1)
    genes = head.decode().split("\t")[1:]
    rows = [line.split(b"\t", 1) for line in body.splitlines()]
    counts = np.fromstring(b"\t".join(row[1] for row in rows), dtype=np.int32, sep="\t").reshape(len(rows), len(genes))
    spots = np.array([row[0].decode() for row in rows], dtype=object)
    xy = np.array([spot.split("x") for spot in spots]).astype(np.int64)
    order = np.lexsort((xy[:, 0], xy[:, 1]))
    name = path.name.removesuffix(".tsv.gz")
    return anndata.AnnData(
        sparse.csr_matrix(counts[order]),
        obs=pd.DataFrame(index=spots[order]),
        var=pd.DataFrame({"symbol": genes}, index=genes),
        obsm={"grid": xy[order][:, ::-1]},
        uns={"dataset": "her2st", "slide": name, "patient": name[0]},
    )


@pytest.fixture(scope="module")
def cohort(shared_data):
    return [read_section(path) for path in sorted((shared_data / "her2st/data/ST-cnts").glob("*.tsv.gz"))]


@pytest.fixture(scope="module")
def golden(shared_golden):
    folder = shared_golden / "classic"
    return {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("her2st_cohort_summary", "paper_gene_lists")
    }


@pytest.fixture(scope="module")
def published(golden):
    return golden["paper_gene_lists"]["goi|HER2+"]


@pytest.fixture(scope="module")
def labels(cohort, published):
    return {a.uns["slide"]: target_matrix(a, gene_ids=published, target=LABELS) for a in cohort}


def panel(cohort, **options):
    rule = PanelRule(rule="top_total", n=1).model_dump(exclude={"genes_file", "vocabulary"})
    return select(cohort, name="p", rule=rule_of({**rule, **options}), target=LABELS)


def test_the_250_genes_of_largest_total_are_the_published_ones_in_order(cohort, published, shared_golden):
    chosen = panel(cohort, rule="top_total", n=250)
    assert sum(a.n_obs for a in cohort) == 13620
    assert list(chosen.symbols) == published
    with np.load(shared_golden / "classic/her2st_C1_expression.npz") as stored:
        assert list(chosen.symbols) == stored["genes"].tolist()


def test_the_next_gene_after_the_250_is_the_known_one(cohort):
    assert panel(cohort, rule="top_total", n=251).symbols[-1] == "SUPT6H"


@pytest.mark.parametrize(("smooth", "stored"), [("none", "log10_norm"), ("grid3x3", "log10_smooth")])
def test_labels_of_c1_equal_the_released_code(cohort, shared_golden, smooth, stored):
    section = next(a for a in cohort if a.uns["slide"] == "C1")
    with np.load(shared_golden / "classic/her2st_C1_expression.npz") as file:
        genes, spots, expected = file["genes"].tolist(), file["spot_ids"].tolist(), file[stored]
    order = section.obs_names.get_indexer(spots)
    assert sorted(order) == list(range(section.n_obs))
    target = Target(space=Space.LOG10P1_CP10K, library="panel", smooth=smooth)
    found = target_matrix(section, gene_ids=genes, target=target)[order]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_labels_of_every_section_have_the_recorded_mean_and_variance(labels, golden):
    for name, facts in golden["her2st_cohort_summary"]["per_section"].items():
        assert labels[name].mean(dtype=np.float64) == pytest.approx(facts["label_mean"], abs=1e-6), name
        assert labels[name].var(dtype=np.float64) == pytest.approx(facts["label_var"], abs=1e-6), name


def test_heg_and_hvg_by_labels_are_the_published_ones_in_order(labels, published, golden):
    subsets = of_labels(labels.values(), size=50)
    for kind in ("heg", "hvg"):
        found = [published[n] for n in subsets[f"{kind}50"]]
        assert found == golden["her2st_cohort_summary"][kind]
        assert found == golden["paper_gene_lists"][f"{kind}|HER2+"]


def test_the_constant_predictor_has_the_recorded_errors(labels, golden):
    expected = golden["her2st_cohort_summary"]["lopo_mean_predictor"]
    mse, mae = [], []
    for patient in expected["folds"]:
        constant = np.concatenate([v for name, v in labels.items() if name[0] != patient]).mean(
            axis=0, dtype=np.float64
        )
        tested = [v for name, v in labels.items() if name[0] == patient]
        mse.append(np.mean([mse_per_gene(np.broadcast_to(constant, v.shape), v).mean() for v in tested]))
        mae.append(np.mean([mae_per_gene(np.broadcast_to(constant, v.shape), v).mean() for v in tested]))
    np.testing.assert_allclose(mse, expected["mse"], atol=1e-6)
    np.testing.assert_allclose(mae, expected["mae"], atol=1e-6)
    np.testing.assert_allclose([np.mean(mse), np.std(mse)], [expected["mse_mean"], expected["mse_std"]], atol=1e-6)


def test_hmhvg_with_stems_preselection_gives_the_208_genes_that_genar_prints(cohort, shared_golden):
    """Stem's pipeline over all sections; 241 is the size of both rankings that gives 208 genes."""
    printed = json.loads((shared_golden.parent / "specs/genar_panels.json").read_text())["her2st"]["printed_panel"]
    options = {"rule": "hmhvg", "preselect_hvg": 2000, "exclude_prefixes": STEM_PREFIXES}
    assert list(panel(cohort, n=241, **options).symbols) == sorted(printed)


def test_genars_200_are_the_first_of_these_by_the_rankings_that_share_208(cohort, caplog):
    options = {"rule": "hmhvg", "preselect_hvg": 2000, "exclude_prefixes": STEM_PREFIXES}
    with caplog.at_level("INFO"):
        found = panel(cohort, n=208, exactly=True, take_first=200, **options).symbols
    assert found == printed.panel("genar/her2st")[:200]
    assert "the first 241 by mean and by variance share 208 genes" in caplog.text


@pytest.mark.parametrize("name", ["genar/her2st", "hinge/her2st", "dkan/her2st"])
def test_every_printed_gene_is_measured_by_every_section(cohort, name):
    assert panel(cohort[:2], rule="printed", n=None, printed=name).symbols == printed.panel(name)
    common = set.intersection(*(set(section.var_names) for section in cohort))
    assert set(printed.panel(name)) <= common


def test_the_printed_stnet_genes_are_found_under_the_old_symbols_of_these_sections(cohort):
    """DKAN's list for STNET has current symbols (TLE5, ATP5F1E, …), the sections old ones (AES, ATP5E, …)."""
    section = cohort[0]
    wanted = ("TLE5", "ATP5F1E", "ATP5MC2", "H2AJ", "NHERF1", "SELENOW", "ELOB")
    assert set(wanted) <= set(printed.panel("dkan/stnet"))
    rule = PanelRule(rule="fixed", genes=wanted).model_dump(exclude={"genes_file", "vocabulary"})
    found = select([section], name="p", rule=rule_of(rule), target=LABELS, names=builtin("human"))
    assert found.gene_ids == ("AES", "ATP5E", "ATP5G2", "H2AFJ", "SLC9A3R1", "SEPW1", "TCEB2")


def test_the_full_panel_has_the_union_of_genes_and_masks_what_a_section_lacks(cohort):
    sections = cohort[:3]
    genes = [set(section.var_names) for section in sections]
    full = panel(sections, rule="all", n=None, min_slides=1, missing="mask")
    assert full.gene_ids == tuple(sorted(set.union(*genes)))
    assert panel(sections, rule="all", n=None).gene_ids == tuple(sorted(set.intersection(*genes)))
    assert np.isfinite(full.mean).all()


@pytest.fixture(scope="module")
def genar_panel(cohort):
    """GenAR's 200 printed genes of these sections."""
    rule = PanelRule(rule="printed", printed="genar/her2st", take_first=200)
    plain = rule_of(rule.model_dump(exclude={"genes_file", "vocabulary"}))
    return select(cohort, name="p", rule=plain, target=Target(space=Space.COUNTS))


def grouped(genar_panel, cohort, **options):
    """Groups of the 200 genes over all sections, and the seconds that they took."""
    rule = group_rule_of(GroupRule(**options).model_dump(exclude={"gene_sets"}))
    began = time.perf_counter()
    found = group(genar_panel, expression=cohort, rule=rule)
    return found, time.perf_counter() - began


def test_genes_of_all_sections_are_ordered_in_seconds(genar_panel, cohort):
    """Two stages of k-means over 200 genes × 13,620 spots; the genes of plasma cells stand together."""
    found, seconds = grouped(genar_panel, cohort, order="two_stage")
    assert seconds < 20
    assert sorted(found.clustered_order) == list(range(200))
    assert (found.total_spots, len(found.training_slides)) == (13620, 36)
    places = [found.symbols.index(gene) for gene in ("IGHG1", "IGHG3", "IGHG4", "IGKC", "IGLC2", "IGLC3")]
    assert max(places) - min(places) < 12


def test_capped_groups_of_standardised_spots_have_about_the_printed_sizes(genar_panel, cohort):
    """Printed: 14 groups of twelve genes and 15 of one. Standardised genes give far fewer of either."""
    full_and_single = {}
    for axis in ("spot", "gene"):
        found, seconds = grouped(genar_panel, cohort, order="capped", zscore_axis=axis)
        assert seconds < 20
        sizes = [len(part) for part in found.groups]
        assert len(sizes) == 32
        assert set(sizes) <= set(range(1, 13))
        full_and_single[axis] = sizes.count(12) + sizes.count(1)
    assert full_and_single["gene"] < 20 < 24 <= full_and_single["spot"]


def test_hmhvg_with_stems_preselection_gives_the_260_genes_that_hinge_prints(cohort, shared_golden):
    """The text of the paper has 11 slips of character recognition (UQCRC1 is read as UQCR11, whose place it takes)."""
    printed_as = ["ARHGDI1", "ATP6A1", "CTSR", "FNBPI1", "H1FO", "IGH1A", "LLLG2", "PDPDF", "TSP0", "UQCRC1", "UQCRCQ"]
    meant = ["ARHGDIA", "ATP6AP1", "CTSD", "FNBP1L", "H1F0", "IGHA1", "LLGL2", "PPDPF", "TSPO", "UQCR11", "UQCRQ"]
    slips = dict(zip(printed_as, meant, strict=True))
    text = (shared_golden.parent / "papers/002_153badbf71f3222a.txt").read_text()
    printed = re.search(r"<b>Her2ST</b>\s+(.*?)\n", text).group(1).rstrip(". ").split(", ")
    options = {"rule": "hmhvg", "preselect_hvg": 2000, "exclude_prefixes": STEM_PREFIXES}
    found = panel(cohort, n=300, **options).symbols
    assert len(found) == 260
    assert sorted(found) == sorted(slips.get(gene, gene) for gene in printed)
