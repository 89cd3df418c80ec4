"""Counts of a slide read from disk a block of spots at a time, so that no cohort is ever held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from anndata.io import read_elem
from scipy import sparse

from stainscript.errors import DataContractError

BLOCK_SPOTS = 8192


@dataclass(frozen=True, kw_only=True)
class CountsHead:
    """What an ``expression/`` file says of itself without its counts: S spots, G genes."""

    path: Path
    slide: str
    spot_id: np.ndarray  # (S,) str objects
    gene_ids: tuple[str, ...]
    symbols: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.spot_id), len(self.gene_ids)


def read_head(path: str | Path) -> CountsHead:
    """Names of slide, spots and genes; the counts stay on disk. Raises ``DataContractError`` for repeated gene ids."""
    with h5py.File(path) as handle:
        var, obs = read_elem(handle["var"]), read_elem(handle["obs"])
        slide = str(read_elem(handle["uns"]["slide"]))
    if not var.index.is_unique:
        raise DataContractError(
            path, "var_names", expected="each gene id once", found="repeats", remedy="ingest the slide again"
        )
    return CountsHead(
        path=Path(path),
        slide=slide,
        spot_id=obs.index.to_numpy(dtype=object),
        gene_ids=tuple(map(str, var.index)),
        symbols=tuple(map(str, var["symbol"])),
    )


def read_block(path: str | Path, spots: slice) -> sparse.csr_matrix:
    """Counts (S, G) CSR of the spots in ``spots`` (contiguous), read from disk without the rest."""
    with h5py.File(path) as handle:
        group = handle["X"]
        pointer = group["indptr"][spots.start : spots.stop + 1].astype(np.int64)
        first, last = int(pointer[0]), int(pointer[-1])
        genes = int(group.attrs["shape"][1])
        parts = (group["data"][first:last], group["indices"][first:last], pointer - first)
        return sparse.csr_matrix(parts, shape=(len(pointer) - 1, genes))


def blocks(path: str | Path, *, spots: int = BLOCK_SPOTS) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """All counts of a file in order, ``spots`` rows at a time: the rows, and their counts (S, G) CSR."""
    with h5py.File(path) as handle:
        total = int(handle["X"].attrs["shape"][0])
    for start in range(0, total, spots):
        rows = slice(start, min(start + spots, total))
        yield rows, read_block(path, rows)
