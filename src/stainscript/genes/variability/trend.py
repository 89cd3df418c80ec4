"""What the mean of a gene lets expect of its variance, and what is left: the arithmetic of the "seurat_v3" flavour.

Source: Stuart et al. 2019, Methods, and scanpy's flavour of this name. Sums in, scores and ranks out; the spots
themselves are read by ``variable_v3.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stainscript.errors import DataContractError
from stainscript.genes.statistics.block_sums import ValueSums

SPAN, DEGREE = 0.3, 2
LEAST_GENES = 14  # a window of 0.3 of them holds 4, the fewest that determine a quadratic with an error
Ties = Literal["place", "scanpy"]


@dataclass(frozen=True)
class Excess:
    """Per gene the values above a limit: how many, (G,) int64, and their sums."""

    number: np.ndarray
    sums: ValueSums

    def __add__(self, other: Excess) -> Excess:
        return Excess(self.number + other.number, self.sums + other.sums)


@dataclass(frozen=True, kw_only=True)
class Trend:
    """What the fit over the genes of one batch expects, (G,) each.

    deviation: standard deviation at the gene's mean, 1 for a constant gene; clip: the value above which a spot counts
    as that value; varied: genes whose variance is above 0.
    """

    spots: np.ndarray
    sums: ValueSums
    mean: np.ndarray
    deviation: np.ndarray
    clip: np.ndarray
    varied: np.ndarray

    def score(self, excess: Excess) -> np.ndarray:
        """Variance of the clipped standardised values, (G,); 0 for constant genes.

        NaN where nothing is measured, and everywhere when no gene varies: such a batch ranks nothing.
        """
        within = self.sums - excess.sums
        spots, mean = self.spots.astype(np.float64), self.mean
        total = within.total.floats + excess.number * self.clip
        squares = within.squares.floats + excess.number * self.clip**2
        score = np.where((spots > 1) & self.varied.any(), 0.0, np.nan)
        spread = (spots - 1) * self.deviation**2
        np.divide(spots * mean**2 + squares - 2 * total * mean, spread, out=score, where=self.varied)
        return score


def trend_of(spots: np.ndarray, sums: ValueSums, *, name: str) -> Trend:
    """Fit the genes of one batch; spots: (G,) that measure the gene, sums: of its values; name: the batch, in errors.

    Raises ``DataContractError`` where the regression has too little to go by.
    """
    mean, variance = sums.total.over(spots), sums.variance(spots, ddof=1)
    varied = variance > 0
    deviation = np.ones(len(mean))
    if varied.any():
        fitted = _fitted(np.log10(mean[varied]), np.log10(variance[varied]), name=name)
        deviation[varied] = np.sqrt(10**fitted)
    clip = deviation * np.sqrt(spots) + mean
    return Trend(spots=spots, sums=sums, mean=mean, deviation=deviation, clip=clip, varied=varied)


def merged_ranks(scores: np.ndarray, *, n: int, ties: Ties) -> np.ndarray:
    """Ranks over the batches, (G,) int64, as ``seurat_v3_ranks``; scores: (batch, G), NaN where not measured.

    Genes within the first ``n`` of some batch, in order of their median rank there, then of the number of such
    batches, then of their place.
    """
    order = np.argsort(-scores, axis=1, kind="stable" if ties == "place" else None)
    ranks = np.argsort(order, axis=1)
    out = (ranks >= n) | np.isnan(scores)
    median = np.ma.median(np.ma.masked_array(ranks, mask=out), axis=0).filled(np.inf)
    chosen = np.lexsort((out.sum(axis=0), median))[: min(n, int(np.count_nonzero(~out.all(axis=0))))]
    result = np.full(scores.shape[1], -1, dtype=np.int64)
    result[chosen] = np.arange(len(chosen))
    return result


def _fitted(x: np.ndarray, y: np.ndarray, *, name: str) -> np.ndarray:
    """Local quadratic regression of y (G,) on x (G,), at x."""
    from skmisc.loess import loess  # compiled, and only this flavour needs it

    if len(x) < LEAST_GENES:  # the library crashes on fewer than 4
        raise _no_fit(name, x, why=f"at least {LEAST_GENES} are needed")
    model = loess(x, y, span=SPAN, degree=DEGREE)
    try:
        model.fit()
    except ValueError as error:
        raise _no_fit(
            name, x, why=str(error.args[0], "ascii") if isinstance(error.args[0], bytes) else error
        ) from error
    return model.outputs.fitted_values


def _no_fit(name: str, x: np.ndarray, *, why: object) -> DataContractError:
    return DataContractError(
        name,
        "seurat_v3",
        expected="genes of enough different means for a local regression of variance on mean",
        found=f"{len(x)} genes that vary, with {len(np.unique(x))} different means ({why})",
        remedy="rank over pooled batches or more genes, leave out the slide, or leave out the flavour seurat_v3",
    )
