"""The metrics of one slide: a tidy row for each metric and gene subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stainscript.evaluation.correlation import Moments, moments_of
from stainscript.evaluation.errors import mae_per_gene, mse_per_gene, rvd_per_gene
from stainscript.evaluation.subsets import best_predicted


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
) -> SlideScore:
    """Score one slide.

    predicted, observed: (S, G), same space; subsets: name → positions of genes; best: sizes of the post hoc subsets
    ``best{n}``, the n best-predicted genes of this slide; measured: (G,) bool, genes that the slide measures, all by
    default: the others have no value and no spots here. Every value is the mean over the genes of its subset that
    are defined: ``pcc`` where neither side is constant, ``rvd`` where the truth is not, ``mse`` and ``mae`` where the
    gene is measured.
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
        _row(subset, metric, values[columns], spots=len(predicted), post_hoc=False)
        for metric, values in genes.items()
        for subset, columns in subsets.items()
    ]
    rows += [
        _row(f"best{n}", "pcc", genes["pcc"][best_predicted(genes["pcc"], size=n)], spots=len(predicted), post_hoc=True)
        for n in best
    ]
    return SlideScore(rows=tuple(rows), pcc=genes["pcc"], mse=genes["mse"], mae=genes["mae"], moments=moments)


def _row(subset: str, metric: str, values: np.ndarray, *, spots: int, post_hoc: bool) -> MetricRow:
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
