"""Genes that some slides do not measure: who is fitted together, who is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import everywhere, gene_patterns, patterns_of, require_measured
from stainscript.errors import DataContractError


def batch_of(measured, *, slide_index=(0, 0, 1, 2)) -> SpotBatch:
    slides = 3 if measured is None else len(measured)
    spots = len(slide_index)
    return SpotBatch(
        slides=tuple("abc"[:slides]),
        patients=tuple("abc"[:slides]),
        slide_index=np.array(slide_index),
        spot_id=np.arange(spots).astype(str).astype(object),
        features={},
        xy_um=np.zeros((spots, 2)),
        grid=np.zeros((spots, 2)),
        extent_um=np.ones((spots, 2)),
        target=np.zeros((spots, 5), dtype=np.float32),
        measured=None if measured is None else np.array(measured, dtype=bool),
    )


#               gene 0  1  2  3  4      slide a has 2 spots, b and c one each
BY_SLIDE = [[1, 1, 0, 1, 0], [1, 0, 0, 1, 1], [0, 1, 0, 0, 1]]


def described(patterns):
    return [("".join("abc"[n] for n in np.flatnonzero(p.slides)), p.genes.tolist()) for p in patterns]


def test_genes_of_the_same_slides_are_one_problem_and_the_best_known_comes_first():
    """ab × 2 genes: 3 spots · 2 = 6 values; ac: 3 spots · 1; bc: 2 spots · 1. No slide measures gene 2."""
    patterns = patterns_of(batch_of(BY_SLIDE))
    assert described(patterns) == [("ab", [0, 3]), ("ac", [1]), ("bc", [4])]
    assert patterns[1].spots(np.array([0, 0, 1, 2])).tolist() == [True, True, False, True]


def test_slides_without_spots_do_not_tell_genes_apart():
    """Without slide b, genes 0 and 3 are a's alone, gene 1 is of both, gene 4 is c's."""
    patterns = patterns_of(batch_of(BY_SLIDE, slide_index=(0, 2)))
    assert described(patterns) == [("a", [0, 3]), ("ac", [1]), ("c", [4])]


def test_one_pattern_where_everything_is_measured():
    for measured in (None, np.ones((3, 5))):
        batch = batch_of(measured)
        assert described(patterns_of(batch)) == [("abc", [0, 1, 2, 3, 4])]
        assert everywhere(patterns_of(batch), batch)


@pytest.mark.parametrize("measured", [BY_SLIDE, [[1, 1, 0, 1, 1]] * 3, [[1] * 5, [0] * 5, [1] * 5]])
def test_everywhere_means_every_spot_and_every_gene(measured):
    batch = batch_of(measured)
    assert not everywhere(patterns_of(batch), batch)


@settings(max_examples=50, deadline=None)
@given(
    measured=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4),
    spots=st.lists(st.integers(0, 3), min_size=1, max_size=9),
)
def test_each_gene_that_some_spot_measures_is_in_the_one_pattern_of_its_slides(measured, spots):
    measured, index = np.array(measured), np.array(spots) % len(measured)
    patterns = gene_patterns(measured, slide_index=index, genes=6)
    placed = [gene for pattern in patterns for gene in pattern.genes]
    assert sorted(placed) == np.flatnonzero(measured[index].any(axis=0)).tolist()
    for pattern in patterns:
        for gene in pattern.genes:
            np.testing.assert_array_equal(pattern.spots(index), measured[index, gene])


def test_a_gene_that_no_training_slide_measures_is_named_with_its_panel():
    genes = [f"G{n}" for n in range(5)]
    with pytest.raises(DataContractError) as caught:
        require_measured(batch_of(BY_SLIDE), gene_ids=genes, panel="results/panels/full.tsv")
    message = str(caught.value)
    assert message.startswith("results/panels/full.tsv: gene_id: expected genes that at least one of the 3 training")
    assert "found G2, which none measures (1 such genes)" in message
    assert "choose the panel on the training slides" in message


def test_a_gene_of_a_single_slide_is_accepted():
    require_measured(batch_of(None), gene_ids=list("abcde"), panel="p")
    full = replace(batch_of(BY_SLIDE), measured=np.eye(3, 5, dtype=bool) | (np.arange(5) > 2))
    require_measured(full, gene_ids=list("abcde"), panel="p")
