"""Genes whose predictions rise and fall together are one programme."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stainscript import seeds
from stainscript.errors import DataContractError
from stainscript.evaluation.programmes import COLUMNS, gene_correlation, member_rows, programmes


@pytest.fixture(scope="module")
def predicted():
    """60 spots: genes 0 to 4 follow one hidden factor, 5 to 8 a second, 9 to 11 a third, gene 12 is constant."""
    rng = seeds.generator(0, "programmes test")
    factors = rng.normal(size=(60, 3))
    signal = factors[:, [0] * 5 + [1] * 4 + [2] * 3]
    noisy = signal + 0.3 * rng.normal(size=signal.shape)
    return np.concatenate([noisy, np.full((60, 1), 3.0)], axis=1).astype(np.float32)


def test_two_genes_by_hand():
    """Deviations (−1, 0, 1) and (−1, 2, −1) are orthogonal; (−1, 0, 1) and (−2, 0, 2) are one."""
    values = np.array([[1.0, 0.0, 3.0], [2.0, 3.0, 5.0], [3.0, 0.0, 7.0]])
    found = gene_correlation([values])
    assert found == pytest.approx(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]), abs=1e-12)


def test_slides_that_differ_as_a_whole_do_not_make_genes_alike():
    """Within both slides the genes run against each other; slide two lies 100 higher in both."""
    one = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    parts = [one, one + 100]
    assert gene_correlation(parts)[0, 1] == pytest.approx(-1)
    assert gene_correlation(parts, within_slide=False)[0, 1] > 0.99


@given(arrays.arrays(np.float64, (7, 3), elements=st.integers(-50, 50).map(float)))
def test_correlations_are_those_of_numpy_where_both_genes_vary(values):
    found = gene_correlation([values])
    varies = np.ptp(values, axis=0) > 0
    expected = np.corrcoef(values[:, varies].T)
    assert found[np.ix_(varies, varies)] == pytest.approx(np.atleast_2d(expected), abs=1e-9)
    assert np.isnan(found[~varies]).all()
    assert np.isnan(found[:, ~varies]).all()


@pytest.mark.parametrize("clustering", ["average", "kmeans"])
def test_the_hidden_factors_come_back_largest_first_and_a_constant_gene_is_in_none(predicted, clustering):
    found = programmes(gene_correlation([predicted[:30], predicted[30:]]), number=3, clustering=clustering)
    assert found.tolist() == [1] * 5 + [2] * 4 + [3] * 3 + [0]


def test_programmes_of_one_size_stand_in_order_of_their_first_gene():
    r = np.array([[1, -1, 1, -1], [-1, 1, -1, 1], [1, -1, 1, -1], [-1, 1, -1, 1]], dtype=float)
    assert programmes(r, number=2).tolist() == [1, 2, 1, 2]
    assert programmes(r, number=2, clustering="kmeans").tolist() == [1, 2, 1, 2]
    assert programmes(r, number=1).tolist() == [1, 1, 1, 1]
    assert programmes(np.ones((1, 1)), number=1).tolist() == [1]


def test_k_means_repeats_with_its_seed(predicted):
    r = gene_correlation([predicted])
    drawn = [programmes(r, number=6, clustering="kmeans", seed=seed).tolist() for seed in (1, 1, 2, 3, 4, 5)]
    assert drawn[0] == drawn[1]
    assert len({tuple(one) for one in drawn}) > 1


def test_more_programmes_than_varying_genes_is_one_clear_error(predicted):
    for number in (0, 13):
        with pytest.raises(DataContractError, match=f"expected 1 to 12: .* of 13 genes .*; found {number}"):
            programmes(gene_correlation([predicted]), number=number)
    with pytest.raises(DataContractError, match="clustering: expected one of average, kmeans"):
        programmes(np.ones((2, 2)), number=1, clustering="ward")


def test_a_programme_states_its_genes_and_how_alike_they_are():
    """Of three genes, correlations 0.5, 0.2 and 0.8: mean 0.5. A gene alone has none."""
    r = np.array([[1, 0.5, 0.2, 0], [0.5, 1, 0.8, 0], [0.2, 0.8, 1, 0], [0, 0, 0, 1]])
    rows = member_rows(np.array([1, 1, 1, 2]), r, ["a", "b", "c", "d"])
    assert tuple(rows.columns) == COLUMNS
    assert rows["programme"].tolist() == ["programme 01", "programme 02"]
    assert rows["genes"].tolist() == ["a,b,c", "d"]
    assert rows["score"].tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert rows["programme_size"].tolist() == [3, 1]
