"""How good the spots and genes of a slide are, in numbers, and which of them pass given thresholds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from stainscript.genes.backed import BLOCK_SPOTS, Expression, blocks, read_head

MITOCHONDRIAL = re.compile(r"MT-|mt-")
RIBOSOMAL = re.compile(
    r"RP[SL](?!6K|19BP)[\dAP]|Rp[sl](?!6k|19bp)[\dap]"
)  # proteins of the ribosome, not their kinases
QUANTILES = {"min": 0.0, "q05": 0.05, "median": 0.5, "q95": 0.95, "max": 1.0}


@dataclass(frozen=True, kw_only=True)
class SpotTotals:
    """Per spot (S,) int64: all counts, genes seen, and the counts of mitochondrial and of ribosomal genes."""

    counts: np.ndarray
    genes: np.ndarray
    mitochondrial: np.ndarray
    ribosomal: np.ndarray

    def __add__(self, later: SpotTotals) -> SpotTotals:
        """These spots, then those of a later block."""
        return SpotTotals(**{key: np.concatenate([value, vars(later)[key]]) for key, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a spot and a gene must reach; 0 (``max_mt_share``: 1) lets everything pass.

    min_counts, min_genes: counts and genes of a spot; max_mt_share: highest share of mitochondrial counts of a spot;
    min_spots: spots, of those kept, with a count of the gene.
    """

    min_counts: int
    min_genes: int
    max_mt_share: float
    min_spots: int


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Which spots (S,) and genes (G,) of one slide to keep, bool."""

    spots: np.ndarray
    genes: np.ndarray


def kinds_of(symbols: Sequence[str]) -> np.ndarray:
    """(G, 2) bool: mitochondrial (MT-…, mt-…) and ribosomal protein (RPS…, RPL…, Rps…, Rpl…) genes, by symbol."""
    return np.array(
        [[pattern.match(symbol) is not None for pattern in (MITOCHONDRIAL, RIBOSOMAL)] for symbol in symbols]
    ).reshape(-1, 2)


def spot_totals(counts: sparse.csr_matrix, *, kinds: np.ndarray) -> SpotTotals:
    """Totals of the spots of one block; counts: (S, G) CSR without stored zeros, kinds: (G, 2) of ``kinds_of``."""
    mitochondrial, ribosomal = (np.asarray(counts @ kind.astype(np.int64)) for kind in kinds.T)
    return SpotTotals(
        counts=np.asarray(counts.sum(axis=1, dtype=np.int64)).ravel(),
        genes=np.diff(counts.indptr).astype(np.int64),
        mitochondrial=mitochondrial,
        ribosomal=ribosomal,
    )


def summary(totals: SpotTotals, *, detected: np.ndarray, kinds: np.ndarray) -> dict[str, Any]:
    """A slide's quality as JSON-plain values; detected: (G,) spots with a count of each gene, kinds: (G, 2).

    Quantiles are linear between spots; ``None`` for a slide without spots. Shares are of all counts of the slide;
    ``None`` where there are no counts, or where the slide measures no gene of that kind.
    """
    every = int(totals.counts.sum())
    shares = [
        int(part.sum()) / every if every and there else None
        for part, there in zip((totals.mitochondrial, totals.ribosomal), kinds.any(axis=0), strict=True)
    ]
    return {
        "spots": len(totals.counts),
        "empty_spots": int(np.count_nonzero(totals.counts == 0)),
        "genes_measured": len(detected),
        "genes_seen": int(np.count_nonzero(detected)),
        "counts": every,
        "counts_per_spot": _quantiles(totals.counts),
        "genes_per_spot": _quantiles(totals.genes),
        "mitochondrial_share": shares[0],
        "ribosomal_share": shares[1],
    }


def kept_spots(totals: SpotTotals, *, thresholds: Thresholds) -> np.ndarray:
    """Which spots pass, (S,) bool. A spot without counts has a mitochondrial share of 0."""
    share = totals.mitochondrial / np.maximum(totals.counts, 1)
    return (
        (totals.counts >= thresholds.min_counts)
        & (totals.genes >= thresholds.min_genes)
        & (share <= thresholds.max_mt_share)
    )


def masks_of(expression: Expression, *, thresholds: Thresholds, block_spots: int = BLOCK_SPOTS) -> Masks:
    """Which spots and genes of one slide pass, read by blocks: spots first, then genes over the spots kept."""
    head = read_head(expression)
    kinds = kinds_of(head.symbols)
    kept = np.zeros(head.shape[0], dtype=bool)
    detected = np.zeros(head.shape[1], dtype=np.int64)
    for rows, counts in blocks(expression, spots=block_spots):
        counts.eliminate_zeros()
        kept[rows] = kept_spots(spot_totals(counts, kinds=kinds), thresholds=thresholds)
        detected += detected_in(counts[kept[rows]])
    return Masks(spots=kept, genes=detected >= thresholds.min_spots)


def detected_in(counts: sparse.csr_matrix) -> np.ndarray:
    """(G,) int64: spots of the block with a count of each gene; counts: (S, G) CSR without stored zeros."""
    return np.bincount(counts.indices, minlength=counts.shape[1])


def _quantiles(values: np.ndarray) -> dict[str, float | None]:
    if not values.size:
        return dict.fromkeys(QUANTILES)
    return dict(zip(QUANTILES, map(float, np.quantile(values, list(QUANTILES.values()))), strict=True))
