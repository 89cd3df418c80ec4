"""The skeleton of a TIFF: its chain of directories and where its segments lie."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stainscript.slides.base import unreadable

# what tifffile and its codecs raise on damaged bytes
DAMAGE = (tifffile.TiffFileError, struct.error, OSError, ValueError, IndexError, KeyError, TypeError, RuntimeError)


def check_directories(path: Path) -> None:
    """Raise ``DataContractError`` when the chain of directories leaves the file: it was cut short.

    Readers stop at such a break and show fewer levels, without an error. 32-bit and 64-bit TIFF are walked; NDPI,
    whose 32-bit chain may hold 64-bit offsets, must not be given here.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack(order + "H", head[2:4])[0] == 43
        count_format, entry_size, offset_format = ("Q", 20, "Q") if big else ("H", 12, "I")
        count_size, offset_size = struct.calcsize(order + count_format), struct.calcsize(order + offset_format)
        start = 8 if big else 4
        offset = struct.unpack(order + offset_format, head[start : start + offset_size])[0] if len(head) == 16 else size
        seen: set[int] = set()
        while offset and offset not in seen:
            seen.add(offset)
            file.seek(offset)
            count = file.read(count_size)
            entries = struct.unpack(order + count_format, count)[0] if len(count) == count_size else 0
            end = offset + count_size + entries * entry_size + offset_size
            if not entries or end > size:
                raise unreadable(
                    path,
                    "TIFF directory",
                    expected=f"directory {len(seen)} at byte {offset:,}",
                    found=f"a file of {size:,} bytes",
                )
            file.seek(end - offset_size)
            offset = struct.unpack(order + offset_format, file.read(offset_size))[0]


def check_segments(path: Path, pages: list[Any]) -> None:
    """Raise ``DataContractError`` when a tile or strip of ``pages`` lies beyond the end of the file."""
    size = path.stat().st_size
    for level, page in enumerate(pages):
        ends = np.asarray(page.dataoffsets, np.int64) + np.asarray(page.databytecounts, np.int64)
        keyframe = page.keyframe  # a page of the same layout, which states it
        expected = segments_per_plane(keyframe) * len(plane_offsets(keyframe))
        if len(ends) < expected:
            raise unreadable(path, f"level {level}", expected=f"{expected} tiles", found=f"{len(ends)} tiles")
        if ends.max() > size:
            raise unreadable(
                path,
                f"level {level}",
                expected=f"{ends.max():,} bytes, where its last tile ends",
                found=f"a file of {size:,} bytes",
            )


def segment_shape(page: Any) -> tuple[int, int]:
    """Height and width in pixels of a page's tiles, or of its strips."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def segments_per_plane(page: Any) -> int:
    """Tiles or strips that cover the image once."""
    height, width = segment_shape(page)
    return -(-page.imagelength // height) * -(-page.imagewidth // width)


def plane_offsets(page: Any) -> range:
    """Index of the first segment of each stored plane: one plane, or one for each colour."""
    planes = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else 1
    return range(0, planes * segments_per_plane(page), segments_per_plane(page))
