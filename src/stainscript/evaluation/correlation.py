"""Pearson correlation per gene, from moments that can be pooled over slides: the only Pearson of the project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Stored values are float32, whose spacing is 2⁻²³ of the value; a product of matrices that should give one number for
# every spot differs by a few such steps. A column that varies by no more than 16 of them is rounding, not signal.
CONSTANT_WITHIN = 16 * 2.0**-23

FIELDS = ("n", "mean_predicted", "mean_observed", "m2_predicted", "m2_observed", "cross")


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Centred moments of predicted and observed values: (G,) for one slide, (K, G) for K slides stacked.

    n: number of spots; m2: sum of squared deviations from the mean; cross: sum of products of deviations. A column
    that is constant on its slide has m2 and cross of exactly 0.
    """

    n: np.ndarray
    mean_predicted: np.ndarray
    mean_observed: np.ndarray
    m2_predicted: np.ndarray
    m2_observed: np.ndarray
    cross: np.ndarray

    def pooled(self, weights: np.ndarray | None = None) -> Moments:
        """Moments over the spots of all K stacked slides together (Chan's merge for many parts), (G,).

        weights: (B, K), how often each slide is taken, e.g. by a bootstrap; the result is then (B, G). A slide that
        does not measure a gene has n = 0 there and changes nothing.
        """
        times = np.ones((1, len(self.n))) if weights is None else np.asarray(weights, dtype=np.float64)
        number = times @ self.n
        total = np.maximum(self.n.sum(axis=0), 1)
        centres, shifts = [], []
        for mean in (self.mean_predicted, self.mean_observed):
            centre = (self.n * mean).sum(axis=0) / total  # deviations from it keep the sums small: no cancellation
            centres.append(centre)
            shifts.append(np.where(self.n > 0, mean - centre, 0.0))
        sums = [times @ (self.n * shift) for shift in shifts]
        means = [np.divide(part, number, out=np.zeros_like(part), where=number > 0) for part in sums]

        def second(within: np.ndarray, a: int, b: int) -> np.ndarray:
            return times @ (within + self.n * shifts[a] * shifts[b]) - number * means[a] * means[b]

        merged = Moments(
            n=number,
            mean_predicted=centres[0] + means[0],
            mean_observed=centres[1] + means[1],
            m2_predicted=np.maximum(second(self.m2_predicted, 0, 0), 0.0),
            m2_observed=np.maximum(second(self.m2_observed, 1, 1), 0.0),
            cross=second(self.cross, 0, 1),
        )
        return merged if weights is not None else Moments(**{name: getattr(merged, name)[0] for name in FIELDS})

    def only(self, measured: np.ndarray) -> Moments:
        """The same with no spots, and zeros, for genes that are not ``measured`` ((G,) bool)."""
        return Moments(**{name: np.where(measured, getattr(self, name), 0) for name in FIELDS})

    def pearson(self) -> np.ndarray:
        """Pearson correlation, shape of the fields; NaN where either side is constant."""
        defined = (
            (self.n > 1)
            & ~_negligible(self.m2_predicted, self.mean_predicted, self.n)
            & ~_negligible(self.m2_observed, self.mean_observed, self.n)
        )
        scale = np.sqrt(self.m2_predicted) * np.sqrt(self.m2_observed)
        result = np.full(np.shape(self.cross), np.nan)
        np.divide(self.cross, scale, out=result, where=defined & (scale > 0))
        return np.clip(result, -1.0, 1.0)


def moments_of(predicted: np.ndarray, observed: np.ndarray) -> Moments:
    """Moments of one slide, in float64; predicted, observed: (S, G), same space."""
    predicted, observed = np.asarray(predicted, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if predicted.shape != observed.shape:
        raise ValueError(f"predicted {predicted.shape} and observed {observed.shape} differ in shape")
    mean_predicted, mean_observed = predicted.mean(axis=0), observed.mean(axis=0)
    from_predicted = np.where(is_constant(predicted), 0.0, predicted - mean_predicted)
    from_observed = np.where(is_constant(observed), 0.0, observed - mean_observed)
    return Moments(
        n=np.full(predicted.shape[1], len(predicted), dtype=np.int64),
        mean_predicted=mean_predicted,
        mean_observed=mean_observed,
        m2_predicted=np.square(from_predicted).sum(axis=0),
        m2_observed=np.square(from_observed).sum(axis=0),
        cross=(from_predicted * from_observed).sum(axis=0),
    )


def merge(parts: Sequence[Moments]) -> Moments:
    """Moments over several slides of the same genes, (G,)."""
    return Moments(**{name: np.stack([getattr(part, name) for part in parts]) for name in FIELDS}).pooled()


def pearson_per_gene(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Pearson correlation of each gene over the spots of one slide.

    predicted, observed: (S, G), same space. Returns (G,) float64; NaN where either column is constant.
    """
    return moments_of(predicted, observed).pearson()


def is_constant(values: np.ndarray) -> np.ndarray:
    """Whether each column of ``values`` (S, G) varies by float32 rounding at most, (G,) bool.

    A column is constant when its range is at most 16 float32 steps of its largest magnitude (1.9e-6 of it).
    """
    values = np.asarray(values)
    return np.ptp(values, axis=0) <= CONSTANT_WITHIN * np.abs(values).max(axis=0)


def _negligible(m2: np.ndarray, mean: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The same rule on moments: the standard deviation is at most 16 float32 steps of the mean."""
    return np.sqrt(m2 / np.maximum(n, 1)) <= CONSTANT_WITHIN * np.abs(mean)
