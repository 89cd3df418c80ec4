"""Counts and positions of a HEST-1k slide (``st/<id>.h5ad``). Not a layout: it has no ``files``.

Only what is needed is used: ``X``, the names, ``obsm["spatial"]`` and the array columns of ``obs``; not the quality
columns that HEST computes again on loading, which fails with fewer than 500 features.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy import sparse

from stainscript.artifacts.files import complete_file
from stainscript.datasets.counts import checked_counts, without_version
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

CONTROLS = re.compile(
    r"^(BLANK[_-]|NegControl|NegPrb|antisense_|UnassignedCodeword|DeprecatedCodeword|GenomicControl|Intergenic_?Region)",
    re.IGNORECASE,
)
PICTURE = "uns/spatial/ST/images/downscaled_fullres"


@dataclass(frozen=True, kw_only=True)
class HestCounts:
    """S spots in the file's order: counts (S, G) and centres (S, 2), (x, y) in level-0 pixels.

    array: (S, 2) float64 (row, column) as the file gives them, which may be no grid positions at all; or ``None``.
    """

    adata: anndata.AnnData
    centres_px: np.ndarray
    array: np.ndarray | None


def read_h5ad(path: str | Path) -> HestCounts:
    """Raw counts without control features, a symbol once (its columns added up), and the spots' centres.

    Raises ``DataContractError`` for a damaged file, absent parts, negative or fractional counts, barcodes met twice and
    positions that are no numbers. A missing picture of the slide is a warning: nothing here uses it.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            values, obs, var = (read_elem(file[part]) for part in ("X", "obs", "var"))
            centres = np.asarray(read_elem(file["obsm/spatial"]), np.float64)
            pictured = PICTURE in file
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        expected = "an h5ad file with X, obs, var and obsm['spatial']"
        raise _error(path, "h5ad", expected, f"{type(error).__name__}: {error}", "download the file again") from error
    if not pictured:
        logger.warning("%s: no picture downscaled_fullres; it is not used here", path)
    if centres.shape != (len(obs), 2):
        expected = f"({len(obs)}, 2): x and y of every spot"
        raise _error(path, "obsm['spatial']", expected, centres.shape, "download the file again")
    lost = ~np.isfinite(centres).all(axis=1)
    if lost.any():
        found = f"NaN or infinity at {int(lost.sum())} spot(s) (first: {obs.index[lost][0]})"
        raise _error(path, "obsm['spatial']", "finite pixel positions", found, "leave these spots out of the file")
    adata = _genes(values, [str(name) for name in obs.index], [str(name) for name in var.index], path)
    array = None
    if {"array_row", "array_col"} <= set(obs.columns):
        columns = (pd.to_numeric(obs[name].astype(object), errors="coerce") for name in ("array_row", "array_col"))
        array = np.column_stack([column.to_numpy(np.float64) for column in columns])
    return HestCounts(adata=adata, centres_px=centres, array=array)


def write_h5ad(path: str | Path, counts: HestCounts) -> None:
    """Write counts and positions where ``read_h5ad`` finds them, without a picture; read again they are equal."""
    array = np.full((counts.adata.n_obs, 2), np.nan) if counts.array is None else counts.array
    obs = pd.DataFrame(index=counts.adata.obs_names)
    if counts.array is not None:
        obs["array_row"], obs["array_col"] = array.T
    obs["pxl_col_in_fullres"], obs["pxl_row_in_fullres"] = counts.centres_px.T
    var = pd.DataFrame(index=counts.adata.var_names)
    stored = anndata.AnnData(counts.adata.X, obs=obs, var=var, obsm={"spatial": counts.centres_px})
    with complete_file(path) as temporary:
        stored.write_h5ad(temporary, compression="gzip")


def _genes(
    values: np.ndarray | sparse.spmatrix, spots: Sequence[str], features: Sequence[str], path: Path
) -> anndata.AnnData:
    """Checked counts of the genes among ``features``, each name once."""
    names = without_version(features)
    control = np.array([CONTROLS.match(name) is not None for name in names], dtype=bool)
    if control.any() and not control.all():
        first = names[control][0]
        logger.info("%s: %d control features of %d left out (first: %s)", path, control.sum(), len(names), first)
        keep = np.flatnonzero(~control)
        values, names = sparse.csr_matrix(values)[:, keep], names[keep]
    gene_of, symbols = pd.factorize(names)  # symbols in the order in which they first occur
    if len(symbols) == len(names):
        return checked_counts(values, path=path, spot_ids=spots, gene_ids=names)
    turn = pd.Series(gene_of).groupby(gene_of).cumcount().to_numpy()
    numbered = [f"{name}#{n + 1}" if n else name for name, n in zip(names, turn, strict=True)]
    each = checked_counts(values, path=path, spot_ids=spots, gene_ids=numbered)  # every column on its own is checked
    ones = np.ones(len(names), np.int32)
    adding = sparse.csr_matrix((ones, (np.arange(len(names)), gene_of)), shape=(len(names), len(symbols)))
    logger.info("%s: %d columns repeat a gene name; counts of one name are added up", path, (turn > 0).sum())
    return checked_counts(each.X @ adding, path=path, spot_ids=spots, gene_ids=symbols)


def _error(path: Path, field: str, expected: object, found: object, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
