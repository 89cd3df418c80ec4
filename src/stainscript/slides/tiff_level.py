"""One level of a TIFF as tiles of RGB: read by position, decoded by tifffile's codecs, brought to one colour space."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image

from stainscript.errors import DataContractError
from stainscript.slides.base import unreadable
from stainscript.slides.tiff_structure import DAMAGE, plane_offsets, segment_shape, segments_per_plane

JPEG = (6, 7)  # Compression: old and new JPEG
APERIO_YCBCR = 33003  # Compression: Aperio's JPEG 2000 whose samples are YCbCr; 33005 holds RGB
STRIP_ROWS = 64  # strips are joined until a tile has this many rows


class TiffLevel:
    """The tiles of one image. Nothing here moves a file position, so that threads and forked processes may share it.

    pages: one page, or one a colour. A strip is as wide as the image; runs of strips serve as tiles.
    """

    def __init__(self, path: Path, file: BinaryIO, pages: Sequence[Any]) -> None:
        first = pages[0].keyframe
        check_colours(path, first, pages=len(pages))
        self._path, self._file = path, file
        self.width_px, self.height_px = first.imagewidth, first.imagelength
        rows, self._tile_width = segment_shape(first)
        # uncompressed strips are read by rows, however high they are; others are joined
        self._plain = not first.is_tiled and first.compression == tifffile.COMPRESSION.NONE and first.fillorder == 1
        self._joined = 1 if first.is_tiled or self._plain else max(1, STRIP_ROWS // rows)
        self._rows, self._across = rows, -(-self.width_px // self._tile_width)
        self._samples = first.samplesperpixel // len(plane_offsets(first))
        self.encoding = (int(first.compression), int(first.photometric))
        self._decode = first.decode
        self._white_is_zero = first.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        self._ycbcr = first.compression == APERIO_YCBCR
        # where the segments of each colour begin: (offsets, byte counts, JPEG tables, index of the first)
        self._planes = [
            (page.dataoffsets, page.databytecounts, page.jpegtables, start)
            for page in pages
            for start in plane_offsets(first)
        ]
        self.complete = all(all(counts[: segments_per_plane(first)]) for _, counts, _, _ in self._planes)

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Height and width of a tile that lies inside the image."""
        rows = STRIP_ROWS if self._plain else self._rows * self._joined
        return min(rows, self.height_px), self._tile_width

    def tile(self, row: int, column: int) -> np.ndarray:
        """uint8 (y, x, 3) RGB, cut to the image; white where the file stores nothing."""
        if self._plain:
            top = row * STRIP_ROWS
            bottom = min(top + STRIP_ROWS, self.height_px)
            return self._rgb([self._plain_rows(top, bottom, *plane) for plane in self._planes])
        if self._joined == 1:
            return self._segment(row * self._across + column)
        first, end = row * self._joined, -(-self.height_px // self._rows)
        return np.concatenate([self._segment(index) for index in range(first, min(first + self._joined, end))])

    def _segment(self, index: int) -> np.ndarray:
        return self._rgb([self._plane(index, *plane) for plane in self._planes])

    def _rgb(self, parts: list[np.ndarray]) -> np.ndarray:
        pixels = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if pixels.shape[-1] == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        elif pixels.shape[-1] == 4:
            alpha = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
        if self._white_is_zero:
            pixels = 255 - pixels
        if self._ycbcr:
            height, width, _ = pixels.shape
            pixels = np.asarray(Image.frombytes("YCbCr", (width, height), pixels.tobytes()).convert("RGB"))
        return pixels

    def _plane(self, index: int, offsets: Any, counts: Any, tables: bytes | None, start: int) -> np.ndarray:
        """One stored segment as (y, x, sample), cut to the image."""
        number = start + index
        try:
            data = self._bytes(counts[number], at=offsets[number]) if counts[number] else None
            segment, _, (_, height, width, samples) = self._decode(data, number, jpegtables=tables)
        except DAMAGE as error:
            raise unreadable(self._path, f"tile {index}", expected="a tile that decodes", found=error) from error
        row, column = divmod(index, self._across)
        height = min(height, self.height_px - row * self._rows)
        width = min(width, self.width_px - column * self._tile_width)
        if segment is None:
            white = 0 if self._white_is_zero else 255
            return np.full((height, width, samples), white, np.uint8)
        return segment[0, :height, :width]

    def _plain_rows(self, top: int, bottom: int, offsets: Any, counts: Any, _: bytes | None, start: int) -> np.ndarray:
        """Rows of uncompressed strips as (y, x, sample), of as many strips as they lie in."""
        samples = self._samples
        row_bytes, parts = self.width_px * samples, []
        for index in range(top // self._rows, -(-bottom // self._rows)):
            first, last = max(top - index * self._rows, 0), min(bottom - index * self._rows, self._rows)
            size = (last - first) * row_bytes
            if counts[start + index]:
                try:
                    parts.append(self._bytes(size, at=offsets[start + index] + first * row_bytes))
                except DAMAGE as error:
                    raise unreadable(self._path, f"strip {index}", expected=f"{size} bytes", found=error) from error
            else:
                parts.append((b"\0" if self._white_is_zero else b"\xff") * size)
        return np.frombuffer(b"".join(parts), np.uint8).reshape(bottom - top, self.width_px, samples)

    def _bytes(self, count: int, *, at: int) -> bytes:
        data = os.pread(self._file.fileno(), count, at)
        if len(data) < count:
            raise ValueError(f"{len(data)} of {count} bytes")
        return data


def check_colours(path: Path, page: Any, *, pages: int) -> None:
    """Raise ``DataContractError`` unless ``pages`` pages such as ``page`` make one 8-bit grey, RGB or RGBA image."""
    samples = page.samplesperpixel * pages
    bytewise = page.dtype == np.uint8 and page.bitspersample == 8
    if not bytewise or samples not in (1, 3, 4) or (pages > 1 and page.samplesperpixel > 1):
        raise DataContractError(
            path,
            "pixels",
            expected="one 8-bit grey, RGB or RGBA image",
            found=f"{page.dtype}, {page.samplesperpixel} samples per pixel, {pages} page(s)",
            remedy="export the H&E image as 8-bit RGB",
        )
    ycbcr = page.photometric == tifffile.PHOTOMETRIC.YCBCR
    converted = ycbcr and page.compression in (*JPEG, APERIO_YCBCR)
    if page.photometric not in (0, 1, 2) and not converted:  # MINISWHITE, MINISBLACK, RGB
        raise DataContractError(
            path,
            "colour",
            expected="grey, RGB, or YCbCr in JPEG",
            found=page.photometric.name,
            remedy="export the image as RGB",
        )
