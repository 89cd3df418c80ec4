"""Sums per gene over the spots of many slides, without holding the slides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True, kw_only=True)
class GeneSums:
    """Plain sums over spots. For counts they are exact integers, so equal genes tie exactly.

    spots: number of spots; total, squares: (G,) sums of x and x²; detected: (G,) spots with a value above 0.
    """

    spots: int
    total: np.ndarray
    squares: np.ndarray
    detected: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(G,) mean over spots."""
        return self.total / self.spots

    @property
    def variance(self) -> np.ndarray:
        """(G,) population variance over spots."""
        return np.maximum(self.squares - self.total**2 / self.spots, 0.0) / self.spots

    def at(self, columns: np.ndarray) -> GeneSums:
        """The sums of the genes at ``columns``, in that order."""
        return GeneSums(
            spots=self.spots,
            total=self.total[columns],
            squares=self.squares[columns],
            detected=self.detected[columns],
        )


def sums_of(values: sparse.csr_matrix) -> GeneSums:
    """Sums of one slide; values: (S, G) CSR, any space."""
    genes = values.shape[1]
    return GeneSums(
        spots=values.shape[0],
        total=np.bincount(values.indices, weights=values.data, minlength=genes),
        squares=np.bincount(values.indices, weights=np.square(values.data, dtype=np.float64), minlength=genes),
        detected=np.bincount(values.indices, weights=values.data > 0, minlength=genes),
    )


def pooled(parts: Sequence[GeneSums]) -> GeneSums:
    """Sums over several slides whose genes are in the same order."""
    return GeneSums(
        spots=sum(part.spots for part in parts),
        total=np.sum([part.total for part in parts], axis=0),
        squares=np.sum([part.squares for part in parts], axis=0),
        detected=np.sum([part.detected for part in parts], axis=0),
    )
