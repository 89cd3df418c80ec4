"""Mean and spread over spots: features brought to 0 and 1, over a training set or each slide; means of targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from stainscript.batches.batch import SpotBatch


def moments(values: Any, *, mask: Any | None = None) -> tuple[Any, Any]:
    """Mean and spread of (S, D) values over spots: two (D,) arrays. A constant column gets spread 1.

    mask: (S, D) bool, the values that count, by default all; the others may hold anything. A column without any gets
    mean 0 and spread 1. Works on NumPy arrays and torch tensors alike.
    """
    mean = column_means(values, mask=mask)
    spread = column_means((values - mean) ** 2, mask=mask) ** 0.5
    # rounding leaves a constant of large size with a spread of about 1e-7 of it; that is not a signal
    constant = spread <= 1e-6 * abs(mean)
    return mean, spread + constant * (1.0 - spread)


def column_means(values: Any, *, mask: Any | None = None) -> Any:
    """Mean of (S, D) values over spots, (D,), as in ``moments``; a column without any value that counts gets 0."""
    if mask is None:
        return values.mean(0)
    kept = values.masked_fill(~mask, 0) if hasattr(values, "masked_fill") else np.where(mask, values, 0)
    return kept.sum(0) / mask.sum(0).clip(min=1)


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
