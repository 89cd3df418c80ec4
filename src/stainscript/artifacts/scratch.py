"""Rows that arrive in any order, kept on disk until a store takes them in order: memory stays that of one block."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stainscript.artifacts.files import friendly_os_errors
from stainscript.artifacts.stores import Rows


@contextlib.contextmanager
def scratch_rows(target: str | Path, *, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[ScratchRows]:
    """An (N, ...) array in a nameless file beside ``target``; it vanishes with the process, however that ends."""
    target = Path(target)
    with friendly_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent, prefix=".scratch-") as file:
            yield ScratchRows(file.fileno(), shape=shape, dtype=np.dtype(dtype))


class ScratchRows:
    """An (N, ...) array in an open file. Reads and writes give positions, so the file's own is never moved.

    Raises ``ValueError`` when a row is put twice or read before it was put: both are faults of the caller.
    """

    def __init__(self, descriptor: int, *, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._descriptor, self.shape, self.dtype = descriptor, shape, dtype
        self._row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._put = np.zeros(shape[0], bool)

    def put(self, index: np.ndarray, rows: np.ndarray) -> None:
        """Rows ``index`` (n,) := ``rows`` (n, ...)."""
        index = np.asarray(index)
        if self._put[index].any() or len(np.unique(index)) < len(index):
            raise ValueError("a row was put twice")
        self._put[index] = True
        rows = np.ascontiguousarray(rows, dtype=self.dtype).reshape(len(index), *self.shape[1:])
        ends = np.flatnonzero(np.diff(index) != 1) + 1  # neighbours in the file are written together
        for run in np.split(np.arange(len(index)), ends):
            if len(run):
                self._write(rows[run[0] : run[-1] + 1], at=int(index[run[0]]))

    def rows(self, shape: tuple[int, ...] | None = None) -> Rows:
        """The whole array, to be written by ``write_store``; in another ``shape`` of the same rows in groups."""
        shape = shape or self.shape
        group = self.shape[0] // shape[0] if shape[0] else 1
        return Rows(shape=shape, dtype=self.dtype, read=lambda start, stop: self.read(start * group, stop * group))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` as an array of their own."""
        if not self._put[start:stop].all():
            raise ValueError(f"rows {start} to {stop}: {int((~self._put[start:stop]).sum())} were never put")
        out = np.empty((stop - start, *self.shape[1:]), self.dtype)
        buffer, at = memoryview(out).cast("B") if out.size else memoryview(b""), start * self._row_bytes
        while len(buffer):
            count = os.preadv(self._descriptor, [buffer], at)
            buffer, at = buffer[count:], at + count
        return out

    def _write(self, rows: np.ndarray, *, at: int) -> None:
        buffer, offset = memoryview(rows).cast("B"), at * self._row_bytes
        while len(buffer):
            count = os.pwrite(self._descriptor, buffer, offset)
            buffer, offset = buffer[count:], offset + count
