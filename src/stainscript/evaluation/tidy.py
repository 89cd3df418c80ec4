"""Scored slides as tidy frames: rows of slides, of genes, and of the drawn maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from stainscript.evaluation.score import SlideScore
from stainscript.evaluation.subsets import best_predicted
from stainscript.types import Panel

BEST_MAPS, WORST_MAPS = 6, 2
SLIDE_COLUMNS = (
    *("experiment", "fold", "seed", "dataset", "slide", "patient", "subset", "metric", "space", "value"),
    *("n_defined", "n_genes", "n_spots", "post_hoc"),
)


@dataclass(frozen=True, kw_only=True)
class ScoredSlide:
    """One test slide: what was predicted, what was measured, in the order of the panel, and its score."""

    slide: str
    patient: str
    spot_id: np.ndarray  # (S,)
    xy_px: np.ndarray  # (S, 2), level-0 px
    predicted: np.ndarray  # (S, G)
    observed: np.ndarray  # (S, G)
    score: SlideScore
    measured: np.ndarray | None = None  # (G,) bool: genes that the slide measures; None: all


def slide_rows(scored: Sequence[ScoredSlide], *, head: Mapping[str, Any]) -> pd.DataFrame:
    """A row a slide × subset × metric, columns ``SLIDE_COLUMNS``; head: experiment, fold, seed, dataset, space."""
    rows = [
        {**head, "slide": one.slide, "patient": one.patient, **asdict(row)} for one in scored for row in one.score.rows
    ]
    return pd.DataFrame(rows)[list(SLIDE_COLUMNS)]


def gene_rows(
    scored: Sequence[ScoredSlide], *, head: Mapping[str, Any], panel: Panel, heg: np.ndarray, hvg: np.ndarray
) -> pd.DataFrame:
    """A row a slide × gene, with errors and moments; head: experiment, fold, seed; heg, hvg: positions in the panel."""
    genes = {"gene_id": panel.gene_ids, "symbol": panel.symbols}
    everyone = np.arange(len(panel))
    frames = []
    for one in scored:
        score, moments = one.score, one.score.moments
        frames.append(
            pd.DataFrame(
                {
                    **head,
                    "slide": one.slide,
                    "patient": one.patient,
                    **genes,
                    "pcc": score.pcc,
                    "mse": score.mse,
                    "mae": score.mae,
                    "n_spots": moments.n,
                    "mean_observed": moments.mean_observed,
                    "mean_predicted": moments.mean_predicted,
                    "m2_observed": moments.m2_observed,
                    "m2_predicted": moments.m2_predicted,
                    "cross": moments.cross,
                    "in_heg": np.isin(everyone, heg),
                    "in_hvg": np.isin(everyone, hvg),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def drawn_genes(scored: Sequence[ScoredSlide], *, panel: Panel, asked: Sequence[str]) -> np.ndarray:
    """Positions of the genes to draw, ascending: symbols asked for, best and worst by mean PCC over the slides.

    Where no correlation is defined (a constant prediction), mean expression stands in for the correlation.
    """
    pcc = np.stack([one.score.pcc for one in scored])  # (N, G)
    number = (~np.isnan(pcc)).sum(axis=0)
    mean = np.divide(np.nansum(pcc, axis=0), number, out=np.full(len(panel), np.nan), where=number > 0)
    rank_by = mean if number.any() else np.array(panel.mean)
    wanted = np.flatnonzero(np.isin(panel.symbols, list(asked)))
    best, worst = best_predicted(rank_by, size=BEST_MAPS), best_predicted(-rank_by, size=WORST_MAPS)
    return np.unique(np.concatenate([wanted, best, worst]))


def map_rows(one: ScoredSlide, *, panel: Panel, drawn: np.ndarray) -> pd.DataFrame:
    """Measured and predicted values of the drawn genes that the slide measures: gene by gene, spots in stored order."""
    drawn = drawn if one.measured is None else drawn[one.measured[drawn]]
    spots = len(one.spot_id)
    return pd.DataFrame(
        {
            "slide": one.slide,
            "gene_id": np.repeat(np.array(panel.gene_ids)[drawn], spots),
            "symbol": np.repeat(np.array(panel.symbols)[drawn], spots),
            "spot_id": np.tile(one.spot_id, len(drawn)),
            "x_px": np.tile(one.xy_px[:, 0], len(drawn)),
            "y_px": np.tile(one.xy_px[:, 1], len(drawn)),
            "measured": one.observed[:, drawn].T.ravel().astype(np.float32),
            "predicted": one.predicted[:, drawn].T.ravel().astype(np.float32),
        }
    )
