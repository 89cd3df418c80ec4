"""The metrics of one slide: a tidy row for each metric and gene subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stainscript.evaluation.correlation import Moments, moments_of
from stainscript.evaluation.count_rows import COUNT_SPACES, count_rows
from stainscript.evaluation.errors import mae_per_gene, mse_per_gene, rvd_per_gene
from stainscript.evaluation.rows import MetricRow, row_of
from stainscript.evaluation.subsets import best_predicted
from stainscript.types import Space


@dataclass(frozen=True, kw_only=True)
class SlideScore:
    """Everything scored on one slide: rows over subsets, and (G,) values of each gene."""

    rows: tuple[MetricRow, ...]
    pcc: np.ndarray
    mse: np.ndarray
    mae: np.ndarray
    moments: Moments


def score_slide(
    predicted: np.ndarray,
    observed: np.ndarray,
    *,
    subsets: Mapping[str, np.ndarray],
    best: Sequence[int],
    measured: np.ndarray | None = None,
    space: Space | None = None,
    theta: np.ndarray | None = None,
) -> SlideScore:
    """Score one slide.

    predicted, observed: (S, G), same space; subsets: name → positions of genes; best: sizes of the post hoc subsets
    ``best{n}``, the n best-predicted genes of this slide; measured: (G,) bool, genes that the slide measures, all by
    default: the others have no value and no spots here. Every value is the mean over the genes of its subset that
    are defined: ``pcc`` where neither side is constant, ``rvd`` where the truth is not, ``mse`` and ``mae`` where the
    gene is measured. space: of the values; where they are counts or log2(count + 1), the rows of ``count_rows`` follow,
    with ``theta`` (G,) from the training slides.
    """
    there = np.ones(predicted.shape[1], dtype=bool) if measured is None else measured
    moments = moments_of(predicted, observed).only(there)
    genes = {
        "pcc": moments.pearson(),
        "mse": mse_per_gene(predicted, observed),
        "mae": mae_per_gene(predicted, observed),
        "rvd": rvd_per_gene(predicted, observed),
    }
    genes = {metric: np.where(there, values, np.nan) for metric, values in genes.items()}
    rows = [
        row_of(subset, metric, values[columns], spots=len(predicted), post_hoc=False)
        for metric, values in genes.items()
        for subset, columns in subsets.items()
    ]
    pcc = genes["pcc"]
    rows += [
        row_of(f"best{n}", "pcc", pcc[best_predicted(pcc, size=n)], spots=len(predicted), post_hoc=True) for n in best
    ]
    if space in COUNT_SPACES:
        rows += count_rows(
            predicted, observed, space=space, pcc=pcc, subsets=subsets, best=best, measured=there, theta=theta
        )
    return SlideScore(rows=tuple(rows), pcc=pcc, mse=genes["mse"], mae=genes["mae"], moments=moments)
