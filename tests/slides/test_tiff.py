import numpy as np
import pytest
import tifffile

from stainscript.errors import DataContractError
from stainscript.slides.open import open_slide
from stainscript.slides.openslide import OpenSlideSlide
from stainscript.slides.tiff import TiffSlide

BOX = {"x_px": 133, "y_px": 61, "width_px": 500, "height_px": 321}


def cut(picture):
    return picture[61 : 61 + 321, 133 : 133 + 500]


@pytest.mark.parametrize(
    "options",
    [
        {"tile": (256, 128), "compression": "lzw", "photometric": "rgb"},
        {"rowsperstrip": 37, "photometric": "rgb"},
        {"rowsperstrip": 700, "compression": "zlib", "photometric": "rgb"},
        {"tile": (64, 64), "photometric": "rgb", "bigtiff": True},
        {"tile": (64, 64), "photometric": "rgb", "byteorder": ">"},
        {"tile": (64, 64), "photometric": "rgb", "compression": "zlib", "predictor": True},
    ],
)
def test_tiles_strips_byte_orders_and_codecs_give_the_same_pixels(tmp_path, picture, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, **options)
    with open_slide(path) as slide:
        assert slide.reader == "tiff"
        slide.verify()
        np.testing.assert_array_equal(slide.read(**BOX), cut(picture))


@pytest.mark.parametrize("rows", [1, 37, 700])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_strips_serve_as_tiles_of_few_rows(tmp_path, picture, rows, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", rowsperstrip=rows, compression=compression)
    with open_slide(path) as slide:
        high = {1: 64, 37: 37, 700: 700}[rows] if compression else 64  # one uncompressed strip is read in parts
        assert slide.tile_shape(0) == (high, 900)
        row = 2 if high < 700 else 0
        np.testing.assert_array_equal(slide.tile(0, row, 0), picture[row * high : (row + 1) * high])
        np.testing.assert_array_equal(slide.read(**BOX), cut(picture))
        slide.verify()


def test_uncompressed_planes_in_strips_are_joined(tmp_path, picture):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(picture, -1, 0), planarconfig="separate", photometric="rgb", rowsperstrip=50)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(**BOX), cut(picture))


def test_separate_planes_are_joined(tmp_path, picture):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(picture, -1, 0), planarconfig="separate", photometric="rgb", tile=(128, 128))
    with open_slide(path) as slide:
        slide.verify()
        np.testing.assert_array_equal(slide.read(**BOX), cut(picture))


def test_sub_ifds_are_levels(tmp_path, picture):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture, tile=(128, 128), photometric="rgb", subifds=1)
        writer.write(picture[::2, ::2], tile=(128, 128), photometric="rgb", subfiletype=1)
    with open_slide(path) as slide:
        assert slide.level_sizes == [(900, 700), (450, 350)]


def test_grey_and_inverted_grey_become_rgb(tmp_path, picture):
    grey = np.ascontiguousarray(picture[..., 0])
    for name, photometric, stored in [("g.tif", "minisblack", grey), ("i.tif", "miniswhite", 255 - grey)]:
        tifffile.imwrite(tmp_path / name, stored, photometric=photometric, tile=(128, 128))
        with open_slide(tmp_path / name) as slide:
            np.testing.assert_array_equal(slide.read(**BOX), np.repeat(cut(grey)[..., None], 3, axis=-1))


def test_transparent_pixels_show_white(tmp_path, picture):
    alpha = np.where(picture[..., :1] < 100, 0, 255).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", np.concatenate([picture, alpha], -1), photometric="rgb", extrasamples=["unassalpha"]
    )
    with open_slide(tmp_path / "a.tif") as slide:
        expected = np.where(cut(alpha) == 0, 255, cut(picture))
        np.testing.assert_array_equal(slide.read(**BOX), expected)


def test_jpeg_in_ycbcr_equals_openslide(tmp_path, picture):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, tile=(128, 128), compression="jpeg", photometric="ycbcr")
    with TiffSlide(path) as ours, OpenSlideSlide(path) as other:
        assert np.abs(ours.read(**BOX).astype(int) - other.read(**BOX)).max() <= 2


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((20_000, 20_000), "CENTIMETER", 0.5),
        ((50_800, 50_800), "INCH", 0.5),
        ((300, 300), "INCH", None),
        ((20_000, 20_000), "NONE", None),
        ((20_000, 30_000), "CENTIMETER", None),
    ],
)
def test_resolution_tags_give_the_scale_when_plausible(tmp_path, picture, resolution, unit, mpp):
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", resolution=resolution, resolutionunit=unit)
    with open_slide(tmp_path / "a.tif") as slide:
        assert slide.mpp == (mpp if mpp is None else pytest.approx(mpp))


def test_only_the_tiles_in_the_way_are_decoded(pyramid, monkeypatch):
    with TiffSlide(pyramid) as slide:
        decoded = []
        whole = slide.tile
        monkeypatch.setattr(slide, "tile", lambda *name: decoded.append(name) or whole(*name))
        for _ in range(2):
            slide.read(x_px=130, y_px=130, width_px=100, height_px=100)
    assert decoded == [(0, 1, 1)]  # tiles of 128 px; the second read finds it kept


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_pyramid_is_refused(tmp_path, pyramid, share):
    content = pyramid.read_bytes()
    path = tmp_path / "cut.tif"
    path.write_bytes(content[: int(len(content) * share)])
    match = r"cut\.tif: .*expected .* found .*Remedy: copy or export"
    with pytest.raises(DataContractError, match=match) as error, open_slide(path) as slide:
        slide.verify()
    assert error.value.field.startswith(("TIFF directory", "level", "slide"))


@pytest.mark.parametrize("lost", [1, 1000, 100_000])
def test_a_tiff_whose_last_tiles_are_cut_off_is_refused(tmp_path, picture, lost):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, picture, tile=(128, 128), photometric="rgb")
    content = path.read_bytes()
    path.write_bytes(content[:-lost])
    with (
        pytest.raises(
            DataContractError, match=f"level 0: expected .* bytes.*found a file of {len(content) - lost:,} b"
        ),
        open_slide(path) as slide,
    ):
        slide.verify()


def test_a_last_tile_of_garbage_is_refused(tmp_path, picture):
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, picture, tile=(128, 128), photometric="rgb", compression="zlib")
    content = path.read_bytes()
    path.write_bytes(content[:-3000] + bytes(3000))
    with pytest.raises(DataContractError, match="tile 47: expected a tile that decodes"), open_slide(path) as slide:
        slide.verify()


def test_sixteen_bits_are_refused(tmp_path, picture):
    tifffile.imwrite(tmp_path / "a.tif", picture.astype(np.uint16), photometric="rgb")
    with pytest.raises(DataContractError, match=r"pixels: expected one 8-bit .* found uint16"):
        open_slide(tmp_path / "a.tif")
