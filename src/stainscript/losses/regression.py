"""Losses that compare predicted with measured expression."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from stainscript.losses.terms import LossTerms


def mse(predicted: Tensor, target: Tensor, *, mask: Tensor | None = None) -> LossTerms:
    """Mean squared error over spots × genes; predicted, target: (B, G) in one space.

    mask: (B, G) bool, the entries that were measured, by default all: the mean is over these (HistoPrism, released
    code), whatever the others hold, and 0 where there are none.
    """
    if mask is None:
        total = functional.mse_loss(predicted, target)
        return LossTerms(total=total, parts={"mse": total})
    entries = mask.sum()
    total = (predicted - target).masked_fill(~mask, 0.0).square().sum() / entries.clamp(min=1)
    return LossTerms(total=total, parts={"mse": total}, spots=entries / mask.shape[-1])
