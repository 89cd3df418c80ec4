"""GenAR's order of the genes: k-means on their profiles over the training spots, then k-means within each cluster.

Facts followed: GenAR section 3 (k-means on z-scores, 200 genes → 4 clusters → groups of about 12) and its released
``gene_clustering.py``. The clusters are not balanced, and the groups of a scale are equal blocks of this order
(``groups/scales.py``), which do not coincide with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stainscript.errors import DataContractError

Axis = Literal["gene", "spot"]
SMALL = 10  # a cluster of so few genes is not refined
OLDER_REFINE_N_INIT = 1  # the release that standardised spots left it to the library: 1 since scikit-learn 1.4


@dataclass(frozen=True, kw_only=True)
class TwoStages:
    """order: (G,) positions of the panel's genes; major: (G,) label of each gene at the first stage; refined: of each
    refined cluster, in order, its number and the labels of its genes; groups: the pieces of ``order``, as positions."""

    order: np.ndarray
    major: np.ndarray
    refined: tuple[tuple[int, np.ndarray], ...]
    groups: tuple[np.ndarray, ...]


def z_scores(counts: np.ndarray, *, axis: Axis) -> np.ndarray:
    """Standardised profiles, (G, S) float64, of counts (S, G).

    axis ``gene``: each gene over the spots, by its population standard deviation, a constant gene becomes 0; NaN (a
    gene that the spot's slide does not measure) becomes 0 too. ``spot``: each spot over the genes, as an older release
    did; there NaN stands for no expression.
    """
    profiles = np.ascontiguousarray(counts, dtype=np.float64).T  # one layout: sums, so labels, depend on it
    over = 1 if axis == "gene" else 0
    if axis == "spot":
        profiles = np.nan_to_num(profiles, nan=0.0)
    mean_of, spread_of = (np.nanmean, np.nanstd) if np.isnan(profiles).any() else (np.mean, np.std)
    scores = profiles - mean_of(profiles, axis=over, keepdims=True)
    spread = spread_of(profiles, axis=over, keepdims=True)
    scores /= np.where(spread == 0, 1.0, spread)  # a constant profile: 0 / 1
    return np.nan_to_num(scores, copy=False, nan=0.0)


def two_stage_order(
    counts: np.ndarray,
    *,
    seed: int = 42,
    major: int = 4,
    target_size: int = 12,
    zscore_axis: Axis = "gene",
    n_init: int = 10,
    refine_n_init: int = 10,
) -> TwoStages:
    """Order of the genes by two stages of k-means on their profiles.

    counts: (S, G) raw counts of the panel over all training spots. First ``major`` clusters; then, label by label, a
    cluster of n > 10 genes is split into max(2, ⌊n / ``target_size``⌋); genes follow one another by cluster, label and
    the order of the input. n_init, refine_n_init: restarts of the first and of the second stage. Raises
    ``DataContractError`` for fewer genes than clusters.
    """
    require_genes(counts.shape[1], at_least=major, field="major")
    scores = z_scores(counts, axis=zscore_axis)
    labels = _k_means(scores, major, seed=seed, n_init=n_init)
    refined: list[tuple[int, np.ndarray]] = []
    groups: list[np.ndarray] = []
    for label in range(major):
        members = np.flatnonzero(labels == label)
        if len(members) <= SMALL:
            groups.append(members)
            continue
        parts = max(2, len(members) // target_size)
        inner = _k_means(scores[members], parts, seed=seed, n_init=refine_n_init)
        refined.append((label, inner))
        groups += [members[inner == part] for part in range(parts)]
    groups = [group for group in groups if group.size]
    return TwoStages(order=np.concatenate(groups), major=labels, refined=tuple(refined), groups=tuple(groups))


def require_genes(genes: int, *, at_least: int, field: str) -> None:
    """Refuse a panel of fewer genes than clusters."""
    if genes < at_least:
        raise DataContractError(
            "groups",
            field,
            expected=f"a panel of at least {at_least} genes ({field})",
            found=f"{genes} genes",
            remedy=f"lower {field} of the groups, or take a larger panel",
        )


def _k_means(profiles: np.ndarray, clusters: int, *, seed: int, n_init: int) -> np.ndarray:
    """Label of each row, (G,); the numbering of labels is part of the result, so seed and restarts are fixed.

    One thread: the sums, so the labels, do not depend on the machine's cores, and so few rows gain nothing from more
    (200 genes × 13,620 spots: half a second, against up to 18 s on cores that others use too).
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return KMeans(n_clusters=clusters, random_state=seed, n_init=n_init).fit_predict(profiles)
