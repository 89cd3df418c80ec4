"""Gene subsets that metrics are averaged over; positions in the panel, best first, ties in panel order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from stainscript.types import Panel


def of_panel(panel: Panel, *, size: int) -> dict[str, np.ndarray]:
    """``all``, and HEG and HVG by the mean and variance that the panel keeps of its training slides, e.g. ``heg50``."""
    return {
        "all": np.arange(len(panel)),
        f"heg{size}": largest(np.array(panel.mean), size),
        f"hvg{size}": largest(np.array(panel.variance), size),
    }


def of_labels(slides: Iterable[np.ndarray], *, size: int) -> dict[str, np.ndarray]:
    """``all``, and the classic HEG and HVG by the labels of a whole dataset, test slides included.

    slides: (S, G) labels of each slide. HEG: largest mean label over all spots. HVG: largest variance after each spot's
    labels are divided by their own sum (spots of sum 0 stay zero). Source: DKAN figures S6 and S7.
    """
    spots, mean_total, shares = 0, 0.0, []
    for labels in slides:
        labels = np.asarray(labels, dtype=np.float64)
        total = labels.sum(axis=1, keepdims=True)
        shares.append(np.divide(labels, total, out=np.zeros_like(labels), where=total != 0))
        mean_total = mean_total + labels.sum(axis=0)
        spots += len(labels)
    variance = np.concatenate(shares).var(axis=0)
    return {
        "all": np.arange(len(variance)),
        f"heg{size}": largest(np.asarray(mean_total) / spots, size),
        f"hvg{size}": largest(variance, size),
    }


def highly_predictive(
    pcc_of_folds: np.ndarray, *, size: int, undefined: Literal["worst", "best"] = "worst"
) -> np.ndarray:
    """HPG, post hoc: the genes whose rank of correlation, summed over folds, is largest.

    pcc_of_folds: (F, G), NaN where undefined. In each fold genes are ranked from 0 (lowest). ``undefined`` says where
    NaN ranks: ``worst`` here; the released code of TRIPLEX and DKAN ranks it ``best``. Returns up to ``size``
    positions.
    """
    fill = -np.inf if undefined == "worst" else np.inf
    filled = np.where(np.isnan(pcc_of_folds), fill, pcc_of_folds)
    ranks = np.argsort(np.argsort(filled, axis=1, kind="stable"), axis=1, kind="stable")
    return largest(ranks.sum(axis=0), size)


def best_predicted(pcc: np.ndarray, *, size: int) -> np.ndarray:
    """Post hoc: up to ``size`` genes of the largest defined correlation on one slide; pcc: (G,), NaN: undefined."""
    order = largest(np.where(np.isnan(pcc), -np.inf, pcc), len(pcc))
    return order[: min(size, int((~np.isnan(pcc)).sum()))]


def largest(values: np.ndarray, size: int) -> np.ndarray:
    """Positions of the ``size`` largest values, largest first; ties in order of position."""
    return np.argsort(-np.asarray(values, dtype=np.float64), kind="stable")[:size]
