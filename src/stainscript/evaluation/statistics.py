"""Intervals by resampling patients: slides of one patient are not independent, so they are drawn together."""

from __future__ import annotations

import numpy as np

from stainscript.evaluation.correlation import Moments

PERCENTILES = (2.5, 97.5)
BLOCK = 100  # resamples held at once while correlations are pooled
UNDEFINED = (float("nan"), float("nan"))


def patient_draws(patients: np.ndarray, *, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each slide is taken in each resample, (B, K) float64.

    patients: (K,) patient of each slide. P patients are drawn P times with replacement; a drawn patient brings all
    of its slides. Resamples depend on the sorted patient names and ``rng`` alone.
    """
    names, index = np.unique(patients, return_inverse=True)
    drawn = rng.integers(len(names), size=(resamples, len(names)))
    times = np.zeros((resamples, len(names)))
    np.add.at(times, (np.arange(resamples)[:, None], drawn), 1.0)
    return times[:, index]


def mean_interval(values: np.ndarray, weights: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of a weighted mean over slides, from the draws of ``patient_draws``.

    values: (K,), NaN where undefined, which leaves the slide out; weights: (K,), the share of each slide in the
    reported mean. NaN, NaN when fewer than two patients could be drawn (all draws alike) or nothing is defined.
    """
    defined = ~np.isnan(values)
    if not defined.any() or _one_patient(draws[:, defined]):
        return UNDEFINED
    shares = draws[:, defined] * weights[defined]
    total = shares.sum(axis=1)
    means = np.full(len(draws), np.nan)
    np.divide(shares @ values[defined], total, out=means, where=total > 0)
    return _interval(means)


def pooled_interval(moments: Moments, draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of the mean over genes of the pooled correlation; moments: (K, G) of K slides."""
    if _one_patient(draws):
        return UNDEFINED
    means = []
    for start in range(0, len(draws), BLOCK):
        pcc = moments.pooled(draws[start : start + BLOCK]).pearson()  # (B, G)
        defined = ~np.isnan(pcc)
        total = np.where(defined, pcc, 0.0).sum(axis=1)
        number = defined.sum(axis=1)
        means.append(np.divide(total, number, out=np.full(len(pcc), np.nan), where=number > 0))
    return _interval(np.concatenate(means))


def _one_patient(draws: np.ndarray) -> bool:
    """Whether there is nothing to resample: no draws, or every slide comes and goes with one patient."""
    return not draws.size or bool((draws == draws[:, :1]).all())


def _interval(means: np.ndarray) -> tuple[float, float]:
    defined = means[~np.isnan(means)]
    if not defined.size:
        return UNDEFINED
    low, high = np.percentile(defined, PERCENTILES)
    return float(low), float(high)
