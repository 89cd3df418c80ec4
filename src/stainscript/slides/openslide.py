"""Vendor formats (SVS, NDPI, MRXS, SCN, ...) through OpenSlide."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import openslide
import tifffile

from stainscript.slides.array import on_white
from stainscript.slides.base import LeveledSlide, plausible_mpp, unreadable
from stainscript.slides.tiff_structure import DAMAGE, check_directories, check_segments

TILE_PX = 512


class OpenSlideSlide(LeveledSlide):
    """A slide that OpenSlide reads; where the file stores nothing, white shows.

    OpenSlide's handle serves threads but does not survive a fork, which would share its file positions: another
    process opens its own.
    """

    reader = "openslide"

    def __init__(self, path: str | Path, *, mpp: float | None = None) -> None:
        self._process, self._slide = os.getpid(), _opened(path)
        if mpp is None:
            x, y = (self._slide.properties.get(f"openslide.mpp-{axis}") for axis in "xy")
            mpp = plausible_mpp(_number(x), _number(y))
        super().__init__(path, level_sizes=list(self._slide.level_dimensions), mpp=mpp)

    def tile_shape(self, level: int) -> tuple[int, int]:
        """Squares larger than the stored tiles of most formats, which OpenSlide keeps in a cache of its own."""
        return TILE_PX, TILE_PX

    def tile(self, level: int, row: int, column: int) -> np.ndarray:
        """The pixels of one square, cut to the level."""
        columns, rows = self.level_sizes[level]
        left, top = column * TILE_PX, row * TILE_PX
        corner = (round(left * self.width_px / columns), round(top * self.height_px / rows))
        size = (min(TILE_PX, columns - left), min(TILE_PX, rows - top))
        try:
            return np.asarray(on_white(self._handle().read_region(corner, level, size)))
        except openslide.OpenSlideError as error:
            raise unreadable(self.path, f"level {level}", expected="pixels that decode", found=error) from error

    def _handle(self) -> openslide.OpenSlide:
        if self._process != os.getpid():
            self._inherited = self._slide  # not closed here: that would move the parent's file positions
            self._slide, self._process = _opened(self.path), os.getpid()  # twice by two threads: one is let go
        return self._slide

    def verify(self) -> None:
        """The last corner of each level decodes; in TIFF-like files every tile lies inside the file as well."""
        try:
            with tifffile.TiffFile(self.path) as file:
                if not file.is_ndpi:
                    check_directories(self.path)
                check_segments(self.path, [level.keyframe for level in file.series[0].levels])
        except tifffile.TiffFileError:
            pass  # not a TIFF: OpenSlide's own check below is all there is
        except DAMAGE as error:
            raise unreadable(self.path, "TIFF directory", expected="a readable TIFF", found=error) from error
        for level, (columns, rows) in enumerate(self.level_sizes):
            self.tile(level, (rows - 1) // TILE_PX, (columns - 1) // TILE_PX)

    def close(self) -> None:
        self._slide.close()


def _opened(path: str | Path) -> openslide.OpenSlide:
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideError as error:
        raise unreadable(path, "slide", expected="a slide that OpenSlide opens", found=error) from error


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
