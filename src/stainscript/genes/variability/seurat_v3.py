"""Highly variable genes by the variance that their mean does not explain (the "seurat_v3" flavour), read by blocks.

Source: Stuart et al. 2019, Methods, and scanpy's flavour of this name. Per batch: log10 of the variance is fitted on
log10 of the mean by local quadratic regression (span 0.3); values are standardised by the fitted deviation, clipped
from above at the square root of the number of spots, and genes ranked by the variance of what results. The first pass
over the spots gives the fit, the second counts what lies above the clip.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.backed import BLOCK_SPOTS, Expression
from stainscript.genes.normalise import library_size_of
from stainscript.genes.statistics.block_sums import (
    Slide,
    ValueSums,
    add_up,
    known_slides,
    pieces,
    sums_by_slide,
    values_of,
)
from stainscript.genes.statistics.dask_blocks import BLOCKS_A_CORE, Computing, computing, merged_by_slide
from stainscript.genes.statistics.exact_sums import Entries, scattered
from stainscript.genes.statistics.qc import detected_in
from stainscript.genes.variability.trend import Excess, Ties, merged_ranks, trend_of
from stainscript.types import Space

Batches = Literal["slide", "pooled"]


def seurat_v3_ranks(
    expression: Sequence[Expression],
    *,
    gene_ids: Sequence[str],
    n: int,
    space: Space,
    scheduler: str | None = None,
    batches: Batches = "pooled",
    ties: Ties = "place",
    block_spots: int = BLOCK_SPOTS,
    threads: int | None = None,
) -> np.ndarray:
    """Rank of each of ``gene_ids`` among themselves, (G,) int64: 0 the most variable, −1 beyond the first ``n``.

    expression: files or AnnData of counts; space: what the flavour is applied to, ``counts`` as its authors do or
    ``log1p_cp10k`` as STAMP's text says (library size over all genes of the slide); scheduler, threads: see
    ``dask_blocks``; batches: ``pooled`` takes all spots as one batch, ``slide`` each slide as one (scanpy's
    ``batch_key``). A gene is judged on the slides that measure it. ties: rare genes of a small slide tie by the
    hundred; ``place`` puts the one that stands first in ``gene_ids`` first, ``scanpy`` leaves it to NumPy's unstable
    sort as scanpy does, which differs between processors. Raises ``DataContractError`` for no genes (e.g. slides
    without a common one), a gene that no slide measures, and too few genes for the fit.
    """
    slides, genes, _ = known_slides(expression)
    among = _places(gene_ids, genes)
    space = Space(space)
    with computing(scheduler, threads=threads) as compute:
        ranking = Ranking(
            len(genes),
            among=among,
            n=n,
            space=space,
            batches=batches,
            ties=ties,
            block_spots=block_spots,
            compute=compute,
        )
        parts = sums_by_slide(slides, values=(space,), block_spots=block_spots, compute=compute)
        for slide, part in zip(slides, parts, strict=True):
            ranking.add(slide, part.sums[space])
        return ranking.ranks()


@dataclass(kw_only=True)
class _Batch:
    """Slides ranked together: their spots and sums over the genes of all slides, then what was found above the clip."""

    slides: list[Slide]
    spots: np.ndarray
    sums: ValueSums

    @property
    def name(self) -> str:
        return f"slide {self.slides[0].slide}" if len(self.slides) == 1 else f"{len(self.slides)} slides"

    def join(self, slide: Slide, spots: np.ndarray, sums: ValueSums) -> None:
        self.slides.append(slide)
        self.spots, self.sums = self.spots + spots, self.sums + sums


class Ranking:
    """Takes in the sums of slides one by one, goes over their blocks a second time, and ranks.

    genes: number of genes of all slides together; among: (G,) places of those to be ranked; else as
    ``seurat_v3_ranks``. With ``batches: slide`` the second pass follows a few slides behind the first.
    """

    def __init__(
        self,
        genes: int,
        *,
        among: np.ndarray,
        n: int,
        space: Space,
        batches: Batches,
        ties: Ties,
        block_spots: int,
        compute: Computing,
    ) -> None:
        self.genes, self.among, self.n, self.space = genes, among, n, space
        self.batches, self.ties, self.block_spots, self.compute = batches, ties, block_spots, compute
        self._waiting: list[_Batch] = []
        self._scores: list[np.ndarray] = []

    def add(self, slide: Slide, sums: ValueSums) -> None:
        """Take in the sums of one slide, over its own genes, in the space of the ranking."""
        spots = scattered(np.full(len(slide.columns), slide.spots), slide.columns, self.genes)
        sums = sums.scattered(slide.columns, self.genes)
        if self.batches == "pooled" and self._waiting:
            self._waiting[0].join(slide, spots, sums)
        else:
            self._waiting.append(_Batch(slides=[slide], spots=spots, sums=sums))
        if self.batches == "slide" and len(self._waiting) >= BLOCKS_A_CORE * self.compute.cores:
            self._judge()

    def ranks(self) -> np.ndarray:
        """(G,) int64 of the genes ``among``: 0 the most variable, −1 beyond the first ``n`` or never ranked."""
        self._judge()
        return merged_ranks(np.stack(self._scores), n=self.n, ties=self.ties)

    def _judge(self) -> None:
        """Second pass over the slides that wait: what lies above the clip is counted, and the scores follow."""
        trends = [
            trend_of(batch.spots[self.among], batch.sums.at(self.among), name=batch.name) for batch in self._waiting
        ]
        slides, limits = [], []
        for batch, trend in zip(self._waiting, trends, strict=True):
            limit = np.full(self.genes, np.inf)
            limit[self.among] = trend.clip
            slides += batch.slides
            limits += [limit] * len(batch.slides)
        found = merged_by_slide(
            _block_excess,
            [(slide.source, slide.spots) for slide in slides],
            arguments=lambda number: (limits[number][slides[number].columns], self.space),
            block_spots=self.block_spots,
            compute=self.compute,
        )
        for batch, trend in zip(self._waiting, trends, strict=True):
            total: Excess | None = None
            for slide in batch.slides:
                part = next(found)
                here = Excess(
                    scattered(part.number, slide.columns, self.genes), part.sums.scattered(slide.columns, self.genes)
                )
                total = here if total is None else total + here
            self._scores.append(trend.score(Excess(total.number[self.among], total.sums.at(self.among))))
        self._waiting = []


def _block_excess(source: Expression, rows: slice, limit: np.ndarray, space: Space) -> Excess:
    return functools.reduce(operator.add, (_piece_excess(counts, limit, space) for counts in pieces(source, rows)))


def _piece_excess(counts: sparse.csr_matrix, limit: np.ndarray, space: Space) -> Excess:
    values = counts.data
    if space != Space.COUNTS:
        values = values_of(counts, kind=space, library_size=library_size_of(counts))
    above = values > limit[counts.indices]
    values = values[above]
    counts.data *= above
    counts.eliminate_zeros()
    entries = Entries(counts)
    if space == Space.COUNTS:
        sums = ValueSums(entries.sum_counts(), entries.sum_squared_counts())
    else:
        sums = add_up(entries, values, kind=space)
    return Excess(detected_in(counts), sums)


def _places(gene_ids: Sequence[str], genes: Sequence[str]) -> np.ndarray:
    """Place of each of ``gene_ids`` in ``genes``; raises for none and for one that is nowhere."""
    place = {gene: number for number, gene in enumerate(genes)}
    absent = [gene for gene in gene_ids if gene not in place]
    if not gene_ids or absent:
        found = f"{absent[0]} and {len(absent) - 1} more that no slide measures" if absent else "none"
        raise DataContractError(
            "expression",
            "gene_ids",
            expected="at least 1 gene to rank, each measured by some slide",
            found=found,
            remedy="correct the list; if the slides have no gene in common, leave out the one that differs",
        )
    return np.array([place[gene] for gene in gene_ids], dtype=np.int64)
