"""Sums per gene that come out the same, to the last bit, whatever the blocks, their order and the number of workers.

Adding floats is not associative, adding integers is. Values are therefore added as integers: counts as they are, real
values in fixed point. Each sum is held in two 64-bit limbs and becomes a float once, at the end, by one division that
is rounded correctly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

LIMB = 32  # bits of the lower limb
LOWER = 2**LIMB - 1


@dataclass(frozen=True)
class ExactSum:
    """(G,) sums: (high · 2**32 + low) / 2**scale; both limbs int64. Room for 2**30 spots of any value allowed."""

    high: np.ndarray
    low: np.ndarray
    scale: int

    def __add__(self, other: ExactSum) -> ExactSum:
        return _carried(self.high + other.high, self.low + other.low, scale=self.scale)

    def __sub__(self, other: ExactSum) -> ExactSum:
        return _carried(self.high - other.high, self.low - other.low, scale=self.scale)

    def scattered(self, columns: np.ndarray, genes: int) -> ExactSum:
        """The same sums at ``columns`` of a longer list of ``genes`` genes; 0 elsewhere."""
        return ExactSum(*(scattered(limb, columns, genes) for limb in (self.high, self.low)), self.scale)

    def at(self, genes: np.ndarray) -> ExactSum:
        """The sums of the genes at the places ``genes``, in that order."""
        return ExactSum(self.high[genes], self.low[genes], self.scale)

    @property
    def floats(self) -> np.ndarray:
        """(G,) float64, correctly rounded."""
        return self.over(np.ones(len(self.low), dtype=np.int64))

    @property
    def integers(self) -> np.ndarray:
        """(G,) Python integers in units of 2**-scale."""
        return self.high.astype(object) * 2**LIMB + self.low.astype(object)

    def over(self, number: np.ndarray) -> np.ndarray:
        """Sum / number, (G,) float64, correctly rounded; NaN where the number is 0."""
        there = number > 0
        result = np.full(number.shape, np.nan)
        result[there] = self.integers[there] / (number[there].astype(object) * 2**self.scale)
        return result


class Entries:
    """The non-zero entries of a block, E of them, to be added up per gene; counts: (S, G) CSR."""

    def __init__(self, counts: sparse.csr_matrix) -> None:
        self.counts = counts.data
        self._pattern = sparse.csr_matrix(counts, copy=False)
        self._ones = np.ones(counts.shape[0], dtype=np.int64)

    def sum_integers(self, values: np.ndarray) -> np.ndarray:
        """(G,) int64 sums of ``values`` (E,) int64, in the order of the entries."""
        self._pattern.data = values
        return self._pattern.T @ self._ones

    def sum_counts(self) -> ExactSum:
        """Sum of the counts of each gene."""
        sums = self.sum_integers(self.counts.astype(np.int64))
        return _carried(np.zeros_like(sums), sums, scale=0)

    def sum_squared_counts(self) -> ExactSum:
        """Sum of the squared counts of each gene; counts below 2**31."""
        squares = np.square(self.counts, dtype=np.int64)
        if squares.size and int(squares.max()) >= 2**LIMB:
            return self._in_limbs(squares, scale=0)
        sums = self.sum_integers(squares)
        return _carried(np.zeros_like(sums), sums, scale=0)

    def sum_reals(self, values: np.ndarray, *, below: int) -> ExactSum:
        """Sum per gene of ``values`` (E,) float64, 0 ≤ x ≤ 2**below, each rounded down to a multiple of
        2**(below − 62), which does not depend on the others."""
        scale = 62 - below
        return self._in_limbs((values * 2.0**scale).astype(np.int64), scale=scale)

    def _in_limbs(self, values: np.ndarray, *, scale: int) -> ExactSum:
        high = self.sum_integers(values >> LIMB)
        values &= LOWER
        return _carried(high, self.sum_integers(values), scale=scale)


def scattered(values: np.ndarray, columns: np.ndarray, genes: int) -> np.ndarray:
    """``values`` (G,) at ``columns`` of ``genes`` places; 0 elsewhere."""
    result = np.zeros(genes, dtype=values.dtype)
    result[columns] = values
    return result


def exact_variance(total: ExactSum, squares: ExactSum, number: np.ndarray, *, ddof: int) -> np.ndarray:
    """Variance per gene over ``number`` (G,) spots, of which those without an entry are 0.

    (G,) float64, NaN below 1 + ddof spots. Correctly rounded for counts; for reals, as good as their rounded squares.
    """
    there = number > ddof
    result = np.full(number.shape, np.nan)
    spots = number[there].astype(object)
    numerator = spots * squares.integers[there] * 2 ** (2 * total.scale - squares.scale)
    numerator -= total.integers[there] ** 2
    divisor = spots * (spots - ddof) * 2 ** (2 * total.scale)
    result[there] = np.maximum((numerator / divisor).astype(np.float64), 0.0)
    return result


def _carried(high: np.ndarray, low: np.ndarray, *, scale: int) -> ExactSum:
    """Move what overflows the lower limb into the upper one, so that 0 ≤ low < 2**32."""
    return ExactSum(high + (low >> LIMB), low & LOWER, scale)
