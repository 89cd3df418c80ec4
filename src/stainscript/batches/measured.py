"""Genes that some slides do not measure: where their targets count, and which genes can be fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.errors import DataContractError


@dataclass(frozen=True, kw_only=True)
class GenePattern:
    """Genes that the same slides measure: to a method without iterations they are one problem."""

    slides: np.ndarray  # (N,) bool
    genes: np.ndarray  # (g,) int64, ascending

    def spots(self, slide_index: np.ndarray) -> np.ndarray:
        """Which spots measure these genes, (S,) bool."""
        return self.slides[slide_index]


def gene_patterns(measured: np.ndarray | None, *, slide_index: np.ndarray, genes: int) -> list[GenePattern]:
    """The patterns of ``genes`` genes, the one of most measured values (spots × genes) first.

    measured: (N, G) bool, None: all; slide_index: (S,). Slides without spots do not count: genes that differ only there
    share a pattern, and a gene that no spot measures is in none. Every other gene is in exactly one.
    """
    spots = np.bincount(slide_index, minlength=0 if measured is None else len(measured))
    if measured is None:
        return [GenePattern(slides=np.ones(len(spots), dtype=bool), genes=np.arange(genes))]
    found, which = np.unique(measured & (spots > 0)[:, None], axis=1, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    members = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])
    patterns = [GenePattern(slides=slides, genes=index) for slides, index in zip(found.T, members, strict=True)]
    return sorted(
        (pattern for pattern in patterns if pattern.slides.any()),
        key=lambda pattern: (-int(spots[pattern.slides].sum()) * len(pattern.genes), int(pattern.genes[0])),
    )


def patterns_of(batch: SpotBatch) -> list[GenePattern]:
    """``gene_patterns`` of a batch's targets; batch: NumPy, with targets."""
    return gene_patterns(batch.measured, slide_index=batch.slide_index, genes=batch.target.shape[1])


def everywhere(patterns: Sequence[GenePattern], batch: SpotBatch) -> bool:
    """Whether every spot of ``batch``, whose patterns these are, measures every gene: nothing needs a mask."""
    only = patterns[0]
    return len(only.genes) == batch.target.shape[1] and bool(only.spots(batch.slide_index).all())


def require_measured(batch: SpotBatch, *, gene_ids: Sequence[str], panel: str | Path) -> None:
    """Raise ``DataContractError`` for a gene that none of the batch's slides measures: nothing could be learnt of it.

    gene_ids: G ids, in the order of the targets; panel: the file that lists them, for the message.
    """
    if batch.measured is None:
        return
    missing = np.flatnonzero(~batch.measured.any(axis=0))
    if missing.size:
        raise DataContractError(
            panel,
            "gene_id",
            expected=f"genes that at least one of the {len(batch.slides)} training slides measures",
            found=f"{gene_ids[int(missing[0])]}, which none measures ({missing.size} such genes)",
            remedy="choose the panel on the training slides of this fold, or take the gene out of the list",
        )
