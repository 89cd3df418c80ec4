"""Exact sums per gene of the slides of a cohort, slide by slide, each read by blocks; genes of all slides together."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.backed import Expression, read_block, read_head, rows_of
from stainscript.genes.normalise import library_size_of, sparse_to_space
from stainscript.genes.statistics.dask_blocks import Computing, merged_by_slide
from stainscript.genes.statistics.exact_sums import Entries, ExactSum, exact_variance
from stainscript.genes.statistics.qc import SpotTotals, detected_in, kinds_of, spot_totals
from stainscript.types import Space

PIECE_SPOTS = 256  # spots whose temporaries exist at once; a block is read whole and added up by pieces
Values = Space | Literal["share"]  # share: count / library size
BELOW = {"share": 0}  # power of two that no value exceeds; the logarithms of counts below 2**31 stay below 2**5
LOG_BELOW = 5


@dataclass(frozen=True, kw_only=True)
class Slide:
    """Where a slide's counts are, and at which places of the list of all genes its own genes stand."""

    source: Expression
    dataset: str
    slide: str
    spots: int
    columns: np.ndarray = field(repr=False)  # (G of the slide,) integers
    kinds: np.ndarray = field(repr=False)  # (G of the slide, 2) bool, as ``qc.kinds_of``


@dataclass(frozen=True)
class ValueSums:
    """Per gene the sum of values and of their squares."""

    total: ExactSum
    squares: ExactSum

    def __add__(self, other: ValueSums) -> ValueSums:
        return ValueSums(self.total + other.total, self.squares + other.squares)

    def __sub__(self, other: ValueSums) -> ValueSums:
        return ValueSums(self.total - other.total, self.squares - other.squares)

    def scattered(self, columns: np.ndarray, genes: int) -> ValueSums:
        return ValueSums(self.total.scattered(columns, genes), self.squares.scattered(columns, genes))

    def at(self, genes: np.ndarray) -> ValueSums:
        return ValueSums(self.total.at(genes), self.squares.at(genes))

    def variance(self, number: np.ndarray, *, ddof: int) -> np.ndarray:
        """(G,) float64 over ``number`` (G,) spots; NaN below 1 + ddof."""
        return exact_variance(self.total, self.squares, number, ddof=ddof)


@dataclass(frozen=True)
class BlockSums:
    """What one pass over some spots of one slide collects: per spot, per gene, and per gene in each space asked for."""

    spots: SpotTotals
    detected: np.ndarray  # (G,) int64
    sums: Mapping[Values, ValueSums]

    def __add__(self, later: BlockSums) -> BlockSums:
        sums = {key: part + later.sums[key] for key, part in self.sums.items()}
        return BlockSums(self.spots + later.spots, self.detected + later.detected, sums)


def known_slides(expression: Sequence[Expression]) -> tuple[list[Slide], tuple[str, ...], tuple[str, ...]]:
    """The slides, and the ids and symbols of all their genes in ascending order of id; symbols as first spelt.

    Raises ``DataContractError`` for no slide and for a slide given twice.
    """
    if not expression:
        raise DataContractError(
            "expression", "slides", expected="at least 1 slide", found="none", remedy="see the split"
        )
    place: dict[str, int] = {}
    symbols: list[str] = []
    lists: list[tuple[np.ndarray, np.ndarray]] = []  # of genes: their places, their kinds
    last: tuple[str, ...] | None = None
    read: dict[tuple[str, str], tuple[Expression, int, int]] = {}
    for source in expression:
        head = read_head(source)
        if (head.dataset, head.slide) in read:
            raise DataContractError(
                head.path, "slide", expected="each slide once", found=f"{head.slide} again", remedy="name it once"
            )
        if head.gene_ids != last:  # slides of one platform share their genes
            last = head.gene_ids
            for gene, symbol in zip(last, head.symbols, strict=True):
                if gene not in place:
                    place[gene] = len(place)
                    symbols.append(symbol)
            lists.append((np.array([place[gene] for gene in last], dtype=np.int64), kinds_of(head.symbols)))
        read[head.dataset, head.slide] = (source, head.shape[0], len(lists) - 1)
    genes = list(place)
    order = sorted(range(len(genes)), key=genes.__getitem__)
    moved = np.empty(len(genes), dtype=np.int64)
    moved[order] = np.arange(len(genes))
    columns = [moved[places] for places, _ in lists]
    slides = [
        Slide(source=source, dataset=dataset, slide=name, spots=spots, columns=columns[n], kinds=lists[n][1])
        for (dataset, name), (source, spots, n) in read.items()
    ]
    return slides, tuple(genes[n] for n in order), tuple(symbols[n] for n in order)


def sums_by_slide(
    slides: Sequence[Slide], *, values: Sequence[Values], block_spots: int, compute: Computing
) -> Iterator[BlockSums]:
    """The sums of each slide in order, over its own genes, in the spaces ``values``."""
    return merged_by_slide(
        _block_sums,
        [(slide.source, slide.spots) for slide in slides],
        arguments=lambda number: (slides[number].kinds, tuple(values)),
        block_spots=block_spots,
        compute=compute,
    )


def pieces(source: Expression, rows: slice) -> Iterator[sparse.csr_matrix]:
    """Counts of a block a few spots at a time, (S, G) CSR without stored zeros; at least one piece, be it empty."""
    block = read_block(source, rows)
    block.eliminate_zeros()
    if block.shape[0] <= PIECE_SPOTS:
        yield block
        return
    for few in rows_of(block.shape[0], spots=PIECE_SPOTS):
        yield block[few]


def values_of(counts: sparse.csr_matrix, *, kind: Values, library_size: np.ndarray) -> np.ndarray:
    """The entries of ``counts`` (S, G) in a space, (E,) float64, in their order; library_size: (S,)."""
    if kind == "share":
        return counts.data / np.repeat(library_size, np.diff(counts.indptr))
    return sparse_to_space(counts, space=kind, library_size=library_size).data


def add_up(entries: Entries, values: np.ndarray, *, kind: Values) -> ValueSums:
    """Sums of ``values`` (E,), which ``values_of`` gave, and of their squares."""
    below = BELOW.get(kind, LOG_BELOW)
    total = entries.sum_reals(values, below=below)
    return ValueSums(total, entries.sum_reals(np.square(values), below=2 * below))


def _block_sums(source: Expression, rows: slice, kinds: np.ndarray, values: Sequence[Values]) -> BlockSums:
    return functools.reduce(operator.add, (_piece_sums(counts, kinds, values) for counts in pieces(source, rows)))


def _piece_sums(counts: sparse.csr_matrix, kinds: np.ndarray, values: Sequence[Values]) -> BlockSums:
    entries, size = Entries(counts), library_size_of(counts)
    sums: dict[Values, ValueSums] = {}
    for kind in values:
        if kind == Space.COUNTS:
            sums[kind] = ValueSums(entries.sum_counts(), entries.sum_squared_counts())
        else:
            sums[kind] = add_up(entries, values_of(counts, kind=kind, library_size=size), kind=kind)
    return BlockSums(spot_totals(counts, kinds=kinds), detected_in(counts), sums)


class Pool:
    """Sums over several slides, over the genes of all of them: a gene counts the spots of the slides that measure it.

    slides, spots, filled, detected: (G,) int64; filled: spots with any count.
    """

    def __init__(self, genes: int) -> None:
        self.slides, self.spots, self.filled, self.detected = (np.zeros(genes, dtype=np.int64) for _ in range(4))
        self.sums: dict[Values, ValueSums] = {}

    def add(self, slide: Slide, part: BlockSums) -> None:
        """Take in one slide."""
        self.slides[slide.columns] += 1
        self.spots[slide.columns] += slide.spots
        self.filled[slide.columns] += np.count_nonzero(part.spots.counts)
        self.detected[slide.columns] += part.detected
        for kind, sums in part.sums.items():
            here = sums.scattered(slide.columns, len(self.slides))
            self.sums[kind] = self.sums[kind] + here if kind in self.sums else here
