"""Which of many overlapping gene sets to keep, by their Jaccard index J = |A ∩ B| / |A ∪ B|.

Both rules walk over the sets once and compare a set with all others in one sparse product, so that ten thousand sets
take seconds and no matrix of all pairs is ever held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

Ties = Literal["first", "second"]


@dataclass(frozen=True, kw_only=True)
class Redundant:
    """A set that was left out, the set that it overlaps with, and their Jaccard index."""

    name: str
    because: str
    jaccard: float


def keep_largest(sets: Mapping[str, Sequence[str]], *, tau: float) -> tuple[list[str], list[Redundant]]:
    """From the largest set to the smallest, ties by name: keep a set when J ≤ tau with every set kept so far.

    The rule of HistoPrism's release; J = tau exactly is allowed. Returns the kept names in that order, and the sets
    left out, each with the largest kept set that it overlaps with.
    """
    order = sorted(sets, key=lambda name: (-len(set(sets[name])), name))
    overlaps = _Overlaps(sets, order)
    blocked = np.zeros(len(order), dtype=bool)
    kept: list[str] = []
    left_out: list[tuple[int, Redundant]] = []
    for row, name in enumerate(order):
        if blocked[row]:
            continue
        kept.append(name)
        others, jaccard = overlaps.above(row, tau)
        fresh = (others > row) & ~blocked[others]
        blocked[others[fresh]] = True
        left_out += [
            (int(other), Redundant(name=order[other], because=name, jaccard=float(value)))
            for other, value in zip(others[fresh], jaccard[fresh], strict=True)
        ]
    return kept, [redundant for _, redundant in sorted(left_out, key=lambda pair: pair[0])]


def drop_larger(
    sets: Mapping[str, Sequence[str]], *, tau: float, ties: Ties = "second"
) -> tuple[list[str], list[Redundant]]:
    """Pair by pair in order of name, (1, 2), (1, 3), …, (2, 3), …: of two remaining sets with J > tau drop the larger.

    The words of HistoPrism's section 3.3; it names no order and no rule for sets of equal size: ``ties`` says which of
    the pair goes. Returns the kept names in order of name, and the sets dropped, each with the set that it fell to.
    """
    order = sorted(sets)
    overlaps = _Overlaps(sets, order)
    alive = np.ones(len(order), dtype=bool)
    dropped: list[Redundant] = []
    for row, name in enumerate(order):
        if not alive[row]:
            continue
        others, jaccard = overlaps.above(row, tau)
        later = (others > row) & alive[others]
        others, jaccard = others[later], jaccard[later]
        falls = overlaps.sizes[row] > overlaps.sizes[others]
        falls |= (overlaps.sizes[row] == overlaps.sizes[others]) & (ties == "first")
        end = int(np.argmax(falls)) if falls.any() else len(others)  # this set is gone from that pair on
        alive[others[:end]] = False
        dropped += [
            Redundant(name=order[other], because=name, jaccard=float(value))
            for other, value in zip(others[:end], jaccard[:end], strict=True)
        ]
        if end < len(others):
            alive[row] = False
            dropped.append(Redundant(name=name, because=order[others[end]], jaccard=float(jaccard[end])))
    return [name for name, there in zip(order, alive, strict=True) if there], sorted(dropped, key=lambda one: one.name)


class _Overlaps:
    """Who shares genes with whom; rows in the order of ``order``."""

    def __init__(self, sets: Mapping[str, Sequence[str]], order: Sequence[str]) -> None:
        self._members = membership([sets[name] for name in order])
        self._columns = self._members.T.tocsr()
        self.sizes = np.diff(self._members.indptr)  # (K,) genes of each set

    def above(self, row: int, tau: float) -> tuple[np.ndarray, np.ndarray]:
        """The sets with J > tau with set ``row``, itself among them, ascending, and their J."""
        shared = self._members[[row]] @ self._columns  # (1, K)
        others = shared.indices
        jaccard = shared.data / (self.sizes[row] + self.sizes[others] - shared.data)
        over = jaccard > tau
        order = np.argsort(others[over], kind="stable")
        return others[over][order], jaccard[over][order]


def membership(sets: Sequence[Sequence[str]], genes: Sequence[str] | None = None) -> sparse.csr_matrix:
    """(K, G) CSR of int64 ones where set k has gene g; genes: the columns, each gene of the sets by default.

    A gene that is no column is left out; one that a set lists twice counts once.
    """
    columns: dict[str, int] = {} if genes is None else {gene: column for column, gene in enumerate(genes)}
    pointer, indices = [0], []
    for one in sets:
        unique = dict.fromkeys(one)
        if genes is None:
            indices += [columns.setdefault(gene, len(columns)) for gene in unique]
        else:
            indices += [columns[gene] for gene in unique if gene in columns]
        pointer.append(len(indices))
    ones = np.ones(len(indices), dtype=np.int64)
    shape = (len(pointer) - 1, max(len(columns), 1))
    return sparse.csr_matrix((ones, np.array(indices, dtype=np.int64), np.array(pointer)), shape=shape)
