import numpy as np
import pytest
from PIL import Image

from stainscript.errors import DataContractError
from stainscript.slides import array
from stainscript.slides.open import open_slide


def test_a_truncated_jpeg_is_refused_at_opening(tmp_path, picture):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture).save(path, quality=90)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(
        DataContractError, match=r"a\.jpg: pixels: expected an image that decodes completely.*truncated"
    ):
        open_slide(path)


def test_the_orientation_tag_is_not_applied(tmp_path, picture):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90°"
    Image.fromarray(picture).save(path, exif=exif)
    with open_slide(path) as slide:
        assert (slide.width_px, slide.height_px) == (900, 700)


@pytest.mark.parametrize("mode", ["L", "P", "LA"])
def test_grey_and_palette_become_rgb(tmp_path, picture, mode):
    image = Image.fromarray(picture).convert("L").convert(mode)
    image.save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png") as slide:
        region = slide.read(x_px=5, y_px=6, width_px=40, height_px=30)
    np.testing.assert_array_equal(region, np.asarray(image.convert("RGB"))[6:36, 5:45])


def test_transparent_pixels_show_white(tmp_path):
    Image.fromarray(np.zeros((8, 9, 4), np.uint8)).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png") as slide:
        assert (slide.read(x_px=0, y_px=0, width_px=9, height_px=8) == 255).all()


def test_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.zeros((8, 9), np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataContractError, match="8-bit RGB, grey or palette; found mode I;16"):
        open_slide(tmp_path / "a.png")


def test_an_image_beyond_the_stated_bound_is_refused(png, monkeypatch):
    monkeypatch.setattr(array, "MAX_PIXELS", 900 * 700 - 1)
    with pytest.raises(DataContractError, match=r"at most 629,999 pixels.*tiled pyramidal TIFF"):
        open_slide(png)


def test_images_larger_than_the_copying_band_stay_whole(picture, png, monkeypatch):
    monkeypatch.setattr(array, "BAND_ROWS", 64)
    with open_slide(png) as slide:
        np.testing.assert_array_equal(slide.read(x_px=0, y_px=0, width_px=900, height_px=700), picture)
