"""Space Ranger's matrices and positions files, versions 1 to 4. Not a layout: it has no ``files``."""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import io, sparse

from stainscript.datasets.counts import checked_counts, open_text
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

POSITION_COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
GENE_EXPRESSION = "Gene Expression"


def read_matrix(files: Mapping[str, Path]) -> anndata.AnnData:
    """Counts (barcode, gene) of a matrix in ``.h5`` or ``.mtx``; other feature types than genes are left out."""
    path = Path(files["matrix"])
    try:
        if path.suffix == ".h5":
            values, barcodes, gene_ids, symbols, kinds = _from_h5(path)
        else:
            values, barcodes, gene_ids, symbols, kinds = _from_mtx(files)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise DataContractError(
            path,
            "matrix",
            expected="a complete 10x matrix (.h5 of layout 2 or 3, or .mtx with barcodes and features)",
            found=error,
            remedy="copy Space Ranger's output again",
        ) from error
    if kinds is not None and (kinds == GENE_EXPRESSION).any() and not (kinds == GENE_EXPRESSION).all():
        keep = np.flatnonzero(kinds == GENE_EXPRESSION)
        logger.info("%s: %d features of other types than genes left out", path, len(kinds) - len(keep))
        values, gene_ids, symbols = values[:, keep], gene_ids[keep], symbols[keep]
    return checked_counts(values, path=path, spot_ids=barcodes, gene_ids=gene_ids, symbols=symbols)


def read_positions(path: str | Path) -> pd.DataFrame:
    """All array positions: columns as Space Ranger 2 names them; version 1 writes the same without a header."""
    path = Path(path)
    try:
        with path.open(encoding="utf-8") as handle:
            has_header = handle.readline().startswith("barcode,")
        frame = pd.read_csv(path, header=0 if has_header else None, dtype={0: str, "barcode": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise _positions_error(path, "rows", "a complete table", error) from error
    if not has_header and frame.shape[1] == len(POSITION_COLUMNS):
        frame.columns = POSITION_COLUMNS
    if list(frame.columns) != POSITION_COLUMNS:
        raise _positions_error(path, "columns", ", ".join(POSITION_COLUMNS), ", ".join(map(str, frame.columns)))
    numbers = frame[POSITION_COLUMNS[1:]].apply(pd.to_numeric, errors="coerce")
    wrong = numbers.isna().any(axis=1) | frame["barcode"].isna()
    if wrong.any():
        found = ",".join(map(str, frame[wrong].iloc[0]))
        raise _positions_error(path, "rows", "a barcode and five numbers in each", found)
    twice = frame["barcode"][frame["barcode"].duplicated()]
    if len(twice):
        raise _positions_error(path, "barcodes", "every barcode once", f"{twice.iloc[0]!r} more than once")
    frame[POSITION_COLUMNS[1:]] = numbers
    return frame.astype({"in_tissue": bool, "array_row": np.int64, "array_col": np.int64})


def spots_in_tissue(
    positions: pd.DataFrame, adata: anndata.AnnData | None, *, path: str | Path, drop_uncounted: bool
) -> pd.DataFrame:
    """The in-tissue positions as a spots frame (see ``base.RawSlide``); those with counts when ``adata`` is given."""
    inside = positions[positions["in_tissue"]]
    if not len(inside):
        raise _positions_error(Path(path), "in_tissue", "at least one spot in tissue", "none")
    if adata is not None:
        unplaced = adata.obs_names.difference(positions["barcode"])
        if len(unplaced):
            found = f"{len(unplaced)} of {adata.n_obs} barcodes of the matrix without a position (first: {unplaced[0]})"
            raise _barcode_error(path, "a position for every barcode of the matrix", found)
        counted = inside["barcode"].isin(adata.obs_names)
        absent = int((~counted).sum())
        if absent and (not drop_uncounted or absent == len(inside)):
            first = inside["barcode"][~counted].iloc[0]
            found = f"{absent} of {len(inside)} in-tissue barcodes that match no count (first: {first})"
            raise _barcode_error(path, "counts for every barcode in tissue", found)
        if absent:
            logger.info("%s: %d of %d in-tissue barcodes have no counts and are left out", path, absent, len(inside))
        inside = inside[counted]
    spots = pd.DataFrame(
        {
            "spot_id": inside["barcode"].astype(object),
            "x_px": inside["pxl_col_in_fullres"].astype(np.float64),
            "y_px": inside["pxl_row_in_fullres"].astype(np.float64),
            "grid_row": inside["array_row"],
            "grid_col": inside["array_col"],
        }
    )
    return spots.sort_values(["grid_row", "grid_col"], kind="stable").reset_index(drop=True)


def grid_mpp(positions: pd.DataFrame, *, pitch_um: float) -> float | None:
    """µm per pixel from the hexagonal array; ``None`` when the positions do not span a plane.

    Neighbours in a row are two ``array_col`` apart, rows lie pitch · √3/2 apart. Pixels are fitted as an affine map
    of µm, so that a turned or mirrored image does not matter; the scale is the root of the map's determinant.
    """
    um = np.column_stack([positions["array_col"] * pitch_um / 2, positions["array_row"] * pitch_um * math.sqrt(3) / 2])
    um = um - um.mean(axis=0)
    if len(um) < 3 or np.linalg.matrix_rank(um) < 2:
        return None
    pixels = positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    linear, *_ = np.linalg.lstsq(um, pixels - pixels.mean(axis=0), rcond=None)
    pixels_per_um = math.sqrt(abs(np.linalg.det(linear)))
    return 1 / pixels_per_um if pixels_per_um > 0 else None


def diameter_mpp(path: str | Path, *, diameter_um: float) -> float | None:
    """µm per pixel from ``spot_diameter_fullres``; coarser than the grid (version 1 counted 65 µm spots)."""
    try:
        factors = json.loads(Path(path).read_text())
        diameter_px = float(factors["spot_diameter_fullres"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataContractError(
            path,
            "spot_diameter_fullres",
            expected="a JSON file with this number",
            found=repr(error),
            remedy="copy Space Ranger's output again",
        ) from error
    return diameter_um / diameter_px if diameter_px > 0 else None


def _from_h5(path: Path) -> tuple[Any, ...]:
    with h5py.File(path, "r") as file:
        if "matrix" in file:  # layout 3
            group = file["matrix"]
            features = group["features"]
            gene_ids, symbols, kinds = (_text(features[name]) for name in ("id", "name", "feature_type"))
        else:  # layout 2: one group for each genome
            if len(file) != 1:
                raise ValueError(f"{len(file)} genomes ({', '.join(file)}); one is expected")
            group = next(iter(file.values()))
            gene_ids, symbols, kinds = _text(group["genes"]), _text(group["gene_names"]), None
        shape = tuple(int(n) for n in group["shape"][:])
        parts = (group["data"][:], group["indices"][:], group["indptr"][:])
        by_barcode = sparse.csc_matrix(parts, shape=shape)
        return by_barcode.T.tocsr(), _text(group["barcodes"]), gene_ids, symbols, kinds


def _from_mtx(files: Mapping[str, Path]) -> tuple[Any, ...]:
    table = _lines(files["features"])
    widths = {len(cells) for cells in table}
    if len(widths) > 1:
        raise ValueError(f"{files['features']}: rows of {sorted(widths)} cells")
    columns = [np.array(column, dtype=object) for column in zip(*table, strict=True)]
    gene_ids = columns[0] if columns else np.array([], dtype=object)
    symbols = columns[1] if len(columns) > 1 else gene_ids
    kinds = columns[2] if len(columns) > 2 else None
    barcodes = np.array([cells[0] for cells in _lines(files["barcodes"])], dtype=object)
    return sparse.csr_matrix(io.mmread(files["matrix"])).T.tocsr(), barcodes, gene_ids, symbols, kinds


def _lines(path: Path) -> list[list[str]]:
    with open_text(path) as handle:
        return [line.rstrip("\r\n").split("\t") for line in handle if line.strip()]


def _text(array: Any) -> np.ndarray:
    return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in array[:]], dtype=object)


def _barcode_error(path: str | Path, expected: str, found: str) -> DataContractError:
    return DataContractError(
        path,
        "barcodes",
        expected=expected,
        found=found,
        remedy="take matrix and positions from one Space Ranger run, or set the option drop_uncounted",
    )


def _positions_error(path: Path, field: str, expected: str, found: object) -> DataContractError:
    return DataContractError(
        path, field, expected=expected, found=found, remedy="copy spatial/ of Space Ranger's output again"
    )
