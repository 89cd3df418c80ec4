"""Programmes in predicted expression: clusters of genes whose predicted values rise and fall together over spots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from stainscript import seeds
from stainscript.errors import DataContractError, unknown_name
from stainscript.evaluation.correlation import Moments, is_constant

Clustering = Literal["average", "kmeans"]

COLUMNS = (
    *("analysis", "programme", "term", "programme_size", "term_size", "overlap_size", "genes"),
    *("score", "score_name", "p_value", "adjusted_p_value"),
)
RESTARTS = 10  # of k-means
INT32 = 2**31 - 1  # the largest seed that scikit-learn and gseapy take


def gene_correlation(parts: Sequence[np.ndarray], *, within_slide: bool = True) -> np.ndarray:
    """Pearson correlation of every two genes over the spots of all slides, (G, G); NaN where a gene is constant.

    parts: (S, G) predicted values, one array a slide. within_slide: deviations from each slide's own mean, so that
    slides that differ as a whole do not make all genes alike; otherwise the slides are one long table.
    """
    if not within_slide:
        parts = [np.concatenate(parts)]
    spots = sum(len(part) for part in parts)
    genes = parts[0].shape[1]
    mean, cross = np.zeros(genes), np.zeros((genes, genes))
    for part in parts:
        values = np.asarray(part, dtype=np.float64)
        own = values.mean(axis=0)
        mean += np.abs(own) * len(values) / spots  # the scale that rounding goes by
        deviations = np.where(is_constant(values), 0.0, values - own)
        cross += deviations.T @ deviations
    m2, number = np.diag(cross).copy(), np.full((1, 1), spots)
    return Moments(
        n=number,
        mean_predicted=mean[:, None],
        mean_observed=mean[None, :],
        m2_predicted=m2[:, None],
        m2_observed=m2[None, :],
        cross=cross,
    ).pearson()


def programmes(
    correlation: np.ndarray, *, number: int, clustering: Clustering = "average", seed: int = 0
) -> np.ndarray:
    """The programme of each gene, (G,): 1 for the largest, ties in order of their first gene; 0 for constant genes.

    correlation: (G, G), of ``gene_correlation``. ``average``: average linkage on 1 − r, cut into at most ``number``
    clusters; ``kmeans``: on the standardised genes, whose squared distance is 2(1 − r), the best of 10 starts. Raises
    ``DataContractError`` when fewer genes vary than programmes are asked for.
    """
    if clustering not in get_args(Clustering):
        raise unknown_name("programmes", "clustering", clustering, get_args(Clustering))
    varying = np.flatnonzero(~np.isnan(np.diag(correlation)))
    if not 1 <= number <= len(varying):
        raise DataContractError(
            "programmes",
            "number",
            expected=f"1 to {len(varying)}: that many of {len(correlation)} genes have predictions that vary",
            found=number,
            remedy="ask for fewer programmes, or see why the predictions are constant",
        )
    r = correlation[np.ix_(varying, varying)]
    found = _by_linkage(r, number) if clustering == "average" else _by_kmeans(r, number, seed)
    values, first, size = np.unique(found, return_index=True, return_counts=True)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.lexsort((first, -size))] = np.arange(1, len(values) + 1)
    labels = np.zeros(len(correlation), dtype=np.int64)
    labels[varying] = rank[np.searchsorted(values, found)]
    return labels


def member_rows(labels: np.ndarray, correlation: np.ndarray, genes: Sequence[str]) -> pd.DataFrame:
    """A row a programme: its genes in the order given, and the mean correlation of two of them (``score``)."""
    rows = []
    for label in range(1, labels.max() + 1):
        members = np.flatnonzero(labels == label)
        pairs = correlation[np.ix_(members, members)][np.triu_indices(len(members), k=1)]
        rows.append(
            {
                "analysis": "members",
                "programme": programme_name(label),
                "programme_size": len(members),
                "genes": ",".join(genes[member] for member in members),
                "score": float(pairs.mean()) if len(pairs) else np.nan,
                "score_name": "mean correlation",
            }
        )
    return frame_of(rows)


def _by_linkage(r: np.ndarray, number: int) -> np.ndarray:
    if len(r) == 1:
        return np.ones(1, dtype=np.int64)
    distance = np.clip(1 - r, 0.0, 2.0)
    np.fill_diagonal(distance, 0.0)
    return fcluster(linkage(squareform(distance, checks=False), "average"), t=number, criterion="maxclust")


def _by_kmeans(r: np.ndarray, number: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    state = seeds.stream_seed(seed, "programmes", "kmeans") % INT32
    with threadpool_limits(1):  # several threads add in another order, and a tie may fall another way
        value, vector = np.linalg.eigh(r)
        points = vector * np.sqrt(np.clip(value, 0.0, None))  # (G, G), inner products r: the genes without their spots
        return KMeans(n_clusters=number, n_init=RESTARTS, random_state=state).fit_predict(points)


def programme_name(label: int) -> str:
    """How a programme is called; names sort as their numbers do, up to 99."""
    return f"programme {label:02d}"


def frame_of(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows with the columns ``COLUMNS``; what a row does not state is empty or undefined."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    numbers = {"score": "float64", "p_value": "float64", "adjusted_p_value": "float64"}
    counts = dict.fromkeys(("programme_size", "term_size", "overlap_size"), "Int64")
    return frame.astype({**numbers, **counts}).fillna({"programme": "", "term": ""})
