"""STAMP's rank tokens (Algorithm 1): a spot's genes in order of count over the gene's mean, highest first.

The order within a spot depends on count / mean alone: the algorithm's library size and 10⁴ are one factor for the whole
spot, and multiplying by it first would only add rounding, which could part genes that tie. So it is left out of the
order, and a spot's tokens are the same whatever its depth; ``rank_scores`` gives the values with it. float64, ties by
ascending gene index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

import numpy as np
from scipy import sparse

from stainscript.genes.tokens.rank_table import RankTable, Scratch, capped
from stainscript.genes.tokens.vocabulary import STORED_PAD

BLOCK_ENTRIES = 2**17  # counts ranked at a time: they and their keys stay in a core's cache
SAMPLE_SPOTS = 1024  # the first of a call, which tell whether the table will do
MANY = 20  # spots beyond the table, sorted by themselves, take about as long as a new table
LEAST_HIGHEST = 8  # count of every gene that a table has, seen or not
SCALE = 1e4


def gene_weights(means: np.ndarray, *, rounding: Literal["none", "half_up"]) -> np.ndarray:
    """What counts are divided by, (V,) float64, from mean counts over the spots that show a gene, NaN where none does.

    ``none``: the mean itself, 1 for NaN (paper). ``half_up``: rounded to integers, halves up, 1 for NaN and for what
    rounds to 0 (released code).
    """
    means = np.asarray(means, dtype=np.float64)
    if rounding == "none":
        return np.where(np.isnan(means), 1.0, means)
    return np.maximum(np.floor(np.nan_to_num(means, nan=0.0) + 0.5), 1.0)


def rank_scores(counts: sparse.csr_matrix, weights: np.ndarray) -> sparse.csr_matrix:
    """Algorithm 1's values: counts scaled to 10⁴ a spot over the vocabulary's genes, over the gene's weight; CSR."""
    values = sparse.csr_matrix(counts, dtype=np.float64, copy=True)
    size = np.asarray(values.sum(axis=1)).ravel()
    scale = np.divide(SCALE, size, out=np.zeros_like(size), where=size > 0)
    values.data *= np.repeat(scale, np.diff(values.indptr)) / weights[values.indices]
    return values


def rank_tokens_by_spot(
    counts: sparse.csr_matrix, weights: np.ndarray, *, length: int, id_offset: int, keep_zeros: bool
) -> np.ndarray:
    """The algorithm as it reads, a spot at a time: what ``RankTokeniser`` must give, and is measured against."""
    tokens = np.full((counts.shape[0], length), STORED_PAD, dtype=np.int32)
    for spot in range(counts.shape[0]):
        row = counts[spot].sorted_indices()
        kept = row.data >= 0 if keep_zeros else row.data > 0
        genes = row.indices[kept]
        score = row.data[kept] / weights[genes]
        order = np.argsort(-score, kind="stable")[:length]
        tokens[spot, : len(order)] = genes[order] + id_offset
    return tokens


class RankTokeniser:
    """Rank tokens of many spots at once, a block of them after the other; one serves all slides of a vocabulary.

    weights: (V,) of ``gene_weights``; length: N; id_offset: token of gene 0, at least 1; keep_zeros: stored zeros are
    tokens after all counts; workers: threads that share the spots of a call. Whole numbers are ranked by a table of
    every gene's counts (``rank_table``), which is made anew when many spots have higher ones; the few that do, and
    fractions, are sorted by their scores, with the same result.
    """

    def __init__(
        self, weights: np.ndarray, *, length: int, id_offset: int, keep_zeros: bool = False, workers: int = 1
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        if not (self.weights > 0).all() or not np.isfinite(self.weights).all():
            raise ValueError("the weight of a gene is not a positive number")
        if id_offset < 1:
            raise ValueError("id_offset is 1 or more: 0 means no gene")
        self.length, self.id_offset, self.keep_zeros, self.workers = length, id_offset, keep_zeros, workers
        self._scratch = [Scratch() for _ in range(workers)]
        self._highest = np.full(len(self.weights), LEAST_HIGHEST)  # what the next table is to have
        self._table: RankTable | None = None
        self._beyond = 0  # counts met that this one lacks

    def tokens(self, counts: sparse.csr_matrix) -> np.ndarray:
        """Tokens (S, N) int32, padded right with 0; counts: (S, V) CSR, raw, each gene of a spot stored at most once.

        NaN counts as no count. Raises ``ValueError`` for a negative count and another number of genes.
        """
        if counts.shape[1] != len(self.weights):
            raise ValueError(f"counts of {counts.shape[1]} genes, weights of {len(self.weights)}")
        counts = _checked(counts)
        tokens = np.zeros((counts.shape[0], self.length), dtype=np.int32)  # STORED_PAD
        blocks = list(_row_blocks(counts.indptr))
        if counts.data.dtype.kind not in "iu":
            for rows in blocks:
                pointer = counts.indptr[rows.start : rows.stop + 1]
                entries = slice(pointer[0], pointer[-1])
                tokens[rows] = self._sort_scores(counts.indices[entries], counts.data[entries], pointer)
            return tokens
        self._table = self._table_for(counts)
        shares = [blocks[worker :: self.workers] for worker in range(self.workers)]
        rank = partial(self._rank_by_table, self._table, counts, tokens)
        if self.workers == 1:
            beyond = rank(shares[0], self._scratch[0])
        else:
            with ThreadPoolExecutor(self.workers) as pool:
                beyond = np.concatenate(list(pool.map(rank, shares, self._scratch)))
        self._beyond += len(beyond)
        self._want(counts.indices[beyond], counts.data[beyond])
        return tokens

    def _rank_by_table(
        self,
        table: RankTable,
        counts: sparse.csr_matrix,
        tokens: np.ndarray,
        blocks: Sequence[slice],
        scratch: Scratch,
    ) -> np.ndarray:
        """Fill the rows ``blocks`` of ``tokens``, and say which entries of ``counts`` the table lacks; one thread."""
        lacking = [np.empty(0, dtype=np.int64)]
        for rows in blocks:
            pointer = counts.indptr[rows.start : rows.stop + 1]
            entries = slice(pointer[0], pointer[-1])
            keys, beyond = table.keys(counts.indices[entries], counts.data[entries], scratch=scratch)
            ranked = _padded(keys, np.diff(pointer), fill=table.no_gene, scratch=scratch)
            ranked.sort(axis=1)  # ascending keys, descending scores
            ranked = ranked[:, : self.length]
            of_rows = tokens[rows]
            table.decode(ranked, of_rows[:, : ranked.shape[1]])
            if beyond.size:
                lacking.append(beyond + pointer[0])
                chosen = np.zeros(len(of_rows), dtype=bool)
                chosen[_spots_of(lacking[-1], pointer)] = True
                of_rows[chosen] = self._sort_scores(counts.indices[entries], counts.data[entries], pointer, chosen)
        return np.concatenate(lacking)

    def _table_for(self, counts: sparse.csr_matrix) -> RankTable:
        """The table at hand, or a new one if the first spots tell that too many of ``counts`` are beyond it."""
        spots = min(SAMPLE_SPOTS, counts.shape[0])
        genes, data = (part[: counts.indptr[spots]] for part in (counts.indices, counts.data))
        high = np.flatnonzero(data > LEAST_HIGHEST)
        beyond = high[data[high] > self._highest[genes[high]]]
        few = len(_spots_of(beyond, counts.indptr)) * counts.shape[0] <= MANY * spots and self._beyond <= MANY
        if self._table is not None and few:
            return self._table
        self._beyond = 0
        self._want(genes, data)
        highest = capped(self._highest)
        if self._table is not None and np.array_equal(highest, self._table.highest):
            return self._table  # it has all that a table may have
        return RankTable(self.weights, highest=highest, id_offset=self.id_offset, keep_zeros=self.keep_zeros)

    def _want(self, genes: np.ndarray, data: np.ndarray) -> None:
        """Counts that the next table is to have, with room for somewhat higher ones."""
        roomy = data.astype(np.int64)
        roomy += roomy // 2 + 1
        np.maximum.at(self._highest, genes.astype(np.intp), roomy)  # of the types that it is fast with

    def _sort_scores(
        self, genes: np.ndarray, data: np.ndarray, pointer: np.ndarray, chosen: np.ndarray | None = None
    ) -> np.ndarray:
        """Tokens of consecutive spots, or the ``chosen`` of them, by sorting the scores themselves; any numbers."""
        number = np.diff(pointer)
        if chosen is not None:
            inside = np.repeat(chosen, number)
            genes, data, number = genes[inside], data[inside], number[chosen]
        score = -(data / self.weights[genes])
        score[data == 0] = 0.0 if self.keep_zeros else np.inf
        padded = _padded(score, number, fill=np.inf, scratch=Scratch())
        named = _padded(genes.astype(np.int32) + self.id_offset, number, fill=STORED_PAD, scratch=Scratch())
        order = np.lexsort((named, padded), axis=1)[:, : self.length]
        dropped = np.isinf(np.take_along_axis(padded, order, axis=1))
        tokens = np.zeros((len(number), self.length), dtype=np.int32)
        tokens[:, : order.shape[1]] = np.where(dropped, STORED_PAD, np.take_along_axis(named, order, axis=1))
        return tokens


def lengths_of(tokens: np.ndarray) -> np.ndarray:
    """Number of genes in each spot's tokens, (S,) int32; tokens: (S, N), padded right."""
    return np.count_nonzero(tokens != STORED_PAD, axis=1).astype(np.int32)


def _checked(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """The counts as integers where they are whole; NaN made 0."""
    data = counts.data
    if data.dtype.kind not in "iu":
        data = np.nan_to_num(data.astype(np.float64), nan=0.0)
        if np.array_equal(data, np.rint(data)) and data.max(initial=0) < 2**31:
            data = data.astype(np.int32)
        counts = sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)
    if data.size and data.min() < 0:
        raise ValueError("a count is negative")
    return counts


def _row_blocks(pointer: np.ndarray) -> Iterator[slice]:
    """Slices of spots with about ``BLOCK_ENTRIES`` counts each; one spot at least."""
    spots = len(pointer) - 1
    step = max(1, BLOCK_ENTRIES * spots // max(1, int(pointer[-1])))
    for start in range(0, spots, step):
        yield slice(start, min(start + step, spots))


def _spots_of(entries: np.ndarray, pointer: np.ndarray) -> np.ndarray:
    """The spots, from 0 and each once, that positions in a CSR matrix's arrays belong to."""
    return np.unique(np.searchsorted(pointer, entries, side="right") - 1)


def _padded(values: np.ndarray, number: np.ndarray, *, fill: float, scratch: Scratch) -> np.ndarray:
    """Values of consecutive spots, ``number`` of each, as (spots, longest), ``fill`` behind each spot's own."""
    shape = len(number), int(number.max())
    small = np.min_scalar_type(shape[1])  # narrow integers compare faster
    there = scratch.array("there", shape, np.bool_)
    np.less(np.arange(shape[1], dtype=small), number.astype(small)[:, None], out=there)
    padded = scratch.array("padded", shape, values.dtype)
    padded.fill(fill)
    padded[there] = values
    return padded
