import numpy as np
import pytest

from stainscript.evaluation.errors import TRIPLEX_FLOOR, mae_per_gene, mse_per_gene, rvd_per_gene

OBSERVED = np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 7.0]])  # variances 1, 0, 1
PREDICTED = np.array([[0.0, 3.0, 5.0], [4.0, 1.0, 5.0]])  # variances 4, 1, 0


def test_squared_and_absolute_errors_by_hand():
    np.testing.assert_allclose(mse_per_gene(PREDICTED, OBSERVED), [2, 2, 2])
    np.testing.assert_allclose(mae_per_gene(PREDICTED, OBSERVED), [1, 1, 1])


def test_variance_difference_by_hand_leaves_a_constant_truth_out():
    np.testing.assert_allclose(rvd_per_gene(PREDICTED, OBSERVED), [9, np.nan, 1])


def test_triplex_adds_to_the_true_variance_instead():
    found = rvd_per_gene(PREDICTED, OBSERVED, floor=TRIPLEX_FLOOR)
    np.testing.assert_allclose(found, [(3 / 1.01) ** 2, 100**2, (1 / 1.01) ** 2])


def test_a_perfect_prediction_has_no_error():
    for error in (mse_per_gene, mae_per_gene, rvd_per_gene):
        assert np.nansum(error(OBSERVED, OBSERVED)) == 0


def test_a_row_does_not_broadcast():
    with pytest.raises(ValueError, match="differ in shape"):
        mse_per_gene(PREDICTED[:1], OBSERVED)
