"""Over-representation against values worked out by hand, scipy pair by pair, gseapy, and GenAR's printed groups."""

from math import comb

import gseapy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom
from statsmodels.stats.multitest import multipletests

from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import builtin, match
from stainscript.genes.panels import printed
from stainscript.genes.pathways.enrichment import ADJUSTED, COLUMNS, adjusted, enrich, upper_tail
from stainscript.genes.pathways.gene_sets import read_gmt

GENES = [f"g{n:02d}" for n in range(20)]
GROUPS = {"two": GENES[:4], "one": [GENES[19]]}
TERMS = {"b": GENES[1:6], "a": [GENES[10]]}  # shares 3 of its 5 with group two


def test_three_of_four_genes_among_five_of_twenty():
    """P(X ≥ 3) = (C(5,3)·C(15,1) + C(5,4)) / C(20,4) = (150 + 5) / 4845 = 31 / 969."""
    frame = enrich(GROUPS, TERMS, background=20, correction="none")
    assert tuple(frame.columns) == COLUMNS
    assert list(zip(frame["group"], frame["term"], strict=True)) == [
        ("one", "a"),
        ("one", "b"),
        ("two", "a"),
        ("two", "b"),
    ]
    row = frame.iloc[3]
    assert (row["group_size"], row["reference_size"], row["overlap_size"]) == (4, 5, 3)
    assert (row["overlap_genes"], row["background_size"]) == ("g01,g02,g03", 20)
    assert row["nominal_p_value"] == pytest.approx(31 / 969, rel=1e-12)
    assert not frame["multiple_testing_adjusted"].any()
    assert frame["nominal_p_value"].tolist()[:3] == [1.0, 1.0, 1.0]
    assert frame["overlap_genes"].tolist()[:3] == ["", "", ""]


def test_a_background_of_genes_cuts_groups_and_terms_first():
    """Without g03 and g04: 18 genes, group two has 3, term b has 3, they share 2.

    P(X ≥ 2) = (C(3,2)·C(15,1) + 1) / C(18,3) = 46 / 816. Group one lies outside and is not tested.
    """
    background = [gene for gene in GENES[:19] if gene not in ("g03", "g04")] + ["other"]
    frame = enrich(GROUPS, TERMS, background=background, correction="bonferroni")
    assert frame["group"].tolist() == ["two", "two"]
    row = frame.iloc[1]
    sizes = [int(row[name]) for name in ("group_size", "reference_size", "overlap_size", "background_size")]
    assert sizes == [3, 3, 2, 18]
    assert row["nominal_p_value"] == pytest.approx(46 / 816, rel=1e-12)
    assert row[ADJUSTED] == pytest.approx(2 * 46 / 816, rel=1e-12)
    assert row["multiple_testing_adjusted"]


def test_a_correction_is_over_all_pairs_or_over_the_terms_of_a_group():
    """Group two: p = 31/969 and 1; group one: 1 and 1. Holm: the lowest p times 4 pairs, or times its 2 terms."""
    for family, times in (("all", 4), ("group", 2)):
        frame = enrich(GROUPS, TERMS, background=20, correction="holm", family=family)
        assert frame[ADJUSTED].tolist() == pytest.approx([1, 1, 1, times * 31 / 969])


@pytest.mark.parametrize("correction", ["fdr_bh", "fdr_by", "bonferroni", "holm"])
def test_corrections_are_those_of_statsmodels(correction):
    p_values = np.array([0.001, 0.02, 0.03, 0.9])
    assert adjusted(p_values, correction=correction).tolist() == multipletests(p_values, method=correction)[1].tolist()


def test_benjamini_and_hochberg_by_hand():
    """4·0.01/1 = 0.04; 4·0.02/2 = 0.04; 4·0.03/3 = 0.04; 4·0.5/4 = 0.5."""
    assert adjusted(np.array([0.5, 0.01, 0.03, 0.02]), correction="fdr_bh").tolist() == pytest.approx(
        [0.5, 0.04, 0.04, 0.04]
    )


sizes = st.integers(0, 30)


@given(sizes, sizes, sizes)
def test_the_tail_is_the_sum_of_its_terms(overlap, term, group):
    """P(X ≥ k) = Σ C(term, i)·C(30 − term, group − i) / C(30, group) in whole numbers."""
    whole = sum(comb(term, i) * comb(30 - term, group - i) for i in range(overlap, group + 1))
    found = upper_tail(
        np.array([overlap]), background_size=30, term_size=np.array([term]), group_size=np.array([group])
    )
    assert found[0] == pytest.approx(whole / comb(30, group), rel=1e-9, abs=1e-15)


members = st.lists(st.sampled_from(GENES), min_size=1)
named_sets = st.dictionaries(st.sampled_from(["10", "2", "x", "Y"]), members, min_size=1)


@given(named_sets, named_sets)
def test_every_row_is_what_scipy_says_of_the_pair(groups, terms):
    frame = enrich(groups, terms, correction="none")
    pairs = [(group, term) for group in sorted(groups) for term in sorted(terms)]
    assert list(zip(frame["group"], frame["term"], strict=True)) == pairs
    for (group, term), row in zip(pairs, frame.itertuples(), strict=True):
        one, other = set(groups[group]), set(terms[term])
        assert row.overlap_genes == ",".join(sorted(one & other))
        assert (row.group_size, row.reference_size, row.overlap_size) == (len(one), len(other), len(one & other))
        assert row.nominal_p_value == hypergeom.sf(len(one & other) - 1, 20_000, len(other), len(one))


def test_gseapy_finds_the_same_p_values():
    result = gseapy.enrich(GROUPS["two"], gene_sets=TERMS, background=GENES, outdir=None, no_plot=True).results
    ours = enrich({"two": GROUPS["two"]}, TERMS, background=GENES, correction="none").set_index("term")
    assert result["Term"].tolist() == ["b"]
    assert result["P-value"].tolist() == pytest.approx([ours.loc["b", "nominal_p_value"]], rel=1e-12)


def test_groups_and_terms_that_do_not_fit_in_the_background_are_refused():
    """Groups and terms name 8 genes together: g00 to g05, g10, g19."""
    assert len(enrich(GROUPS, TERMS, background=8)) == 4
    with pytest.raises(DataContractError, match="expected the 8 genes of groups and terms, or more; found 7"):
        enrich(GROUPS, TERMS, background=7)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"background": ["other"]}, "groups"),
        ({"background": GENES[:1], "terms": {"a": ["other"]}}, "terms"),
        ({"groups": {}, "background": 20}, "groups"),
        ({"correction": "fdr"}, "correction"),
        ({"family": "both"}, "family"),
    ],
)
def test_what_cannot_be_tested_is_refused_once(change, field):
    with pytest.raises(DataContractError) as caught:
        enrich(**{"groups": GROUPS, "terms": TERMS, **change})
    assert caught.value.field == field


def test_the_printed_groups_hold_up_against_20000_genes_and_not_against_their_panel(shared_data):
    """GenAR, HER2+: group 6 (collagens) against Hallmark. Its genes were drawn from a panel full of such genes."""
    hallmark = read_gmt(shared_data / "genesets" / "h.all.v2025.1.Hs.symbols.gmt")
    groups = {f"group {n:02d}": genes for n, genes in enumerate(printed.groups("genar/her2st"))}
    assert (len(groups), max(map(len, groups.values()))) == (32, 12)
    nominal = enrich(groups, hallmark, correction="none")
    assert len(nominal) == 32 * 50
    best = nominal.loc[nominal["nominal_p_value"].idxmin()]
    assert (best["group"], best["term"]) == ("group 06", "HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION")
    assert best["overlap_genes"] == "COL1A1,COL1A2,COL3A1,FLNA,FN1"
    assert best["nominal_p_value"] == hypergeom.sf(4, 20_000, 200, 12)
    panel = printed.panel("genar/her2st")
    found = match([gene for genes in hallmark.values() for gene in genes], panel, names=builtin("human"))
    on_panel = {name: [found[gene] for gene in genes if gene in found] for name, genes in hallmark.items()}
    within = enrich(groups, on_panel, background=panel)
    assert within["background_size"].unique().tolist() == [len(panel)] == [208]
    assert (within[ADJUSTED] > 0.05).all()
    assert within["nominal_p_value"].min() > best["nominal_p_value"] * 1000
