"""The genes of a HEST-Bench task, by the rule that made its lists.

Facts followed: ``get_k_genes`` of mahmoodlab/HEST v1.1.1, and scanpy's ``highly_variable_genes`` as it calls it. The
benchmark applies the rule to all slides of a task, test slides included; here the scope of the panel decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.moments import GeneSums, pooled, sums_of
from stainscript.genes.normalise import gene_columns
from stainscript.genes.variability.seurat import score_of, top_scored

CONTROLS = ("BLANK", "Control")  # what the symbol of a control probe contains


def hest_genes(
    slides: Iterable[anndata.AnnData],
    *,
    symbol_of: Mapping[str, str],
    by: Literal["variance", "mean"],
    n: int,
    min_spot_share: float,
    exclude_prefixes: tuple[str, ...] = (),
    path: str | Path,
) -> list[str]:
    """The ``n`` gene ids of a task.

    slides: counts, each read once; symbol_of: gene id → symbol of the genes that all slides measure; min_spot_share: a
    gene must be seen in ⌈share · spots⌉ spots of **every** slide (published: 0.1). Symbols that contain ``BLANK`` or
    ``Control`` are left out. ``variance``: the n highest dispersions of all spots' raw counts, standardised among
    genes of like mean, in order of symbol (ties with the n-th: the first by symbol). ``mean``: the n highest means, in
    order of rank. Raises ``DataContractError`` when fewer than ``n`` genes are left; path: the panel, for its message.
    """
    common = sorted(symbol_of, key=lambda gene: (symbol_of[gene], gene))
    symbols = [symbol_of[gene] for gene in common]
    keep = np.array([not any(word in symbol for word in CONTROLS) for symbol in symbols], dtype=bool)
    keep &= ~np.array([symbol.startswith(exclude_prefixes) for symbol in symbols], dtype=bool)
    parts: list[GeneSums] = []
    for adata in slides:
        counts = sparse.csr_matrix(adata.X)[:, gene_columns(adata, common)]
        sums = sums_of(_there_and_back(counts) if by == "variance" else counts)
        keep &= sums.detected >= np.ceil(min_spot_share * sums.spots)
        parts.append(sums)
    candidates = np.flatnonzero(keep)
    chosen = candidates[_chosen(pooled(parts).at(candidates), by=by, n=n)]
    if len(chosen) < n:
        raise DataContractError(
            path,
            "n",
            expected=f"{n} genes",
            found=f"{len(chosen)} of {len(candidates)} candidates ({len(common)} genes are common to all slides)",
            remedy="change n or min_spot_share of this panel, or leave out the slide that measures few genes",
        )
    return [common[column] for column in chosen]


def _chosen(sums: GeneSums, *, by: Literal["variance", "mean"], n: int) -> np.ndarray:
    """Positions of the chosen genes among the candidates, which are in order of symbol."""
    if not len(sums.total):
        return np.empty(0, dtype=np.int64)
    if by == "mean":
        return np.argsort(-sums.mean, kind="stable")[:n]
    score = score_of(mean=sums.mean, variance=sums.variance * (sums.spots / max(sums.spots - 1, 1)))
    return top_scored(score, n=n)[:n]


def _there_and_back(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Counts after ln(1 + x) and its inverse in float32: what scanpy ranks, equal to the counts but for rounding."""
    values = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    values.data = np.expm1(np.log1p(values.data))
    return values
