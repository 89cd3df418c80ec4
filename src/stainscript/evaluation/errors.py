"""Errors of one slide's prediction, in the space of its values."""

from __future__ import annotations

import numpy as np

from stainscript.evaluation.correlation import is_constant

TRIPLEX_FLOOR = 0.01  # added to the true variance by TRIPLEX's second release


def mse_per_gene(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Mean squared error of each gene over spots, in space²; predicted, observed: (S, G). Returns (G,) float64."""
    return np.square(_difference(predicted, observed)).mean(axis=0)


def mae_per_gene(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Mean absolute error of each gene over spots; predicted, observed: (S, G). Returns (G,) float64."""
    return np.abs(_difference(predicted, observed)).mean(axis=0)


def rvd_per_gene(predicted: np.ndarray, observed: np.ndarray, *, floor: float | None = None) -> np.ndarray:
    """Squared relative difference of variances, ((var_pred − var_true) / var_true)², of each gene on one slide.

    predicted, observed: (S, G); variances over spots, ddof 0. floor ``None``: NaN where the truth is constant (GenAR);
    a number is added to the denominator instead (TRIPLEX: 0.01), so that every gene counts. Returns (G,) float64.
    """
    true = np.asarray(observed, dtype=np.float64).var(axis=0)
    difference = np.asarray(predicted, dtype=np.float64).var(axis=0) - true
    if floor is not None:
        return np.square(difference / (true + floor))
    relative = np.full(true.shape, np.nan)
    np.divide(difference, true, out=relative, where=~is_constant(observed))
    return np.square(relative)


def _difference(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    predicted, observed = np.asarray(predicted, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if predicted.shape != observed.shape:
        raise ValueError(f"predicted {predicted.shape} and observed {observed.shape} differ in shape")
    return predicted - observed
