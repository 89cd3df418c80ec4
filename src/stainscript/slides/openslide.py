"""Vendor formats (SVS, NDPI, MRXS, SCN, ...) through OpenSlide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import tifffile

from stainscript.slides.array import on_white
from stainscript.slides.base import LeveledSlide, plausible_mpp, unreadable
from stainscript.slides.tiff_structure import DAMAGE, check_directories, check_segments


class OpenSlideSlide(LeveledSlide):
    """A slide that OpenSlide reads; where the file stores nothing, white shows."""

    reader = "openslide"

    def __init__(self, path: str | Path, *, mpp: float | None = None) -> None:
        try:
            self._slide = openslide.OpenSlide(path)
        except openslide.OpenSlideError as error:
            raise unreadable(path, "slide", expected="a slide that OpenSlide opens", found=error) from error
        if mpp is None:
            x, y = (self._slide.properties.get(f"openslide.mpp-{axis}") for axis in "xy")
            mpp = plausible_mpp(_number(x), _number(y))
        super().__init__(path, level_sizes=list(self._slide.level_dimensions), mpp=mpp)

    def _level_box(self, level: int, *, left: int, top: int, width: int, height: int) -> np.ndarray:
        columns, rows = self.level_sizes[level]
        corner = (round(left * self.width_px / columns), round(top * self.height_px / rows))
        try:
            return np.asarray(on_white(self._slide.read_region(corner, level, (width, height))))
        except openslide.OpenSlideError as error:
            raise unreadable(self.path, f"level {level}", expected="pixels that decode", found=error) from error

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
            self._level_box(level, left=columns - 1, top=rows - 1, width=1, height=1)

    def close(self) -> None:
        self._slide.close()


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
