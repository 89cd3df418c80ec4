"""TIFF through tifffile: pyramidal or flat, tiled or in strips; only the needed segments are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from stainscript.errors import DataContractError
from stainscript.slides.base import LeveledSlide, unreadable
from stainscript.slides.metadata import aperio_mpp, ome_mpp, tag_mpp
from stainscript.slides.tiff_level import TiffLevel
from stainscript.slides.tiff_structure import DAMAGE, check_directories, check_segments


class TiffSlide(LeveledSlide):
    """The slide's image in a TIFF, OME-TIFF or SVS; its levels are reduced pages or sub-IFDs.

    The directories are read once, when the slide is opened; tiles are then read by position. Threads and forked
    processes therefore share it.
    """

    reader = "tiff"

    def __init__(self, path: str | Path, *, mpp: float | None = None) -> None:
        path = Path(path)
        self._file = path.open("rb")
        try:
            with tifffile.TiffFile(path) as parsed:
                series = _image_series(path, parsed)
                self._pages = [_level_pages(path, parsed, level) for level in series.levels]
                self._levels = [TiffLevel(path, self._file, pages) for pages in self._pages]
                stated = _stated_mpp(parsed, self._pages[0][0].keyframe)
        except DataContractError:
            self._file.close()
            raise
        except DAMAGE as error:
            self._file.close()
            raise unreadable(path, "TIFF directory", expected="a readable TIFF", found=error) from error
        sizes = [(level.width_px, level.height_px) for level in self._levels]
        super().__init__(path, level_sizes=sizes, mpp=stated if mpp is None else mpp)

    @property
    def complete(self) -> bool:
        """Whether every tile of every level is stored."""
        return all(level.complete for level in self._levels)

    @property
    def encodings(self) -> set[tuple[int, int]]:
        """Compression and photometric interpretation of the levels."""
        return {level.encoding for level in self._levels}

    def tile_shape(self, level: int) -> tuple[int, int]:
        """The stored tiles, or runs of strips."""
        return self._levels[level].tile_shape

    def tile(self, level: int, row: int, column: int) -> np.ndarray:
        """A stored tile, or a run of strips, cut to the image; white where the file stores nothing."""
        return self._levels[level].tile(row, column)

    def verify(self) -> None:
        """Every directory and every segment lies inside the file, and the last segment of each level decodes."""
        check_directories(self.path)
        check_segments(self.path, [page for pages in self._pages for page in pages])
        for level, (width, height) in zip(self._levels, self.level_sizes, strict=True):
            rows, columns = level.tile_shape
            level.tile((height - 1) // rows, (width - 1) // columns)

    def close(self) -> None:
        self._file.close()


def _image_series(path: Path, file: tifffile.TiffFile) -> Any:
    """The series that holds the slide: the first, or the largest of an OME-TIFF, which may begin with an overview."""
    if not file.series:
        raise unreadable(path, "TIFF directory", expected="at least one image", found="none")
    if file.is_ome:
        return max(file.series, key=lambda series: series.keyframe.imagewidth * series.keyframe.imagelength)
    return file.series[0]


def _level_pages(path: Path, file: tifffile.TiffFile, level: Any) -> list[Any]:
    """The page of a level, or its three when an OME-TIFF keeps a page for each colour."""
    pages = list(level.pages)
    if any(page is None or page.parent is not file for page in pages):
        raise DataContractError(
            path,
            "OME-XML",
            expected="an image that lies in this file as a whole",
            found="pages that are missing or lie in other files",
            remedy="export the slide as one OME-TIFF",
        )
    if len(pages) not in (1, 3) or (len(pages) == 3 and level.axes not in ("CYX", "SYX")):
        raise DataContractError(
            path,
            "pixels",
            expected="one 8-bit grey, RGB or RGBA image",
            found=f"{level.dtype}, {len(pages)} page(s) along {level.axes}",
            remedy="export one plane of the H&E image as 8-bit RGB",
        )
    return pages


def _stated_mpp(file: tifffile.TiffFile, page: Any) -> float | None:
    if file.is_svs:
        return aperio_mpp(page.description)
    if file.is_ome:
        try:
            stated = ome_mpp(file.ome_metadata, width_px=page.imagewidth, height_px=page.imagelength)
        except (ElementTree.ParseError, ValueError):  # tifffile, too, then goes by the pages alone
            stated = None
        if stated is not None:
            return stated
    return tag_mpp(page)
