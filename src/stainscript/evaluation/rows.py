"""One metric of one slide, as every table is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric of one slide over one subset; NaN when no gene of it has a value (``n_defined`` = 0)."""

    subset: str
    metric: str
    value: float
    n_defined: int
    n_genes: int
    n_spots: int
    post_hoc: bool


def row_of(subset: str, metric: str, values: np.ndarray, *, spots: int, post_hoc: bool) -> MetricRow:
    """The mean of the defined ones among ``values``, one a gene of the subset."""
    defined = values[~np.isnan(values)]
    return MetricRow(
        subset=subset,
        metric=metric,
        value=float(defined.mean()) if defined.size else float("nan"),
        n_defined=int(defined.size),
        n_genes=int(values.size),
        n_spots=spots,
        post_hoc=post_hoc,
    )
