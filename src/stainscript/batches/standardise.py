"""Features brought to zero mean and unit spread, over a training set or over each slide by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stainscript.batches.batch import SpotBatch


def moments(values: Any) -> tuple[Any, Any]:
    """Mean and spread of (S, D) features over spots: two (D,) arrays. A constant feature gets spread 1.

    Works on NumPy arrays and torch tensors alike.
    """
    mean = values.mean(0)
    spread = ((values - mean) ** 2).mean(0) ** 0.5
    # rounding leaves a constant of large size with a spread of about 1e-7 of it; that is not a signal
    constant = spread <= 1e-6 * abs(mean)
    return mean, spread + constant * (1.0 - spread)


def by_slide(batch: SpotBatch, *, view: str) -> SpotBatch:
    """``batch`` with the features of ``view`` z-scored over the spots of each slide.

    Removes what stain and scanner add to a slide as a whole. It reads features only, but all spots of a slide at once:
    the batch must hold whole slides.
    """
    values = batch.features[view]
    scaled = values * 0
    for spots in batch.spots_of_slides:
        if len(spots):
            mean, spread = moments(values[spots])
            scaled[spots] = (values[spots] - mean) / spread
    return replace(batch, features={**batch.features, view: scaled})
