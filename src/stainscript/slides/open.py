"""Choose the backend of an image by its content."""

from __future__ import annotations

from math import isclose
from pathlib import Path

import numpy as np
import openslide

from stainscript.errors import DataContractError
from stainscript.slides.array import ArraySlide
from stainscript.slides.base import LeveledSlide, unreadable
from stainscript.slides.openslide import OpenSlideSlide
from stainscript.slides.tiff import TiffSlide

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PLAIN_STARTS = (b"\xff\xd8\xff", b"\x89PNG")
WITH_FOLDER = {".mrxs": "its Slidedat.ini and Data*.dat"}  # the file itself is a plain JPEG overview
AGREEMENT = 2  # grey levels that two JPEG or JPEG 2000 decoders may differ by
PROBE_PX = 128


def open_slide(path: str | Path, *, mpp: float | None = None) -> LeveledSlide:
    """Open an image: vendor formats by OpenSlide, SVS and other TIFFs by tifffile, JPEG and PNG by Pillow.

    A MIRAX slide is opened by its ``.mrxs``, a DICOM slide by one of its ``.dcm`` files.
    mpp: µm per level-0 pixel, over whatever the metadata say; without it ``slide.mpp`` is the metadata's, or ``None``.
    Raises ``DataContractError`` for a missing, empty, unknown or damaged file.
    """
    path = Path(path)
    if path.is_dir():
        raise DataContractError(
            path,
            "image",
            expected="an image file",
            found="a folder",
            remedy="of a DICOM slide name one .dcm file, of a MIRAX slide the .mrxs beside its folder",
        )
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
    if vendor == "aperio":
        return _aperio(path, mpp=mpp)
    if vendor not in (None, "generic-tiff"):
        return OpenSlideSlide(path, mpp=mpp)
    if path.suffix.lower() in WITH_FOLDER:
        raise DataContractError(
            path,
            "slide",
            expected=f"the folder {path.stem} beside it, with {WITH_FOLDER[path.suffix.lower()]}",
            found="a file that OpenSlide does not take for a slide",
            remedy="copy the slide again, its folder as well; the file alone holds no slide",
        )
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


def _aperio(path: Path, *, mpp: float | None) -> LeveledSlide:
    """An SVS through tifffile, which is several times faster, where it shows what OpenSlide shows; else OpenSlide.

    Asked are the same levels and scale, every tile stored and in one encoding, and a square in the middle of level 0
    within ``AGREEMENT`` grey levels. (OpenSlide shifts reduced levels by fractions of a pixel: they are not compared.)
    """
    reference = OpenSlideSlide(path, mpp=mpp)
    try:
        fast = TiffSlide(path, mpp=mpp)
    except DataContractError:
        return reference
    try:
        if _agree(fast, reference):
            reference.close()
            return fast
    except DataContractError:  # a damaged tile: OpenSlide's reads say so
        pass
    fast.close()
    return reference


def _agree(fast: TiffSlide, reference: OpenSlideSlide) -> bool:
    known = None not in (fast.mpp, reference.mpp)
    same_scale = isclose(fast.mpp, reference.mpp) if known else fast.mpp == reference.mpp
    if fast.level_sizes != reference.level_sizes or not same_scale or not fast.complete or len(fast.encodings) > 1:
        return False
    size = {"width": min(PROBE_PX, fast.width_px), "height": min(PROBE_PX, fast.height_px)}
    corner = {"left": (fast.width_px - size["width"]) // 2, "top": (fast.height_px - size["height"]) // 2}
    ours, theirs = (slide.level_box(0, **corner, **size).astype(np.int16) for slide in (fast, reference))
    return bool(np.abs(ours - theirs).max() <= AGREEMENT)
