"""Choose the backend of an image by its content."""

from __future__ import annotations

from pathlib import Path

import openslide

from stainscript.errors import DataContractError
from stainscript.slides.array import ArraySlide
from stainscript.slides.base import LeveledSlide, unreadable
from stainscript.slides.openslide import OpenSlideSlide
from stainscript.slides.tiff import TiffSlide

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN_STARTS = (b"\xff\xd8\xff", b"\x89PNG")


def open_slide(path: str | Path, *, mpp: float | None = None) -> LeveledSlide:
    """Open an image: vendor formats by OpenSlide, other TIFFs by tifffile, JPEG and PNG by Pillow.

    mpp: µm per level-0 pixel, over whatever the metadata say; without it ``slide.mpp`` is the metadata's, or ``None``.
    Raises ``DataContractError`` for a missing, empty, unknown or damaged file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataContractError(
            path, "image", expected="an image file", found="no such file", remedy="correct the sheet or the root"
        )
    if path.stat().st_size == 0:
        raise unreadable(path, "image", expected="an image", found="an empty file (0 bytes)")
    with path.open("rb") as handle:
        start = handle.read(4)
    try:
        vendor = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError as error:
        raise unreadable(path, "slide", expected="a slide that OpenSlide opens", found=error) from error
    if vendor not in (None, "generic-tiff"):
        return OpenSlideSlide(path, mpp=mpp)
    if start in TIFF_STARTS:
        return TiffSlide(path, mpp=mpp)
    if start.startswith(PLAIN_STARTS):
        return ArraySlide(path, mpp=mpp)
    raise DataContractError(
        path,
        "image",
        expected="a slide that OpenSlide reads, a TIFF, a JPEG or a PNG",
        found=f"a file that starts with {start!r}",
        remedy="export the image in one of these formats",
    )
