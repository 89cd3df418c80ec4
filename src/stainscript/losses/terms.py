"""The record that every loss returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """``total`` is differentiated; ``parts`` are its named, unweighted terms, for the history. All are scalars."""

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
