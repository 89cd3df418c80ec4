import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stainscript.genes.statistics.qc import Thresholds, kept_spots, kinds_of, masks_of, spot_totals, summary

SYMBOLS = ["MT-CO1", "RPL3", "ACTB", "GAPDH"]
COUNTS = np.array(
    [
        [4, 1, 3, 0],  # 8 counts of 3 genes, half of them mitochondrial
        [0, 0, 0, 0],
        [1, 1, 1, 1],
        [0, 0, 0, 9],
        [0, 2, 2, 0],
    ],
    dtype=np.int32,
)
ALL = {"min_counts": 0, "min_genes": 0, "max_mt_share": 1.0, "min_spots": 0}


def thresholds(**given):
    return Thresholds(**{**ALL, **given})


def slide(counts=COUNTS):
    return anndata.AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(index=[f"spot{number}" for number in range(len(counts))]),
        var=pd.DataFrame({"symbol": SYMBOLS}, index=["a", "b", "c", "d"]),
        uns={"dataset": "toy", "slide": "A1"},
    )


def totals(counts=COUNTS):
    return spot_totals(sparse.csr_matrix(counts), kinds=kinds_of(SYMBOLS))


def test_totals_of_spots_by_hand():
    found = totals()
    assert found.counts.tolist() == [8, 0, 4, 9, 4]
    assert found.genes.tolist() == [3, 0, 4, 1, 2]
    assert found.mitochondrial.tolist() == [4, 0, 1, 0, 0]
    assert found.ribosomal.tolist() == [1, 0, 1, 0, 2]


def test_totals_of_two_blocks_follow_each_other():
    found = totals(COUNTS[:2]) + totals(COUNTS[2:])
    for name, values in vars(totals()).items():
        np.testing.assert_array_equal(vars(found)[name], values)


def test_the_summary_by_hand():
    facts = summary(totals(), detected=np.array([2, 3, 3, 0]), kinds=kinds_of(SYMBOLS))
    assert (facts["spots"], facts["empty_spots"]) == (5, 1)
    assert (facts["genes_measured"], facts["genes_seen"], facts["counts"]) == (4, 3, 25)
    assert facts["mitochondrial_share"] == 5 / 25
    assert facts["ribosomal_share"] == 4 / 25
    # sorted counts 0 4 4 8 9: 5 % lies a fifth of the way from the first to the second
    assert facts["counts_per_spot"] == pytest.approx({"min": 0, "q05": 0.8, "median": 4, "q95": 8.8, "max": 9})
    assert facts["genes_per_spot"] == pytest.approx({"min": 0, "q05": 0.2, "median": 2, "q95": 3.8, "max": 4})


def test_a_slide_without_spots_has_no_quantiles():
    facts = summary(totals(COUNTS[:0]), detected=np.zeros(4, dtype=int), kinds=kinds_of(SYMBOLS))
    assert facts["spots"] == facts["counts"] == facts["genes_seen"] == 0
    assert facts["mitochondrial_share"] is None
    assert set(facts["counts_per_spot"].values()) == {None}


def test_a_slide_that_measures_no_mitochondrial_gene_has_no_share_of_them():
    """Not 0: nobody looked."""
    symbols = ["A", "RPL3", "ACTB", "GAPDH"]
    found = spot_totals(sparse.csr_matrix(COUNTS), kinds=kinds_of(symbols))
    facts = summary(found, detected=np.ones(4, dtype=int), kinds=kinds_of(symbols))
    assert facts["mitochondrial_share"] is None
    assert facts["ribosomal_share"] == 4 / 25


@pytest.mark.parametrize(
    ("symbol", "mitochondrial", "ribosomal"),
    [
        ("MT-ND1", True, False),
        ("mt-Nd1", True, False),
        ("MTOR", False, False),
        ("RPL10A", False, True),
        ("RPS4Y1", False, True),
        ("RPLP0", False, True),
        ("RPSA", False, True),
        ("Rpl13a", False, True),
        ("RPS6KB1", False, False),
        ("RPS19BP1", False, False),
        ("RPP30", False, False),
    ],
)
def test_kinds_of_genes_go_by_symbol(symbol, mitochondrial, ribosomal):
    assert kinds_of([symbol]).tolist() == [[mitochondrial, ribosomal]]


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"min_counts": 5}, [1, 0, 0, 1, 0]),
        ({"min_counts": 8}, [1, 0, 0, 1, 0]),
        ({"min_genes": 2}, [1, 0, 1, 0, 1]),
        ({"max_mt_share": 0.25}, [0, 1, 1, 1, 1]),
        ({"max_mt_share": 0.2}, [0, 1, 0, 1, 1]),
        ({"min_counts": 4, "min_genes": 3}, [1, 0, 1, 0, 0]),
    ],
)
def test_each_threshold_drops_its_spots(limit, kept):
    assert kept_spots(totals(), thresholds=thresholds(**limit)).tolist() == [bool(spot) for spot in kept]


def test_genes_are_judged_on_the_spots_that_are_kept():
    masks = masks_of(slide(), thresholds=thresholds(min_genes=3, min_spots=2))
    assert masks.spots.tolist() == [True, False, True, False, False]
    assert masks.genes.tolist() == [True, True, True, False]  # GAPDH is in one of the two, and in one that is dropped


@settings(max_examples=20, deadline=None)
@given(block=st.integers(1, 6), counts=st.integers(0, 9), genes=st.integers(0, 4), spots=st.integers(0, 4))
def test_masks_do_not_depend_on_the_blocks(block, counts, genes, spots):
    limits = thresholds(min_counts=counts, min_genes=genes, min_spots=spots)
    whole, read = (masks_of(slide(), thresholds=limits, block_spots=size) for size in (5, block))
    np.testing.assert_array_equal(whole.spots, read.spots)
    np.testing.assert_array_equal(whole.genes, read.genes)


def test_a_stored_0_is_no_gene_seen():
    stored = sparse.csr_matrix((np.array([0, 5], dtype=np.int32), [0, 2], [0, 2]), shape=(1, 4))
    adata = slide(COUNTS[:1])
    adata.X = stored
    assert masks_of(adata, thresholds=thresholds(min_genes=2)).spots.tolist() == [False]
