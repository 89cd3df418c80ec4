"""Raw counts as every layout hands them on: checked, CSR int32, spots by genes. Not a layout: it has no ``files``."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from stainscript.datasets.names import check_unique
from stainscript.errors import DataContractError

ENSEMBL_VERSION = re.compile(r"^(ENS[A-Z]*G\d{11})\.\d+")
LARGEST = np.iinfo(np.int32).max


def open_text(path: Path) -> TextIO:
    """A text file, plain or gzip by its suffix, to be closed by the caller."""
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def without_version(gene_ids: Sequence[str]) -> np.ndarray:
    """Ensembl ids without their version (``ENSG00000141736.14``), (G,) objects; symbols with a dot stay whole."""
    return np.array([ENSEMBL_VERSION.sub(r"\1", name) for name in gene_ids], dtype=object)


def checked_counts(
    values: np.ndarray | sparse.spmatrix,
    *,
    path: str | Path,
    spot_ids: Sequence[str],
    gene_ids: Sequence[str],
    symbols: Sequence[str] | None = None,
) -> anndata.AnnData:
    """(S, G) values as an ``AnnData`` of CSR int32 counts with ``var["symbol"]``.

    Raises ``DataContractError`` for an empty matrix, a name that occurs twice, NaN, and negative or fractional
    values; the message names the first spot and gene concerned.
    """
    matrix = sparse.csr_matrix(values)
    spot_ids = np.asarray(spot_ids, dtype=object)
    gene_ids = without_version(gene_ids)
    if matrix.shape != (len(spot_ids), len(gene_ids)):
        raise DataContractError(
            path,
            "counts",
            expected=f"{len(spot_ids)} spots × {len(gene_ids)} genes, as their names say",
            found=f"{matrix.shape[0]} × {matrix.shape[1]}",
            remedy="take all files of the matrix from one export",
        )
    if 0 in matrix.shape or not matrix.data.any():
        raise DataContractError(
            path,
            "counts",
            expected="a matrix with counts",
            found=f"an empty matrix ({matrix.shape[0]} spots × {matrix.shape[1]} genes, no count above zero)",
            remedy="export the counts again, or drop the slide from the sheet",
        )
    check_unique(spot_ids, path=path, field="barcodes", remedy="keep one row for each barcode")
    check_unique(gene_ids, path=path, field="gene names", remedy="add up or rename the genes of one name")
    _check_values(matrix, path, spot_ids, gene_ids)
    counts = sparse.csr_matrix(matrix, dtype=np.int32)
    counts.sum_duplicates()
    counts.eliminate_zeros()
    symbols = gene_ids if symbols is None else np.asarray(symbols, dtype=object)
    symbols = np.where(symbols == "", gene_ids, symbols)
    return anndata.AnnData(
        counts, obs=pd.DataFrame(index=pd.Index(spot_ids)), var=pd.DataFrame({"symbol": symbols}, index=gene_ids)
    )


def _check_values(matrix: sparse.csr_matrix, path: str | Path, spot_ids: np.ndarray, gene_ids: np.ndarray) -> None:
    values = matrix.data
    if np.issubdtype(values.dtype, np.floating):
        faults = {"NaN or infinity": ~np.isfinite(values), "a fraction": values != np.rint(values)}
    else:
        faults = {}
    faults |= {"a negative number": values < 0, "a number above 2³¹ − 1": values > LARGEST}
    for name, wrong in faults.items():
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            spot = int(np.searchsorted(matrix.indptr, first, side="right")) - 1
            raise DataContractError(
                path,
                f"counts of spot {spot_ids[spot]}, gene {gene_ids[matrix.indices[first]]}",
                expected="raw counts: integers from 0",
                found=f"{name} ({values[first]}; {int(wrong.sum())} such value(s))",
                remedy="give the raw counts, not normalised or imputed values",
            )
