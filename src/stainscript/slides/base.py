"""What a slide offers, and the reads that every backend shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from stainscript.errors import DataContractError
from stainscript.slides.cache import TileCache
from stainscript.slides.reads import FINER, plan_reads, resampled

PLAUSIBLE_MPP = (0.05, 10.0)  # µm per pixel; outside lie the 72 and 300 dpi that editors write
INSIDE_PX = 1e-3  # a region may pass the slide's edge by this much: rounding of µm
CACHE_BYTES = 128 * 2**20  # decoded tiles kept for the next read
BAND_PX = 2**24  # level pixels held at once while a thumbnail is made (48 MiB)


@runtime_checkable
class Slide(Protocol):
    """One opened H&E image; level 0 is full resolution."""

    width_px: int
    height_px: int
    mpp: float | None  # µm per level-0 pixel
    reader: str

    def read(
        self, *, x_px: float, y_px: float, width_px: int, height_px: int, mpp: float | None = None
    ) -> np.ndarray: ...

    def thumbnail(self, *, long_side_px: int) -> np.ndarray: ...

    def verify(self) -> None: ...

    def close(self) -> None: ...


class LeveledSlide(ABC):
    """A slide of one or more levels, each cut into tiles.

    A backend tells ``level_sizes``, ``tile_shape`` and ``tile``; reads of boxes are made of these here. Threads may
    share a slide. A forked process may use it too, and a pickled one is opened again where it arrives.
    """

    reader: str

    def __init__(self, path: str | Path, *, level_sizes: list[tuple[int, int]], mpp: float | None) -> None:
        self.path = Path(path)
        self.level_sizes = level_sizes  # (width, height) of each level, full resolution first
        self.width_px, self.height_px = level_sizes[0]
        self.mpp = mpp
        self._kept = TileCache(CACHE_BYTES)

    @abstractmethod
    def tile_shape(self, level: int) -> tuple[int, int]:
        """Height and width in pixels of a level's tiles; those at the right and lower edge may be smaller."""

    @abstractmethod
    def tile(self, level: int, row: int, column: int) -> np.ndarray:
        """One tile decoded, cut to the image: uint8 (y, x, 3) RGB, not to be written to. Safe to call from threads."""

    @abstractmethod
    def verify(self) -> None:
        """Raise ``DataContractError`` when the file is cut short or does not decode."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def level_box(self, level: int, *, left: int, top: int, width: int, height: int) -> np.ndarray:
        """The box of a level, inside it: uint8 (height, width, 3) RGB."""
        tile_height, tile_width = self.tile_shape(level)
        out = np.empty((height, width, 3), np.uint8)
        for row in range(top // tile_height, -(-(top + height) // tile_height)):
            for column in range(left // tile_width, -(-(left + width) // tile_width)):
                tile = self._kept.get((level, row, column))
                if tile is None:
                    tile = self.tile(level, row, column)
                    self._kept.put((level, row, column), tile)
                paste(tile, out, y=row * tile_height - top, x=column * tile_width - left)
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_again, (type(self), self.path.absolute(), self.mpp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, *, x_px: float, y_px: float, width_px: int, height_px: int, mpp: float | None = None) -> np.ndarray:
        """A region as uint8 (height_px, width_px, 3) RGB.

        x_px, y_px: top-left corner in level-0 pixels; width_px, height_px: size of the result; mpp: µm per pixel of
        the result, ``None`` for level-0 pixels as they are. Raises ``DataContractError`` when the region leaves the
        slide, or when ``mpp`` is asked of a slide whose own is unknown.
        """
        scale = 1.0
        if mpp is not None:
            if self.mpp is None:
                raise DataContractError(
                    self.path,
                    "mpp",
                    expected="a known µm per pixel",
                    found="none in the metadata",
                    remedy="fill the sheet's column mpp",
                )
            scale = mpp / self.mpp
        box = (x_px, y_px, x_px + width_px * scale, y_px + height_px * scale)
        return self.read_box(box_px=box, width_px=width_px, height_px=height_px)

    def read_box(
        self, *, box_px: tuple[float, float, float, float], width_px: int, height_px: int, neighbours: bool = True
    ) -> np.ndarray:
        """The level-0 box (left, top, right, bottom; fractions allowed) as uint8 (height_px, width_px, 3) RGB.

        Copied when the box is whole pixels of the result's size; else resampled with Pillow's bilinear filter, which
        widens with the reduction (antialiased), from the coarsest level that is still at least as fine as the result;
        near its border the filter sees the pixels around the box, unless ``neighbours`` is false.
        """
        box = self._inside(box_px)
        sizes = {"width_px": np.array([width_px]), "height_px": np.array([height_px])}
        reads = plan_reads(self.level_sizes, np.array([box]), **sizes, neighbours=neighbours)
        left, top, right, bottom = reads.source[0].tolist()
        source = self.level_box(int(reads.level[0]), left=left, top=top, width=right - left, height=bottom - top)
        if reads.exact[0]:
            return source
        return resampled(source, inner=tuple(reads.inner[0].tolist()), width_px=width_px, height_px=height_px)

    def thumbnail(self, *, long_side_px: int) -> np.ndarray:
        """The whole slide as uint8 (y, x, 3) RGB with a long side of at most ``long_side_px``, made band by band."""
        scale = max(self.width_px, self.height_px) / long_side_px
        if scale <= 1:
            return self.read_box(
                box_px=(0, 0, self.width_px, self.height_px), width_px=self.width_px, height_px=self.height_px
            )
        width, height = max(1, round(self.width_px / scale)), max(1, round(self.height_px / scale))
        step = self.height_px / height  # level-0 rows for each row of the thumbnail
        columns, rows = self.level_sizes[self._level_for(max(self.width_px / width, step))]
        band = max(1, int(BAND_PX / (columns * (rows / height))))
        parts = [
            self.read_box(
                box_px=(0, start * step, self.width_px, min(start + band, height) * step),
                width_px=width,
                height_px=min(start + band, height) - start,
            )
            for start in range(0, height, band)
        ]
        return np.concatenate(parts)

    def _level_for(self, scale: float) -> int:
        """Coarsest level whose pixels are not larger than ``scale`` level-0 pixels (1 % tolerance)."""
        fine = [k for k, (columns, _) in enumerate(self.level_sizes) if self.width_px / columns <= scale * FINER]
        return fine[-1] if fine else 0

    def _inside(self, box_px: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, top, right, bottom = box_px
        width, height = self.width_px, self.height_px
        outside = left < -INSIDE_PX or top < -INSIDE_PX or right > width + INSIDE_PX or bottom > height + INSIDE_PX
        if outside or right <= left or bottom <= top:
            raise DataContractError(
                self.path,
                "region",
                expected=f"a box inside 0..{width} × 0..{height} px",
                found=f"x {left:.6g}..{right:.6g}, y {top:.6g}..{bottom:.6g}",
                remedy="read inside the slide; patches beyond the edge follow the view's edge policy",
            )
        return max(left, 0), max(top, 0), min(right, width), min(bottom, height)


def paste(tile: np.ndarray, out: np.ndarray, *, y: int, x: int) -> None:
    """Copy what of ``tile``, its corner at (y, x) of ``out``, lies on ``out``; both (y, x, 3)."""
    y0, x0 = max(y, 0), max(x, 0)
    y1, x1 = min(y + tile.shape[0], out.shape[0]), min(x + tile.shape[1], out.shape[1])
    out[y0:y1, x0:x1] = tile[y0 - y : y1 - y, x0 - x : x1 - x]


def plausible_mpp(x: float | None, y: float | None) -> float | None:
    """One µm per pixel from the metadata's two: ``None`` when absent, implausible, or more than 5 % apart."""
    low, high = PLAUSIBLE_MPP
    if x is None or y is None or not (low <= x <= high and low <= y <= high) or abs(x - y) > 0.05 * min(x, y):
        return None
    return (x + y) / 2


def _opened_again(kind: type[LeveledSlide], path: Path, mpp: float | None) -> LeveledSlide:
    return kind(path, mpp=mpp)


def unreadable(path: str | Path, field: str, *, expected: str, found: object) -> DataContractError:
    """The error for an image that is cut short or does not decode."""
    return DataContractError(
        path, field, expected=expected, found=found, remedy="copy or export the image again; the file is damaged"
    )
