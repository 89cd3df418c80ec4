"""Measured counts under a negative binomial whose mean is the prediction.

Source: released code of GenAR (``model_metrics.py``, ``hest_dataset.py``).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

SMALLEST_MEAN = 1e-8  # a predicted mean of 0 would give a measured count of 1 no probability at all
THETA_RANGE = (1e-3, 1e6)


def nb_theta(
    mean: np.ndarray, variance: np.ndarray, *, smallest: float = THETA_RANGE[0], largest: float | None = THETA_RANGE[1]
) -> np.ndarray:
    """Negative-binomial size of each gene by moments: mean² / max(variance − mean, 1e-6), kept within bounds.

    mean, variance: (G,) of the counts of the training spots, ddof 0; largest ``None``: no upper bound. (G,) float64.
    """
    mean, variance = np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    return np.clip(np.square(mean) / np.maximum(variance - mean, 1e-6), smallest, largest)


def nb_nll_per_gene(mean: np.ndarray, counts: np.ndarray, *, theta: np.ndarray) -> np.ndarray:
    """Negative log-likelihood (nats) of measured counts under NB(mean, theta), averaged over spots.

    mean: (S, G) predicted means, at least 1e-8 each; counts: (S, G); theta: (G,) finite and positive, else
    ``ValueError``; variance is mean + mean² / theta. Returns (G,) float64.
    """
    counts = np.asarray(counts, dtype=np.float64)
    theta = np.asarray(theta, dtype=np.float64)
    if theta.shape != counts.shape[1:] or not (np.isfinite(theta).all() and (theta > 0).all()):
        raise ValueError(f"theta must be {counts.shape[1]} finite positive numbers, found shape {theta.shape}")
    mean = np.maximum(np.asarray(mean, dtype=np.float64), SMALLEST_MEAN)
    both = np.log(theta + mean)
    likelihood = gammaln(counts + theta) - gammaln(theta) - gammaln(counts + 1.0)
    likelihood += theta * (np.log(theta) - both) + counts * (np.log(mean) - both)
    return -likelihood.mean(axis=0)
