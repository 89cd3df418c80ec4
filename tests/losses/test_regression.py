import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript.losses.regression import mse

NAN = float("nan")


def test_mean_squared_error_by_hand():
    terms = mse(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 2.0]]))
    assert terms.total.item() == 2.0  # (4 + 0) / 2
    assert terms.parts["mse"].item() == 2.0
    assert terms.spots is None


def test_only_measured_entries_count_whatever_the_others_hold():
    predicted = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], requires_grad=True)
    target = torch.tensor([[0.0, NAN, 3.0, 1e30], [NAN, 4.0, 7.0, 8.0]])
    mask = torch.tensor([[True, False, True, False], [False, True, True, True]])
    terms = mse(predicted, target, mask=mask)
    assert terms.total.item() == 1.0  # (1 + 0 + 4 + 0 + 0) / 5
    assert terms.spots.item() == 1.25  # 5 of 4 + 4 entries: worth one spot and a quarter
    terms.total.backward()
    expected = torch.tensor([[0.4, 0.0, 0.0, 0.0], [0.0, 0.8, 0.0, 0.0]])  # 2 · difference / 5
    torch.testing.assert_close(predicted.grad, expected)


def test_a_batch_without_measured_entries_has_loss_and_gradient_zero():
    predicted = torch.ones(2, 3, requires_grad=True)
    terms = mse(predicted, torch.full((2, 3), NAN), mask=torch.zeros(2, 3, dtype=torch.bool))
    terms.total.backward()
    assert (terms.total.item(), terms.spots.item()) == (0.0, 0.0)
    assert not predicted.grad.any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), spots=st.integers(1, 8), genes=st.integers(1, 8), share=st.floats(0.1, 1.0))
def test_equals_numpy_over_the_measured_entries(seed, spots, genes, share):
    rng = np.random.default_rng(seed)
    predicted, target = rng.normal(size=(2, spots, genes)).astype(np.float32)
    mask = rng.random((spots, genes)) < share
    mask[0, 0] = True
    found = mse(*map(torch.as_tensor, (predicted, target)), mask=torch.as_tensor(mask)).total.item()
    assert found == pytest.approx(np.mean((predicted - target)[mask] ** 2), rel=1e-5)


def test_a_mask_that_hides_nothing_changes_nothing():
    predicted, target = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert mse(predicted, target, mask=torch.ones(5, 3, dtype=torch.bool)).total == mse(predicted, target).total
