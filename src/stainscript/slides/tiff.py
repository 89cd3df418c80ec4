"""TIFF through tifffile: pyramidal or flat, tiled or in strips; only the needed segments are decoded."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stainscript.errors import DataContractError
from stainscript.slides.base import LeveledSlide, plausible_mpp, unreadable
from stainscript.slides.tiff_structure import (
    DAMAGE,
    check_directories,
    check_segments,
    plane_offsets,
    segment_shape,
    segments_per_plane,
)

CACHE_BYTES = 128 * 2**20  # decoded segments kept; neighbouring crops share them
UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # ResolutionUnit: inch, centimetre
JPEG = (6, 7)  # Compression: old and new JPEG


class TiffSlide(LeveledSlide):
    """The first series of a TIFF; its levels are reduced pages or sub-IFDs."""

    reader = "tiff"

    def __init__(self, path: str | Path, *, mpp: float | None = None) -> None:
        path = Path(path)
        try:
            self._file = tifffile.TiffFile(path)
        except DAMAGE as error:
            raise unreadable(path, "TIFF directory", expected="a readable TIFF", found=error) from error
        try:
            self._pages = _level_pages(path, self._file)
        except DataContractError:
            self._file.close()
            raise
        except DAMAGE as error:
            self._file.close()
            raise unreadable(path, "TIFF directory", expected="a readable TIFF", found=error) from error
        sizes = [(page.imagewidth, page.imagelength) for page in self._pages]
        super().__init__(path, level_sizes=sizes, mpp=_tag_mpp(self._pages[0]) if mpp is None else mpp)
        self._cache: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._cached_bytes = 0

    def _level_box(self, level: int, *, left: int, top: int, width: int, height: int) -> np.ndarray:
        page = self._pages[level]
        tile_height, tile_width = segment_shape(page)
        across = -(-page.imagewidth // tile_width)
        out = np.empty((height, width, 3), np.uint8)
        for row in range(top // tile_height, -(-(top + height) // tile_height)):
            for column in range(left // tile_width, -(-(left + width) // tile_width)):
                tile = self._segment(level, row * across + column)
                y, x = row * tile_height, column * tile_width
                y0, y1 = max(top, y), min(top + height, y + tile.shape[0])
                x0, x1 = max(left, x), min(left + width, x + tile.shape[1])
                out[y0 - top : y1 - top, x0 - left : x1 - left] = tile[y0 - y : y1 - y, x0 - x : x1 - x]
        return out

    def verify(self) -> None:
        """Every directory and every segment lies inside the file, and the last segment of each level decodes."""
        check_directories(self.path)
        check_segments(self.path, self._pages)
        for level, page in enumerate(self._pages):
            self._segment(level, segments_per_plane(page) - 1)

    def close(self) -> None:
        self._file.close()

    def _segment(self, level: int, index: int) -> np.ndarray:
        """Segment ``index`` of a level as uint8 (y, x, 3), cut to the image; white where the file stores nothing."""
        key = (level, index)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        page = self._pages[level]
        planes = [_decoded(self.path, page, index + k) for k in plane_offsets(page)]
        tile = np.concatenate(planes, axis=-1)
        tile = np.repeat(tile, 3, axis=-1) if tile.shape[-1] == 1 else tile
        if tile.shape[-1] == 4:
            alpha = tile[..., 3:].astype(np.uint16)
            tile = ((tile[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            tile = 255 - tile
        self._cache[key] = tile
        self._cached_bytes += tile.nbytes
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, old = self._cache.popitem(last=False)
            self._cached_bytes -= old.nbytes
        return tile


def _level_pages(path: Path, file: tifffile.TiffFile) -> list[Any]:
    if not file.series:
        raise unreadable(path, "TIFF directory", expected="at least one image", found="none")
    pages = [level.keyframe for level in file.series[0].levels]
    first = pages[0]
    if first.dtype != np.uint8 or first.samplesperpixel not in (1, 3, 4) or len(file.series[0].pages) != 1:
        raise DataContractError(
            path,
            "pixels",
            expected="one 8-bit grey, RGB or RGBA image",
            found=f"{first.dtype}, {first.samplesperpixel} samples per pixel, {len(file.series[0].pages)} page(s)",
            remedy="export the H&E image as 8-bit RGB",
        )
    ycbcr = first.photometric == tifffile.PHOTOMETRIC.YCBCR and first.compression in JPEG  # the codec converts it
    if first.photometric not in (0, 1, 2) and not ycbcr:  # MINISWHITE, MINISBLACK, RGB
        raise DataContractError(
            path,
            "colour",
            expected="grey, RGB, or YCbCr in JPEG",
            found=first.photometric.name,
            remedy="export the image as RGB",
        )
    return pages


def _tag_mpp(page: Any) -> float | None:
    unit = page.tags.get("ResolutionUnit")
    um = UM_PER_UNIT.get(int(unit.value)) if unit is not None else None
    x, y = (page.tags.get(name) for name in ("XResolution", "YResolution"))
    if um is None or x is None or y is None:
        return None
    (x_num, x_den), (y_num, y_den) = x.value, y.value
    return plausible_mpp(um * x_den / x_num, um * y_den / y_num) if x_num and y_num else None


def _decoded(path: Path, page: Any, index: int) -> np.ndarray:
    """One stored segment as (y, x, sample), cut to the image."""
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    handle = page.parent.filehandle
    try:
        handle.seek(offset)
        data = handle.read(count) if count else None
        if data is not None and len(data) < count:
            raise ValueError(f"{len(data)} of {count} bytes")
        segment, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
    except DAMAGE as error:
        raise unreadable(path, f"tile {index}", expected="a tile that decodes", found=error) from error
    _, height, width, samples = shape
    if segment is None:
        return np.full((height, width, samples), 255, np.uint8)
    return segment[0, :height, :width]
