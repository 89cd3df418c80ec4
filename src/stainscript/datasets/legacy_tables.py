"""The tables of legacy Spatial Transcriptomics: counts and selected spots. Not a layout: it has no ``files``."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from stainscript.datasets import base
from stainscript.datasets.counts import checked_counts, open_text
from stainscript.datasets.names import check_unique
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError)
SELECTION_COLUMNS = ("x", "y", "pixel_x", "pixel_y")


def read_slide(
    row: Mapping[str, str],
    files: Mapping[str, str | Path],
    *,
    pitch_um: float,
    diameter_um: float,
    platform: str,
    whole_array: bool = False,
    spots_of: Callable[[str | Path], pd.DataFrame] | None = None,
    counts_of: Callable[[str | Path], anndata.AnnData] | None = None,
) -> base.RawSlide:
    """Counts and selection joined by ``<x>x<y>``; spots sorted by (y, x).

    whole_array: the counts hold spots off the tissue too, which are left out and counted in the log; without it they
    are an error. spots_of, counts_of: readers of the two files, by default ``read_selection`` and ``read_counts``.
    """
    wanted = ["selection", *(["counts"] if base.has_expression(row) else [])]
    base.require(files, wanted, slide=row["slide"])
    spots = (spots_of or read_selection)(files["selection"])
    grid_mpp = selection_mpp(spots, pitch_um=pitch_um)
    adata = None
    if base.has_expression(row):
        adata = (counts_of or read_counts)(files["counts"])
        spots = _counted(spots, adata, files, whole_array=whole_array)
        adata = adata[spots["spot_id"].to_numpy()].copy()
    return base.RawSlide(
        platform=platform,
        spot_diameter_um=diameter_um,
        spots=spots.drop(columns=["registered_x"]),
        adata=adata,
        grid_mpp=grid_mpp,
    )


def read_counts(path: str | Path) -> anndata.AnnData:
    """Counts (spot, gene) of a TSV, plain or gzip: a header of genes, row labels ``<x>x<y>``."""
    path = Path(path)
    try:
        with open_text(path) as handle:
            header = handle.readline().rstrip("\r\n").split("\t")
            table = pd.read_csv(handle, sep="\t", header=None, index_col=0, dtype={0: str}, low_memory=False)
    except DAMAGED as error:
        raise DataContractError(
            path,
            "counts",
            expected="a complete tab-separated table with a header of genes",
            found=f"{type(error).__name__}: {error}",
            remedy="copy the counts again; an empty or damaged table has no place in the sheet",
        ) from error
    n_genes = table.shape[1]
    if len(header) - n_genes not in (0, 1):  # R writes no name over the row labels, others an empty one
        raise DataContractError(
            path,
            "header",
            expected=f"{n_genes} genes, one for each column",
            found=f"{len(header)} cells",
            remedy="export the table again with its header",
        )
    genes = header[len(header) - n_genes :]
    texts = [column for column, dtype in zip(table.columns, table.dtypes, strict=True) if dtype.kind not in "iuf"]
    if texts:
        column = table[texts[0]].astype(str)
        wrong = column[pd.to_numeric(column, errors="coerce").isna()]
        raise DataContractError(
            path,
            f"counts of gene {genes[table.columns.get_loc(texts[0])]}",
            expected="raw counts: integers from 0",
            found=f"{wrong.iloc[0]!r} at spot {wrong.index[0]}",
            remedy="give the raw counts",
        )
    try:
        spot_ids = [_spot_id(*label.split("x")) for label in table.index]
    except (ValueError, TypeError, AttributeError) as error:
        raise DataContractError(
            path, "row labels", expected="<x>x<y>, as 10x21", found=error, remedy="label rows by array position"
        ) from error
    return checked_counts(table.to_numpy(), path=path, spot_ids=spot_ids, gene_ids=genes)


def read_selection(path: str | Path) -> pd.DataFrame:
    """Selected spots, sorted by (y, x): spot_id, x_px, y_px, grid_row, grid_col, registered_x.

    Row is y, which grows downwards, and column is x. ``registered_x`` is the unrounded ``new_x`` where given.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, sep="\t")
    except DAMAGED as error:
        raise _selection_error(path, "rows", "a tab-separated table", error) from error
    absent = [name for name in SELECTION_COLUMNS if name not in table.columns]
    if absent:
        raise _selection_error(path, "columns", ", ".join(SELECTION_COLUMNS), ", ".join(map(str, table.columns)))
    registered = "new_x" if "new_x" in table.columns else "x"
    used = dict.fromkeys([*SELECTION_COLUMNS, registered])
    table[list(used)] = table[list(used)].apply(pd.to_numeric, errors="coerce")
    wrong = ~np.isfinite(table[list(used)].to_numpy(np.float64)).all(axis=1)
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0]) + 2
        raise _selection_error(path, f"line {line}", f"numbers in {', '.join(used)}", "a cell that is none")
    if "selected" in table.columns:
        table = table[table["selected"] != 0]
    column, row = (np.rint(table[axis].to_numpy(np.float64)).astype(np.int64) for axis in "xy")
    spots = pd.DataFrame(
        {
            "spot_id": np.array([f"{x}x{y}" for x, y in zip(column, row, strict=True)], dtype=object),
            "x_px": table["pixel_x"].to_numpy(np.float64),
            "y_px": table["pixel_y"].to_numpy(np.float64),
            "grid_row": row,
            "grid_col": column,
            "registered_x": table[registered].to_numpy(np.float64),
        }
    )
    if not len(spots):
        raise _selection_error(path, "rows", "at least one selected spot", "none")
    check_unique(spots["spot_id"], path=path, field="barcodes", remedy="keep one line for each array position")
    return spots.sort_values(["grid_row", "grid_col"], kind="stable").reset_index(drop=True)


def pitch_px(position: pd.Series | np.ndarray, pixel: pd.Series | np.ndarray) -> float | None:
    """Pixels for each step of the array along one axis, by least squares; ``None`` without any step."""
    position = np.asarray(position, np.float64)
    centred = position - position.mean()
    spread = float(centred @ centred)
    return float(centred @ np.asarray(pixel, np.float64)) / spread if spread > 0 else None


def selection_mpp(spots: pd.DataFrame, *, pitch_um: float) -> float | None:
    """µm per pixel from the columns' pitch, or from the rows' where all spots share a column.

    On her2st the two differ by up to 1.1 % in pixels; the known figures of the cohort come from the columns.
    """
    pitch = pitch_px(spots["registered_x"], spots["x_px"]) or pitch_px(spots["grid_row"], spots["y_px"])
    return pitch_um / pitch if pitch is not None and pitch > 0 else None


def _counted(
    spots: pd.DataFrame, adata: anndata.AnnData, files: Mapping[str, str | Path], *, whole_array: bool
) -> pd.DataFrame:
    unplaced = adata.obs_names.difference(spots["spot_id"])
    if whole_array and 0 < len(unplaced) < adata.n_obs:
        logger.info(
            "%s: %d of %d counted spots lie off the tissue and are left out",
            files["counts"],
            len(unplaced),
            adata.n_obs,
        )
    elif len(unplaced):
        raise DataContractError(
            files["counts"],
            "barcodes",
            expected=f"only spots of {files['selection']}",
            found=f"{len(unplaced)} of {adata.n_obs} that match no selected spot (first: {unplaced[0]})",
            remedy="take counts and selection of one section",
        )
    counted = spots["spot_id"].isin(adata.obs_names)
    if not counted.all():
        orphans = spots["spot_id"][~counted]
        logger.info(
            "%s: %d of %d selected spots have no counts and are left out (first: %s)",
            files["selection"],
            len(orphans),
            len(spots),
            orphans.iloc[0],
        )
    return spots[counted].reset_index(drop=True)


def _spot_id(x: str, y: str) -> str:
    return f"{round(float(x))}x{round(float(y))}"


def _selection_error(path: Path, field: str, expected: str, found: object) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy="copy the spot selection file again")
