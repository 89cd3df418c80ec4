"""Standardised features for methods that work on them in NumPy."""

from __future__ import annotations

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.standardise import by_slide, moments
from stainscript.methods.options import Standardisation


def fit_standardisation(batch: SpotBatch, *, view: str, how: Standardisation) -> dict[str, np.ndarray]:
    """``feature_mean``, ``feature_spread``: (D,) float32, of the training spots; 0 and 1 where slides do it alone."""
    width = batch.features[view].shape[1]
    mean, spread = (np.zeros(width), np.ones(width)) if how == "slide" else moments(batch.features[view])
    return {"feature_mean": mean.astype(np.float32), "feature_spread": spread.astype(np.float32)}


def standardised(batch: SpotBatch, *, view: str, how: Standardisation, statistics: dict[str, np.ndarray]) -> np.ndarray:
    """(S, D) features of ``view`` as the method sees them; with ``how="slide"`` the batch must hold whole slides."""
    if how == "slide":
        batch = by_slide(batch, view=view)
    return (batch.features[view] - statistics["feature_mean"]) / statistics["feature_spread"]
