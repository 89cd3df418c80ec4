"""Patch files of HEST-1k and HEST-Bench. Not a layout: it defines no ``files``.

A patch file holds ``img`` (n, T, T, 3) uint8 RGB, ``coords`` (n, 2), the upper left corners (x, y) in level-0 pixels,
and ``barcode``. Patches are a subset of the spots in another order: they are joined by barcode, never by position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from stainscript.artifacts.files import complete_file
from stainscript.datasets.names import check_unique
from stainscript.errors import DataContractError

BARCODE_KEYS = ("barcode", "barcodes")  # the second in files of older releases
STRINGIFIED = re.compile(r"^\[?b?(['\"])(.*)\1\]?$")  # "[b'AAAC-1']": what str() made of an array of bytes
AGAIN = "download the file again"


class PatchFile:
    """An open patch file; images are read in blocks on demand, never all at once.

    barcodes: (n,) str objects; coords: (n, 2) int64; attributes: what the file says of its images (``patch_size_src``,
    ``patch_size_target``, ``downsample``, ``pixel_size``), empty in a file of coordinates only.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise _error(self.path, "patches", "a file", "no such file", "put the patch file there")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise _error(self.path, "patches", "a complete HDF5 file", error, AGAIN) from error
        try:
            self.barcodes, self.coords, self._images = self._checked()
        except BaseException:
            self.close()
            raise
        stored = {} if self._images is None else self._images.attrs
        self.attributes = {name: value.item() if hasattr(value, "item") else value for name, value in stored.items()}

    def __enter__(self) -> PatchFile:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.barcodes)

    def close(self) -> None:
        """Close the file; ``blocks`` cannot be read afterwards."""
        self._file.close()

    @property
    def width_px(self) -> int | None:
        """Side of the stored images in their own pixels, or ``None`` in a file of coordinates only."""
        return None if self._images is None else int(self._images.shape[1])

    def rows_of(self, barcodes: Sequence[str]) -> np.ndarray:
        """Where the patches of ``barcodes`` lie, (S,) int64; raises ``DataContractError`` if one has no patch."""
        place = {barcode: row for row, barcode in enumerate(self.barcodes)}
        absent = [barcode for barcode in barcodes if barcode not in place]
        if absent:
            found = f"{len(absent)} of {len(barcodes)} without a patch (first: {absent[0]})"
            remedy = "take patches and counts of one release"
            raise _error(self.path, "barcode", "a patch for every spot", found, remedy)
        return np.fromiter((place[barcode] for barcode in barcodes), dtype=np.int64, count=len(barcodes))

    def blocks(self, order: Sequence[int], *, size: int) -> Iterator[np.ndarray]:
        """Images of the rows ``order`` in that order, as blocks (≤ size, T, T, 3) uint8 RGB."""
        if self._images is None:
            raise _error(self.path, "img", "images", "coordinates only", "take the patch file that holds images")
        order = np.asarray(order, np.int64)
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            try:
                if (np.diff(rows) == 1).all():
                    images = self._images[rows[0] : rows[-1] + 1]
                else:  # one by one: HDF5 takes a list of rows 200 times slower
                    images = np.stack([self._images[row] for row in rows])
            except OSError as error:
                raise _error(self.path, "img", "readable images", error, AGAIN) from error
            yield images

    def _checked(self) -> tuple[np.ndarray, np.ndarray, h5py.Dataset | None]:
        key = next((name for name in BARCODE_KEYS if name in self._file), None)
        if key is None or "coords" not in self._file:
            found = ", ".join(self._file) or "no data set"
            raise _error(self.path, "data sets", "barcode, coords and, where images are kept, img", found, AGAIN)
        try:
            barcodes = decode_barcodes(self._file[key][()])
            coords = np.asarray(self._file["coords"][()])
        except (OSError, ValueError) as error:
            raise _error(self.path, key, "one text for each patch", error, AGAIN) from error
        images = self._file.get("img")
        shapes = {"coords": coords.shape, key: barcodes.shape} | ({} if images is None else {"img": images.shape})
        n = len(barcodes)
        square = images is None or (images.ndim == 4 and images.shape[1] == images.shape[2] and images.shape[3] == 3)
        if any(shape[0] != n for shape in shapes.values()) or coords.shape != (n, 2) or not square:
            found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise _error(self.path, "shapes", "img (n, T, T, 3), coords (n, 2) and n barcodes", found, AGAIN)
        if images is not None and images.dtype != np.uint8:
            raise _error(self.path, "img", "uint8", images.dtype, AGAIN)
        if n == 0:
            raise _error(self.path, "patches", "at least one patch", "none", "drop the slide from the sheet")
        check_unique(barcodes, path=self.path, field=key, remedy="keep one patch for each spot")
        return barcodes, coords.astype(np.int64), images


def decode_barcodes(values: np.ndarray) -> np.ndarray:
    """Barcodes (n,) as str objects from any form met: bytes or text, (n,) or (n, 1), or ``"[b'…']"``."""
    column = np.asarray(values, dtype=object).reshape(len(values), -1) if len(values) else np.empty((0, 1), object)
    if column.shape[1] != 1:
        raise ValueError(f"{column.shape[1]} barcodes for each patch")
    texts = (value.decode() if isinstance(value, bytes) else str(value) for value in column[:, 0])
    return np.array([STRINGIFIED.sub(r"\2", text) for text in texts], dtype=object)


def write_patches(
    path: str | Path,
    *,
    barcodes: Sequence[str],
    coords: np.ndarray,
    images: np.ndarray | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write a patch file as HEST does: one patch a chunk, barcodes (n, 1) UTF-8, attributes on ``img``."""
    with complete_file(path) as temporary, h5py.File(temporary, "w") as file:
        texts = np.array(barcodes, dtype=object)[:, None]
        kind = h5py.string_dtype("utf-8")
        file.create_dataset("barcode", data=texts, dtype=kind, chunks=(1, 1), maxshape=(None, 1))
        file.create_dataset("coords", data=np.asarray(coords, np.int64), chunks=(1, 2), maxshape=(None, 2))
        if images is not None:
            form = images.shape[1:]
            stored = file.create_dataset("img", data=images, chunks=(1, *form), maxshape=(None, *form))
            stored.attrs.update(attributes or {})


def _error(path: str | Path, field: str, expected: str, found: object, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
