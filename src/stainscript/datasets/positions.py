"""Space Ranger's positions: where spots or bins lie, versions 1 to 4. Not a layout: it has no ``files``."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
HEXAGONAL = (0.5, math.sqrt(3) / 2)  # µm of one array_col and one array_row, in pitches: Visium
SQUARE = (1.0, 1.0)  # Visium HD


def read_positions(path: str | Path) -> pd.DataFrame:
    """All array positions, columns as Space Ranger 2 names them.

    Version 1 writes the same columns without a header, Visium HD (versions 3 and 4) as Parquet.
    """
    path = Path(path)
    frame = _parquet(path) if path.suffix == ".parquet" else _text_table(path)
    if not set(COLUMNS) <= set(frame.columns):
        raise _error(path, "columns", ", ".join(COLUMNS), ", ".join(map(str, frame.columns)))
    numbers = frame[COLUMNS[1:]].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    faults = {
        "a barcode and five numbers in each": ~np.isfinite(numbers.to_numpy()).all(axis=1) | frame["barcode"].isna(),
        "in_tissue 0 or 1 in each": ~numbers["in_tissue"].isin([0, 1]),
        "whole numbers from 0 in array_row and array_col": _not_whole(numbers[["array_row", "array_col"]]),
    }
    for expected, wrong in faults.items():
        if wrong.any():
            raise _error(path, "rows", expected, ",".join(map(str, frame[wrong].iloc[0])))
    twice = frame["barcode"][frame["barcode"].duplicated()]
    if len(twice):
        raise _error(path, "barcodes", "every barcode once", f"{twice.iloc[0]!r} more than once")
    kinds = {"in_tissue": bool, "array_row": np.int64, "array_col": np.int64}
    return pd.DataFrame({"barcode": frame["barcode"].astype(object)}).join(numbers.astype(kinds))


def placed(
    positions: pd.DataFrame, adata: anndata.AnnData | None, *, path: str | Path, drop_uncounted: bool
) -> pd.DataFrame:
    """The positions in tissue; those with counts when ``adata`` is given.

    Raises ``DataContractError`` for a barcode of the matrix without a position, and for one in tissue without counts
    unless ``drop_uncounted`` (their number is then logged).
    """
    inside = positions[positions["in_tissue"]]
    if not len(inside):
        raise _error(Path(path), "in_tissue", "at least one spot in tissue", "none")
    if adata is None:
        return inside
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
    return inside[counted]


def spots_of(inside: pd.DataFrame) -> pd.DataFrame:
    """Positions as a spots frame (see ``base.RawSlide``), sorted by (grid_row, grid_col)."""
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


def grid_mpp(positions: pd.DataFrame, *, pitch_um: float, packing: tuple[float, float] = HEXAGONAL) -> float | None:
    """µm per pixel from the array; ``None`` for a single place.

    packing: pitches of one step of array_col and one of array_row. Pixels are fitted as an affine map of µm, so that
    a turned or mirrored image does not matter, and the scale is the root of the map's determinant; for places on one
    line it is the ratio of their spreads.
    """
    um = positions[["array_col", "array_row"]].to_numpy(np.float64) * packing * pitch_um
    pixels = positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    um, pixels = um - um.mean(axis=0), pixels - pixels.mean(axis=0)
    if np.linalg.matrix_rank(um.T @ um) < 2:
        spread_um, spread_px = np.linalg.norm(um), np.linalg.norm(pixels)
        return float(spread_um / spread_px) if spread_um > 0 and spread_px > 0 else None
    linear, *_ = np.linalg.lstsq(um, pixels, rcond=None)
    pixels_per_um = math.sqrt(abs(np.linalg.det(linear)))
    return 1 / pixels_per_um if pixels_per_um > 0 else None


def _text_table(path: Path) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8") as handle:
            has_header = handle.readline().startswith("barcode,")
        frame = pd.read_csv(path, header=0 if has_header else None, dtype={0: str, "barcode": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise _error(path, "rows", "a complete table", error) from error
    if not has_header and frame.shape[1] == len(COLUMNS):
        frame.columns = COLUMNS
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
        raise _error(path, "rows", "a complete Parquet table", error) from error
    return frame.reset_index(drop=frame.index.name != "barcode")


def _not_whole(numbers: pd.DataFrame) -> np.ndarray:
    values = numbers.to_numpy()
    return ((values < 0) | (values != np.rint(values))).any(axis=1)


def _barcode_error(path: str | Path, expected: str, found: str) -> DataContractError:
    return DataContractError(
        path,
        "barcodes",
        expected=expected,
        found=found,
        remedy="take matrix and positions from one Space Ranger run, or set the option drop_uncounted",
    )


def _error(path: Path, field: str, expected: str, found: object) -> DataContractError:
    return DataContractError(
        path, field, expected=expected, found=found, remedy="copy spatial/ of Space Ranger's output again"
    )
