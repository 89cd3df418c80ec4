"""SVS through tifffile where it shows what OpenSlide shows, else through OpenSlide."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from stainscript.slides.metadata import aperio_mpp
from stainscript.slides.open import open_slide
from stainscript.slides.openslide import OpenSlideSlide
from stainscript.slides.tiff import TiffSlide

DESCRIPTION = "Aperio Image Library v11.2.1\r\n551x403 (256x256) J2K/KDU Q=70|AppMag = 20|MPP = {mpp}|Left = 25.7"


def smooth(height: int, width: int) -> np.ndarray:
    """Colours that differ between the channels and change over a few pixels, so that a swap of them shows."""
    noise = np.random.default_rng(1).normal(size=(height, width, 3))
    field = ndimage.gaussian_filter(noise, (6, 6, 0))
    return (field / np.abs(field).max() * [60, 40, 30] + [180, 110, 160]).astype(np.uint8)


def write_svs(path: Path, *, compression, photometric="rgb", encode=None, mpp="0.4990", missing=False) -> None:
    """Two levels of 256-px tiles with a thumbnail between, as Aperio's software lays them out."""

    def tiles(image):
        for top in range(0, image.shape[0], 256):
            for left in range(0, image.shape[1], 256):
                tile = image[top : top + 256, left : left + 256]
                tile = np.pad(tile, [(0, 256 - tile.shape[0]), (0, 256 - tile.shape[1]), (0, 0)], mode="edge")
                yield None if missing and top and left else (encode(tile) if encode else tile)

    image = smooth(403, 551)
    levels = [image, np.ascontiguousarray(np.asarray(Image.fromarray(image).reduce(4))[:100, :137])]
    with tifffile.TiffWriter(path) as writer:
        for number, level in enumerate(levels):
            common = {"description": DESCRIPTION.format(mpp=mpp), "metadata": None}
            shape = {"shape": level.shape, "dtype": np.uint8, "tile": (256, 256)}
            writer.write(tiles(level), compression=compression, photometric=photometric, **shape, **common)
            if not number:
                writer.write(np.zeros((90, 100, 3), np.uint8), photometric="rgb", **common)


def jpeg2000(tile: np.ndarray) -> bytes:
    return imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k", mct=False, reversible=True)


def jpeg2000_ycbcr(tile: np.ndarray) -> bytes:
    return jpeg2000(np.asarray(Image.fromarray(tile).convert("YCbCr")))


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"compression": "jpeg", "photometric": "ycbcr"}, 0),
        ({"compression": 33005, "encode": jpeg2000}, 0),
        ({"compression": 33003, "photometric": "ycbcr", "encode": jpeg2000_ycbcr}, 1),  # Pillow's and its rounding
        ({"compression": 33003, "encode": jpeg2000_ycbcr}, 1),
    ],
    ids=["JPEG", "JPEG 2000", "JPEG 2000 of YCbCr", "JPEG 2000 of YCbCr said to be RGB"],
)
def test_every_compression_of_aperio_agrees_with_openslide(tmp_path, options, difference):
    path = tmp_path / "a.svs"
    write_svs(path, **options)
    with open_slide(path) as slide, OpenSlideSlide(path) as other:
        assert slide.reader == "tiff"
        assert slide.level_sizes == other.level_sizes == [(551, 403), (137, 100)]
        assert slide.mpp == other.mpp == 0.499
        slide.verify()
        for level, (width, height) in enumerate(slide.level_sizes):
            box = {"left": 0, "top": 0, "width": width, "height": height}
            ours, theirs = slide.level_box(level, **box).astype(int), other.level_box(level, **box)
            assert np.abs(ours - theirs).max() <= difference
    if options["compression"] != "jpeg":
        assert np.abs(ours - np.asarray(Image.fromarray(smooth(403, 551)).reduce(4))[:100, :137]).max() <= 3


def test_a_real_slide_agrees_with_openslide_in_every_pixel(shared_data):
    path = shared_data / "slides" / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide, OpenSlideSlide(path) as other:
        assert (slide.reader, slide.width_px, slide.height_px, slide.mpp) == ("tiff", 2220, 2967, 0.499)
        slide.verify()
        box = {"x_px": 0, "y_px": 0, "width_px": 2220, "height_px": 2967}
        np.testing.assert_array_equal(slide.read(**box), other.read(**box))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": 33005, "encode": jpeg2000_ycbcr},  # the tag says RGB: OpenSlide believes it, and so do we
        {"compression": "jpeg", "photometric": "ycbcr", "missing": True},
    ],
    ids=["agrees", "tiles missing"],
)
def test_openslide_reads_what_tifffile_may_show_otherwise(tmp_path, options):
    path = tmp_path / "a.svs"
    write_svs(path, **options)
    with open_slide(path) as slide:
        assert slide.reader == ("openslide" if options.get("missing") else "tiff")


def test_a_disagreement_in_one_square_sends_the_slide_to_openslide(tmp_path, monkeypatch):
    path = tmp_path / "a.svs"
    write_svs(path, compression="jpeg", photometric="ycbcr")
    honest = TiffSlide.tile
    monkeypatch.setattr(TiffSlide, "tile", lambda self, *name: honest(self, *name)[..., ::-1])  # BGR
    with open_slide(path) as slide:
        assert slide.reader == "openslide"


@pytest.mark.parametrize(
    ("text", "mpp"),
    [("a|MPP = 0.2520|Left = 1", 0.252), ("a|MPP=0.5", 0.5), ("a|AppMag = 20", None), ("a|MPP = 72", None)],
)
def test_the_scale_stands_in_the_description(text, mpp):
    assert aperio_mpp(text) == mpp
