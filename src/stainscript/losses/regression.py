"""Losses that compare predicted with measured expression."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from stainscript.losses.terms import LossTerms


def mse(predicted: Tensor, target: Tensor) -> LossTerms:
    """Mean squared error over spots × genes; predicted, target: (B, G) in one space."""
    total = functional.mse_loss(predicted, target)
    return LossTerms(total=total, parts={"mse": total})
