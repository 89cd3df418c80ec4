"""Order of the genes by the pathways that they share and by their co-expression: what GenAR's authors wish for.

[inferred] The paper asks for groups informed by pathways and gives no routine: here two genes are near when the sets
they belong to overlap (Jaccard) and when their profiles correlate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stainscript.errors import DataContractError
from stainscript.genes.groups.order import require_genes

if TYPE_CHECKING:
    from stainscript.genes.identifiers.names import GeneNames


def memberships(
    symbols: Sequence[str], gene_sets: Mapping[str, Sequence[str]], *, names: GeneNames | None
) -> np.ndarray:
    """(G, P) bool: which genes belong to which of the sets that hold two or more of them.

    names: old and current symbols are one gene; ``None``: only equal symbols are.
    """
    place: dict[str, list[int]] = {}
    for position, symbol in enumerate(symbols):
        place.setdefault(_current(symbol, names), []).append(position)
    member = np.zeros((len(symbols), len(gene_sets)), dtype=bool)
    for column, genes in enumerate(gene_sets.values()):
        member[[position for gene in genes for position in place.get(_current(gene, names), ())], column] = True
    return member[:, member.sum(axis=0) >= 2]


def _current(symbol: str, names: GeneNames | None) -> str:
    return symbol if names is None else names.current(symbol) or symbol


def pathway_groups(profiles: np.ndarray, member: np.ndarray, *, weight: float, k: int) -> tuple[np.ndarray, ...]:
    """The genes, neighbours alike: leaves of an average-linkage tree in their optimal order, cut into ``k`` subtrees.

    profiles: (G, S) z-scores; member: (G, P) bool. Distance of two genes: ``weight`` times 1 − the Jaccard index of
    their sets (1 where either has none) plus 1 − ``weight`` times (1 − correlation) / 2 (½ where either is constant).
    Returns groups of positions that follow one another in the tree; fewer than ``k`` where distances tie.
    Deterministic; the optimal order costs G² memory and up to G³ time. Raises ``DataContractError`` when pathways are
    to count and none holds two genes of the panel, for a weight outside 0 … 1, and for fewer genes than ``k``.
    """
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
    from scipy.spatial.distance import squareform

    require_genes(len(profiles), at_least=k, field="clusters")
    if not 0 <= weight <= 1:
        raise DataContractError(
            "groups", "weight", expected="a number from 0 to 1", found=weight, remedy="correct weight of the groups"
        )
    if weight > 0 and not member.shape[1]:
        raise DataContractError(
            "groups",
            "gene_sets",
            expected="a set that holds two genes of the panel or more",
            found="none",
            remedy="give gene sets of the panel's species, or set weight: 0",
        )
    if len(profiles) == 1:
        return (np.zeros(1, dtype=np.int64),)
    distance = weight * (1 - _jaccard(member)) + (1 - weight) * (1 - _correlation(profiles)) / 2
    np.fill_diagonal(distance, 0.0)
    condensed = squareform((distance + distance.T) / 2, checks=False)
    tree = linkage(condensed, method="average", optimal_ordering=True)
    order, subtree = leaves_list(tree).astype(np.int64), fcluster(tree, k, criterion="maxclust")
    cuts = np.flatnonzero(np.diff(subtree[order])) + 1
    return tuple(np.split(order, cuts))


def _jaccard(member: np.ndarray) -> np.ndarray:
    counts = member.astype(np.float64)
    both = counts @ counts.T
    size = counts.sum(axis=1)
    union = size[:, None] + size - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _correlation(profiles: np.ndarray) -> np.ndarray:
    """Of z-scores, so a product; 0 beside a constant gene."""
    length = np.sqrt(np.einsum("gs,gs->g", profiles, profiles))
    unit = profiles / np.where(length > 0, length, 1.0)[:, None]
    return np.clip(unit @ unit.T, -1.0, 1.0)
