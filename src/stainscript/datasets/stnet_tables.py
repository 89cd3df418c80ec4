"""The tables of He et al. 2020: spots in two forms, counts by Ensembl id, tumour labels. Not a layout: no ``files``."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from stainscript.datasets import legacy_tables
from stainscript.datasets.counts import open_text
from stainscript.datasets.legacy_tables import DAMAGED
from stainscript.datasets.names import check_unique
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

SPOT_ID = re.compile(r"^(\d+)x(\d+)$")
NO_GENE = "__"  # __ambiguous[A+B] and the like: columns that are no gene
NO_NUMBER = {"", "na", "nan"}
LABEL_CELLS = 5  # name, x, y, region, label; the header is one cell off, so that columns count by place


def read_spots(path: str | Path) -> pd.DataFrame:
    """Spots as ``legacy_tables.read_selection`` gives them, from either form.

    Published: commas, an unnamed column ``<x>x<y>``, then X and Y in pixels. ST-Net's: tabs, x, y, pixel_x, pixel_y.
    """
    path = Path(path)
    try:
        with open_text(path) as handle:
            header = handle.readline()
            if "," not in header:
                return legacy_tables.read_selection(path)
            table = pd.read_csv(handle, header=None, names=header.strip().split(","), dtype=str, index_col=False)
    except (*DAMAGED, ValueError) as error:
        raise _error(path, "rows", "a table of spots separated by commas", error) from error
    if table.shape[1] != 3 or list(table.columns[1:]) != ["X", "Y"]:
        raise _error(path, "columns", "the spot's name, X, Y", header.strip())
    matches = [SPOT_ID.match(str(name)) for name in table.iloc[:, 0]]
    pixels = table[["X", "Y"]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.array([match is None for match in matches], dtype=bool) | ~np.isfinite(pixels).all(axis=1)
    if wrong.any() or not len(table):
        found = ",".join(map(str, table.iloc[int(np.flatnonzero(wrong)[0])])) if len(table) else "no row"
        raise _error(path, "rows", "<x>x<y> and two numbers in each", found)
    position = np.array([match.groups() for match in matches], dtype=np.int64)
    spots = pd.DataFrame(
        {
            "spot_id": np.array([f"{x}x{y}" for x, y in position], dtype=object),
            "x_px": pixels[:, 0],
            "y_px": pixels[:, 1],
            "grid_row": position[:, 1],
            "grid_col": position[:, 0],
            "registered_x": position[:, 0].astype(np.float64),
        }
    )
    check_unique(spots["spot_id"], path=path, field="barcodes", remedy="keep one line for each array position")
    return spots.sort_values(["grid_row", "grid_col"], kind="stable").reset_index(drop=True)


def read_counts(path: str | Path) -> anndata.AnnData:
    """Counts (spot, gene) by Ensembl id without version; columns that are no gene are left out and logged."""
    adata = legacy_tables.read_counts(path)
    no_gene = adata.var_names.str.startswith(NO_GENE)
    if not no_gene.any():
        return adata
    if no_gene.all():
        raise _error(Path(path), "header", "genes", f"{adata.n_vars} columns, none a gene ({adata.var_names[0]})")
    lost, whole = int(adata.X[:, np.flatnonzero(no_gene)].sum()), int(adata.X.sum())
    logger.info("%s: %d columns that are no gene (%d of %d counts) left out", path, no_gene.sum(), lost, whole)
    return adata[:, ~no_gene].copy()


def read_labels(path: str | Path) -> pd.DataFrame:
    """Columns spot_id and label of a labels file, one row a labelled spot as the file has them.

    Positions are rounded; lines end in CR, LF or both; rows without a position are left out and logged.
    """
    path = Path(path)
    try:
        with open_text(path) as handle:
            lines = [
                [cell.strip('" ') for cell in line.split("\t")] for line in handle.read().splitlines() if line.strip()
            ]
    except DAMAGED as error:
        raise _error(path, "rows", "a table of labels separated by tabs", error) from error
    rows = lines[1:]
    short = next((row for row in rows if len(row) < LABEL_CELLS), None)
    if not rows or short is not None:
        found = "\t".join(short) if short is not None else "no row"
        raise _error(path, "rows", f"{LABEL_CELLS} cells: name, x, y, region, label", found)
    placed = [row for row in rows if not {row[1].lower(), row[2].lower()} & NO_NUMBER]
    if len(placed) < len(rows):
        logger.info("%s: %d of %d rows have no position and are left out", path, len(rows) - len(placed), len(rows))
    try:
        position = np.array([row[1:3] for row in placed], dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise _error(path, "positions", "numbers in the second and third cell", error) from error
    position = np.rint(position).astype(np.int64)
    return pd.DataFrame(
        {"spot_id": [f"{x}x{y}" for x, y in position], "label": [row[LABEL_CELLS - 1] for row in placed]}, dtype=object
    )


def labels_of(spot_ids: pd.Series, table: pd.DataFrame, path: str | Path) -> pd.Series:
    """The label of each spot (S,), "" for none; a spot given two different labels has none, and their number is logged.

    Raises ``DataContractError`` when the table speaks of no spot at all.
    """
    known = table.drop_duplicates()
    torn = known["spot_id"].duplicated(keep=False)
    if torn.any():
        logger.warning("%s: %d spots have two labels and keep none", path, known["spot_id"][torn].nunique())
    labels = known[~torn].set_index("spot_id")["label"].reindex(spot_ids.to_numpy()).fillna("")
    if not spot_ids.isin(table["spot_id"]).any():
        found = (
            f"none of its {len(table)} positions (first: {table['spot_id'].iloc[0]})" if len(table) else "no position"
        )
        raise _error(Path(path), "positions", "the section's spots", found)
    return labels.rename("label").rename_axis("spot_id")


def _error(path: Path, field: str, expected: str, found: object) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy="take the section's file again")
