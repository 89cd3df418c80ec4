"""Counts of a slide's own genes to counts of a vocabulary's genes: which column is which gene, and what columns meet.

STAMP section 3.2: names become the vocabulary's ids, other genes are dropped, absent genes are zero. Its released code
looks names up exactly and keeps the first of several columns of one gene; here they are added up unless asked.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from scipy import sparse

from stainscript.genes.identifiers.names import GeneNames, match
from stainscript.genes.tokens.vocabulary import Vocabulary

Merge = Literal["sum", "first"]


@dataclass(frozen=True, kw_only=True)
class VocabularyMatch:
    """Where the G columns of a slide go in a vocabulary of V genes, and the report of it.

    position: (G,) place from 0, −1 for a column that is dropped; unmapped: names that the vocabulary lacks; merged:
    gene id → the columns, more than one, that mean it (added up, or the first kept); size: V.
    """

    position: np.ndarray
    size: int
    mapped: tuple[str, ...]
    unmapped: tuple[str, ...]
    merged: Mapping[str, tuple[str, ...]]

    @cached_property
    def is_identity(self) -> bool:
        """The slide has the vocabulary's genes already, in its order."""
        return len(self.position) == self.size and bool((self.position == np.arange(self.size)).all())

    @cached_property
    def shared(self) -> np.ndarray:
        """(V + 1,) whether several columns go to a gene; False at the end, which a dropped column (−1) finds."""
        columns = np.bincount(self.position[self.position >= 0], minlength=self.size)
        return np.append(columns > 1, False)

    def apply(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Counts (S, V) of counts (S, G), CSR both, of the same type; zeros that are stored stay stored.

        The entries of a spot are in no particular order, which ranking does not need.
        """
        if self.is_identity:
            return counts
        place = self.position.astype(counts.indices.dtype)[counts.indices]
        data, kept = counts.data.copy(), place >= 0
        if self.shared.any():
            entries = np.flatnonzero(self.shared[place])
            spot = np.searchsorted(counts.indptr, entries, side="right") - 1
            _, first, same = np.unique(spot * self.size + place[entries], return_index=True, return_inverse=True)
            total = np.zeros(len(first), dtype=data.dtype)
            np.add.at(total, same, data[entries])
            data[entries[first]] = total
            kept[entries] = False
            kept[entries[first]] = True
        pointer = counts.indptr
        if not kept.all():
            data, place = data[kept], place[kept]
            pointer = np.concatenate([[0], np.cumsum(kept)])[pointer].astype(pointer.dtype)
        return sparse.csr_matrix((data, place, pointer), shape=(counts.shape[0], self.size))


def match_vocabulary(
    genes: Sequence[str],
    vocabulary: Vocabulary,
    *,
    merge: Merge,
    names: GeneNames | None,
    symbols: Sequence[str] | None = None,
) -> VocabularyMatch:
    """Find the column names of a slide in a vocabulary.

    genes: (G,) ids or symbols. Each is looked up in the vocabulary's symbol map, then in the vocabulary itself, as it
    is spelt. With ``names`` what is left is looked up without version suffix and by current symbol, by the gene's id
    first and then by ``symbols``, its (G,) display names. merge: ``sum`` adds columns of one gene; ``first`` numbers
    repeats as released code does (``-1``, ``-2``, …), which drops them unless the vocabulary has such an id.
    """
    spelt = [vocabulary.symbol_ids.get(gene, gene) for gene in genes]
    found = spelt if names is None else _by_names(spelt, genes, vocabulary, names, symbols)
    looked_up = found
    if merge == "first":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of suffixes that look alike; they are looked up exactly
            looked_up = make_index_unique(pd.Index(found)).tolist()
    position = np.array([vocabulary.index.get(name, -1) for name in looked_up], dtype=np.int64)
    columns: dict[str, list[str]] = {}
    for gene, name in zip(genes, found, strict=True):
        if name in vocabulary.index:
            columns.setdefault(name, []).append(gene)
    meant = {gene for several in columns.values() for gene in several}
    return VocabularyMatch(
        position=position,
        size=len(vocabulary),
        mapped=tuple(gene for gene, place in zip(genes, position, strict=True) if place >= 0),
        unmapped=tuple(gene for gene in genes if gene not in meant),
        merged={name: tuple(several) for name, several in columns.items() if len(several) > 1},
    )


def to_vocabulary(
    counts: sparse.csr_matrix,
    genes: Sequence[str],
    vocabulary: Vocabulary,
    *,
    merge: Merge = "sum",
    names: GeneNames | None = None,
) -> tuple[sparse.csr_matrix, VocabularyMatch]:
    """Counts (S, G) CSR of ``genes`` as counts (S, V) CSR of the vocabulary, and what ``match_vocabulary`` found."""
    report = match_vocabulary(genes, vocabulary, merge=merge, names=names)
    return report.apply(counts), report


def _by_names(
    spelt: Sequence[str],
    genes: Sequence[str],
    vocabulary: Vocabulary,
    names: GeneNames,
    symbols: Sequence[str] | None,
) -> list[str]:
    """What ``spelt`` means in the vocabulary, by old and current names; as it is spelt where that leads nowhere."""
    labels = dict(zip(genes, genes if symbols is None else symbols, strict=True))
    left = [gene for gene, name in zip(genes, spelt, strict=True) if name not in vocabulary.index]
    known = {symbol: gene for symbol, gene in vocabulary.symbol_ids.items() if gene in vocabulary.index}
    wanted = [*left, *(labels[gene] for gene in left)]
    found = match(wanted, [*vocabulary.gene_ids, *known], names=names) if left else {}
    meant = {gene: found.get(gene, found.get(labels[gene])) for gene in left}
    return [
        known.get(to, to) if (to := meant.get(gene)) is not None else name
        for gene, name in zip(genes, spelt, strict=True)
    ]
