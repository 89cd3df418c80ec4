import numpy as np
from scipy import sparse

from stainscript.genes.moments import pooled, sums_of


def test_sums_of_a_slide_by_hand():
    sums = sums_of(sparse.csr_matrix(np.array([[1.0, 0.0], [3.0, 2.0]])))
    assert sums.spots == 2
    np.testing.assert_array_equal(sums.total, [4, 2])
    np.testing.assert_array_equal(sums.mean, [2, 1])
    np.testing.assert_array_equal(sums.variance, [1, 1])
    np.testing.assert_array_equal(sums.detected, [2, 1])


def test_pooling_weighs_spots_and_not_slides():
    parts = [sums_of(sparse.csr_matrix(np.array(rows, dtype=float))) for rows in ([[4]], [[1], [1], [0]])]
    assert pooled(parts).mean[0] == 1.5


def test_a_chosen_order_carries_all_fields():
    sums = sums_of(sparse.csr_matrix(np.array([[1.0, 5.0, 0.0]]))).at(np.array([2, 1]))
    np.testing.assert_array_equal(sums.total, [0, 5])
    np.testing.assert_array_equal(sums.squares, [0, 25])
    np.testing.assert_array_equal(sums.detected, [0, 1])
