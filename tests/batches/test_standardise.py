import dataclasses

import numpy as np
import pytest
import torch

from stainscript.batches.batch import SpotBatch
from stainscript.batches.standardise import by_slide, column_means, moments


def test_moments_by_hand_and_constant_features_have_spread_one():
    values = np.array([[1.0, 7.0, 0.0], [3.0, 7.0, 0.0]], dtype=np.float32)
    mean, spread = moments(values)
    np.testing.assert_allclose(mean, [2, 7, 0])
    np.testing.assert_allclose(spread, [1, 1, 1])
    np.testing.assert_allclose(moments(torch.as_tensor(values))[1].numpy(), spread)


def two_slides(values: np.ndarray) -> SpotBatch:
    count = len(values)
    zeros = np.zeros((count, 2), dtype=np.float32)
    return SpotBatch(
        slides=("a", "b"),
        patients=("p", "p"),
        slide_index=np.arange(count) % 2,
        spot_id=np.arange(count).astype(str).astype(object),
        features={"patch": values, "region": values},
        xy_um=zeros,
        grid=zeros,
        extent_um=zeros,
    )


@pytest.mark.parametrize("where", ["numpy", "torch"])
def test_each_slide_is_standardised_by_its_own_spots(where):
    values = np.array([[0.0], [100.0], [2.0], [300.0]], dtype=np.float32)
    batch = two_slides(values)
    scaled = by_slide(batch.to("cpu") if where == "torch" else batch, view="patch").features
    np.testing.assert_allclose(np.asarray(scaled["patch"]), [[-1], [-1], [1], [1]])
    np.testing.assert_allclose(np.asarray(scaled["region"]), values)


def test_a_slide_wide_shift_and_gain_of_features_disappear():
    values = np.arange(12, dtype=np.float32).reshape(6, 2) ** 2
    stained = values.copy()
    stained[1::2] = stained[1::2] * 3 + 50
    plain, shifted = (by_slide(two_slides(v), view="patch").features["patch"] for v in (values, stained))
    np.testing.assert_allclose(plain, shifted, atol=1e-5)


def test_input_is_left_alone():
    batch = two_slides(np.arange(4, dtype=np.float32)[:, None])
    before = dataclasses.replace(batch).features["patch"].copy()
    by_slide(batch, view="patch")
    np.testing.assert_array_equal(batch.features["patch"], before)


@pytest.mark.parametrize("where", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_masked_moments_by_hand_whatever_the_other_values_hold(where):
    """Of column 0 count 1 and 3, of column 1 only 7, of column 2 nothing."""
    values = where(np.array([[1.0, 7.0, np.nan], [3.0, np.nan, np.inf], [1e30, 5.0, 0.0]]))
    mask = where(np.array([[True, True, False], [True, False, False], [False, False, False]]))
    mean, spread = moments(values, mask=mask)
    np.testing.assert_allclose(np.asarray(mean), [2, 7, 0])
    np.testing.assert_allclose(np.asarray(spread), [1, 1, 1])
    np.testing.assert_array_equal(np.asarray(column_means(values, mask=mask)), np.asarray(mean))


@pytest.mark.parametrize("where", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_a_mask_that_hides_nothing_leaves_the_moments(where):
    values = where(np.random.default_rng(0).normal(loc=5, size=(50, 4)))
    plain, masked = moments(values), moments(values, mask=values == values)
    for one, other in zip(plain, masked, strict=True):
        np.testing.assert_allclose(np.asarray(other), np.asarray(one), rtol=1e-14)
