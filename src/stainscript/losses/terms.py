"""The record that every loss returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """``total`` is differentiated; ``parts`` are its named, unweighted terms, for the history. All are scalars.

    ``spots``: how much the batch weighs in a mean over batches, where a mask makes that less than its number of spots:
    measured entries / genes. ``None``: every spot counts in full.
    """

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    spots: Tensor | None = None
