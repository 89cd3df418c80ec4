"""Counts to the space that a protocol predicts: the only normaliser of the project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.types import Space, Target

if TYPE_CHECKING:
    from anndata import AnnData

CP10K = 1e4
PER_LIBRARY = (Space.LOG1P_CP10K, Space.LOG10P1_CP10K)


def to_space(
    counts: np.ndarray | sparse.spmatrix, *, space: Space, library_size: np.ndarray | None = None
) -> np.ndarray:
    """Raw counts in ``space``, dense.

    counts: (S, G) non-negative integers, dense or sparse; library_size: (S,) total counts of each spot over the genes
    that the protocol names, needed by the two spaces that divide by it. Spots of library size 0 stay zero.
    Returns (S, G) float32; the arithmetic is float64.
    """
    return sparse_to_space(counts, space=space, library_size=library_size).toarray().astype(np.float32)


def sparse_to_space(
    counts: np.ndarray | sparse.spmatrix, *, space: Space, library_size: np.ndarray | None = None
) -> sparse.csr_matrix:
    """As ``to_space``, but (S, G) float64 CSR: every space keeps a count of 0 at 0, so nothing is densified."""
    values = sparse.csr_matrix(counts, dtype=np.float64, copy=True)
    space = Space(space)
    if space in PER_LIBRARY:
        if library_size is None:
            raise ValueError(f"space {space} needs library_size")
        size = np.asarray(library_size, dtype=np.float64)
        factor = np.divide(CP10K, size, out=np.zeros_like(size), where=size > 0)
        values.data *= np.repeat(factor, np.diff(values.indptr))
    match space:
        case Space.COUNTS:
            pass
        case Space.LOG1P | Space.LOG1P_CP10K:
            np.log1p(values.data, out=values.data)
        case Space.LOG2P1:
            values.data = np.log1p(values.data) / np.log(2.0)
        case Space.LOG10P1_CP10K:
            values.data = np.log1p(values.data) / np.log(10.0)
    return values


def library_size_of(counts: np.ndarray | sparse.spmatrix) -> np.ndarray:
    """Total counts of each spot over the given genes; counts: (S, G). Returns (S,) float64."""
    return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()


def smooth_grid3x3(values: np.ndarray, *, grid: np.ndarray) -> np.ndarray:
    """Mean of each spot with the occupied cells of the 3×3 array window around it, of one slide.

    values: (S, G); grid: (S, 2) integers (row, col). The divisor is the number of occupied cells, from 1 to 9.
    Source: labels of TRIPLEX and DKAN. Returns (S, G) float64. Raises ``ValueError`` when two spots share a cell.
    """
    grid = np.asarray(grid, dtype=np.int64)
    corner = grid.min(axis=0) - 1
    width = int(grid[:, 1].max() - corner[1]) + 2  # an empty column at either side: no wrap from row to row
    cell = (grid[:, 0] - corner[0]) * width + (grid[:, 1] - corner[1])
    order = np.argsort(cell, kind="stable")
    occupied = cell[order]
    if np.any(np.diff(occupied) == 0):
        raise ValueError("two spots of a slide share an array cell: the 3×3 mean has no meaning")
    values = np.asarray(values, dtype=np.float64)
    total, present = np.zeros_like(values), np.zeros(len(values))
    for step in [row * width + col for row in (-1, 0, 1) for col in (-1, 0, 1)]:
        place = np.minimum(np.searchsorted(occupied, cell + step), len(occupied) - 1)
        spots = np.flatnonzero(occupied[place] == cell + step)
        total[spots] += values[order[place[spots]]]
        present[spots] += 1
    return total / present[:, None]


def target_matrix(
    adata: AnnData, *, gene_ids: Sequence[str], target: Target, unmeasured: Literal["error", "zero"] = "error"
) -> np.ndarray:
    """What a method is to predict for the spots of one slide.

    adata: counts of one slide (spot, gene) with ``obsm["grid"]``; gene_ids: the panel, G ids. The library size is
    summed over all measured genes or over the panel, as ``target.library`` says; smoothing comes last, in the
    transformed space. unmeasured: what to make of a gene that the slide does not measure; ``zero`` gives a column of
    zeros, for callers that mask it with ``measures``. Returns (S, G) float32 in the order of ``gene_ids``. Raises
    ``DataContractError`` for an unmeasured gene, or when two spots share an array cell and are to be smoothed.
    """
    measured = sparse.csr_matrix(adata.X)
    there = measures(adata, gene_ids) if unmeasured == "zero" else np.ones(len(gene_ids), dtype=bool)
    counts = measured[:, gene_columns(adata, np.asarray(gene_ids, dtype=object)[there])]
    size = library_size_of(counts if target.library == "panel" else measured)
    values = np.zeros((measured.shape[0], len(gene_ids)))
    values[:, there] = sparse_to_space(counts, space=target.space, library_size=size).toarray()
    if target.smooth == "grid3x3":
        values = smooth_grid3x3(values, grid=_one_spot_a_cell(adata))
    return values.astype(np.float32)


def measures(adata: AnnData, gene_ids: Sequence[str]) -> np.ndarray:
    """Which of ``gene_ids`` the slide measures at all, (G,) bool: sections of one cohort may list different genes."""
    return adata.var_names.get_indexer(list(gene_ids)) >= 0


def gene_columns(adata: AnnData, gene_ids: Sequence[str]) -> np.ndarray:
    """Columns of ``gene_ids`` in ``adata``, (G,) integers; raises and names the first gene that is not measured."""
    columns = adata.var_names.get_indexer(list(gene_ids))
    absent = np.flatnonzero(columns < 0)
    if absent.size:
        raise DataContractError(
            name_of(adata),
            "gene_id",
            expected=f"all {len(gene_ids)} genes of the panel",
            found=f"no {gene_ids[int(absent[0])]} ({absent.size} genes of the panel are not measured on this slide)",
            remedy="leave the slide out of the split, or choose a panel of genes that every slide measures",
        )
    return columns


def _one_spot_a_cell(adata: AnnData) -> np.ndarray:
    grid = np.asarray(adata.obsm["grid"])
    cells, first, number = np.unique(grid, axis=0, return_index=True, return_counts=True)
    if len(cells) < len(grid):
        cell, spot = cells[number > 1][0].tolist(), adata.obs_names[first[number > 1][0]]
        raise DataContractError(
            name_of(adata),
            "grid",
            expected="one spot in each array cell, for a 3×3 mean",
            found=f"{number[number > 1][0]} spots at (row, col) {tuple(cell)}, the first {spot}",
            remedy="correct the positions file, or set target.smooth: none",
        )
    return grid


def name_of(adata: AnnData) -> str:
    """How an error names the expression file of a slide: ``expression/{dataset}/{slide}.h5ad``."""
    return f"expression/{adata.uns.get('dataset', 'unknown')}/{adata.uns.get('slide', 'unknown')}.h5ad"
