"""Counts of a slide read from disk a block of spots at a time, so that no cohort is ever held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from anndata import AnnData
from anndata.io import read_elem
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.normalise import name_of

BLOCK_SPOTS = 8192
MAX_COUNT = 2**31 - 1
Expression = str | Path | AnnData


@dataclass(frozen=True, kw_only=True)
class CountsHead:
    """What an ``expression/`` file says of itself without its counts: S spots, G genes."""

    path: Path
    slide: str
    spot_id: np.ndarray  # (S,) str objects
    gene_ids: tuple[str, ...]
    symbols: tuple[str, ...]
    dataset: str = "unknown"

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.spot_id), len(self.gene_ids)


def read_head(path: Expression) -> CountsHead:
    """Names of slide, spots and genes; the counts stay on disk. A slide in memory is read alike.

    Raises ``DataContractError`` for a missing file, repeated gene ids, missing names, and counts that cannot be read
    by blocks.
    """
    if isinstance(path, AnnData):
        path, var, obs, uns = Path(name_of(path)), path.var, path.obs, path.uns
    else:
        with _open(path) as handle:
            _checked_counts(path, handle)
            var, obs = read_elem(handle["var"]), read_elem(handle["obs"])
            stored = handle.get("uns", {})
            uns = {key: read_elem(stored[key]) for key in ("slide", "dataset") if key in stored}
    if not var.index.is_unique:
        raise DataContractError(
            path, "var_names", expected="each gene id once", found="repeats", remedy="ingest the slide again"
        )
    for field, there in (("var['symbol']", "symbol" in var), ("uns['slide']", "slide" in uns)):
        if not there:
            raise _unlike(path, field, "a value", "none")
    return CountsHead(
        path=Path(path),
        slide=str(uns["slide"]),
        spot_id=obs.index.to_numpy(dtype=object),
        gene_ids=tuple(map(str, var.index)),
        symbols=tuple(map(str, var["symbol"])),
        dataset=str(uns.get("dataset", "unknown")),
    )


def read_block(path: Expression, spots: slice) -> sparse.csr_matrix:
    """Counts (S, G) CSR of the spots in ``spots`` (contiguous), read from disk without the rest.

    Integers, each gene of a spot at most once and in ascending order. Raises ``DataContractError`` for counts that are
    negative, 2**31 or more, or fractions.
    """
    if isinstance(path, AnnData):
        return _canonical(Path(name_of(path)), _whole_numbers(path, sparse.csr_matrix(path.X)[spots]))
    with _open(path) as handle:
        return _rows(path, _checked_counts(path, handle), spots)


def blocks(path: Expression, *, spots: int = BLOCK_SPOTS) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """All counts of a file in order, ``spots`` rows at a time: the rows, and their counts (S, G) CSR."""
    if isinstance(path, AnnData):
        for rows in rows_of(path.n_obs, spots=spots):
            yield rows, read_block(path, rows)
        return
    with _open(path) as handle:
        group = _checked_counts(path, handle)
        for rows in rows_of(int(group.attrs["shape"][0]), spots=spots):
            yield rows, _rows(path, group, rows)


def rows_of(total: int, *, spots: int) -> Iterator[slice]:
    """Consecutive slices of at most ``spots`` rows that cover ``total`` rows."""
    for start in range(0, total, spots):
        yield slice(start, min(start + spots, total))


def _open(path: str | Path) -> h5py.File:
    try:
        return h5py.File(path)
    except FileNotFoundError as error:
        raise _unlike(path, "expression", "an .h5ad file", "no such file") from error
    except OSError as error:
        raise _unlike(path, "expression", "an .h5ad file", "a file that HDF5 cannot open") from error


def _checked_counts(path: str | Path, handle: h5py.File) -> h5py.Group:
    counts = handle.get("X")
    kind = "nothing" if counts is None else str(counts.attrs.get("encoding-type", "no encoding-type"))
    if kind != "csr_matrix":
        raise _unlike(path, "X", "csr_matrix, which is read by rows", kind)
    if counts["data"].dtype.kind not in "iu":
        raise _unlike(path, "X", "integer counts", f"values of type {counts['data'].dtype}")
    return counts


def _rows(path: str | Path, group: h5py.Group, spots: slice) -> sparse.csr_matrix:
    pointer = group["indptr"][spots.start : spots.stop + 1].astype(np.int64)
    first, last = int(pointer[0]), int(pointer[-1])
    genes = int(group.attrs["shape"][1])
    parts = (group["data"][first:last], group["indices"][first:last], pointer - first)
    return _canonical(path, sparse.csr_matrix(parts, shape=(len(pointer) - 1, genes)))


def _canonical(path: str | Path, counts: sparse.csr_matrix) -> sparse.csr_matrix:
    counts.sum_duplicates()
    if counts.nnz and (counts.data.min() < 0 or counts.data.max() > MAX_COUNT):
        raise _unlike(path, "X", f"counts from 0 to {MAX_COUNT}", f"{counts.data.min()} … {counts.data.max()}")
    return counts


def _whole_numbers(adata: AnnData, counts: sparse.csr_matrix) -> sparse.csr_matrix:
    if counts.dtype.kind in "iu":
        return counts.copy()
    if not np.array_equal(counts.data, np.rint(counts.data)):
        raise _unlike(name_of(adata), "X", "integer counts", "fractions")
    return counts.astype(np.int64)


def _unlike(path: Any, field: str, expected: str, found: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy="ingest the slide again")
