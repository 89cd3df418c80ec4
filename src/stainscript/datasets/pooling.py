"""Square bins summed into larger squares of the same array. Not a layout: it has no ``files``."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from stainscript.datasets.counts import checked_counts

logger = logging.getLogger(__name__)


def pool_bins(
    positions: pd.DataFrame, adata: anndata.AnnData | None, *, side: int, name: str, path: str | Path
) -> tuple[pd.DataFrame, anndata.AnnData | None]:
    """Squares of ``side`` × ``side`` bins: the spots frame (see ``base.RawSlide``), and the sums of their counts.

    positions: every bin of the array (see ``positions.read_positions``); adata: counts of some of the bins in tissue;
    name: format of the squares' ids from row and col; path: the matrix, for errors.

    Square (row, col) holds the bins of array rows ``row · side`` to ``(row + 1) · side − 1``, and columns likewise,
    so that two squares are neighbours when their numbers are. (HEST-1k numbers squares after it has removed the empty
    ones, and from the first bin in tissue: its array_row and array_col are no places.) A square is kept when a bin of
    it in tissue was counted (without counts: lies in tissue); bins out of tissue add nothing. Its centre is that of
    its whole area, also where the array ends within it.
    """
    array = positions[["array_row", "array_col"]].to_numpy()
    n_columns = int(array[:, 1].max()) // side + 1
    square = array[:, 0] // side * n_columns + array[:, 1] // side  # (bins,)
    inside = positions["in_tissue"].to_numpy()
    if adata is None:
        kept = np.unique(square[inside])
    else:
        bins = pd.Index(positions["barcode"]).get_indexer(adata.obs_names)  # all found: see ``positions.placed``
        used = np.flatnonzero(inside[bins])
        kept, target = np.unique(square[bins[used]], return_inverse=True)
        ones = np.ones(len(used), np.int64)
        members = sparse.csr_matrix((ones, (target, used)), shape=(len(kept), adata.n_obs))
        logger.info("%s: %d bins in tissue summed into %d squares", path, len(used), len(kept))
    row, column = np.divmod(kept, n_columns)
    x_px, y_px = _centres(positions, square, kept, np.stack([row, column], axis=1) * side + (side - 1) / 2)
    ids = np.array([name.format(row=r, col=c) for r, c in zip(row.tolist(), column.tolist(), strict=True)], object)
    spots = pd.DataFrame({"spot_id": ids, "x_px": x_px, "y_px": y_px, "grid_row": row, "grid_col": column})
    if adata is None:
        return spots, None
    sums = members @ adata.X.astype(np.int64)
    symbols = adata.var["symbol"].to_numpy()
    return spots, checked_counts(sums, path=path, spot_ids=ids, gene_ids=adata.var_names, symbols=symbols)


def _centres(
    positions: pd.DataFrame, square: np.ndarray, kept: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (x, y) of the array places ``centre`` (squares, 2): the mean of each square's own bins, moved by the
    array's affine map where the array ends and the mean of the bins is not the centre."""
    array = positions[["array_row", "array_col"]].to_numpy(np.float64)
    pixels = positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    linear, *_ = np.linalg.lstsq(array - array.mean(axis=0), pixels - pixels.mean(axis=0), rcond=None)
    number = np.bincount(square)[kept]
    means = [np.bincount(square, weights=values)[kept] / number for values in (*array.T, *pixels.T)]
    at = np.stack(means[2:], axis=1) + (centre - np.stack(means[:2], axis=1)) @ linear
    return at[:, 0], at[:, 1]
