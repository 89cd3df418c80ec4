import numpy as np
import pytest
from PIL import Image

from stainscript.errors import DataContractError
from stainscript.slides.base import Slide
from stainscript.slides.open import open_slide
from stainscript.slides.openslide import OpenSlideSlide


@pytest.fixture
def three(png, pyramid):
    slides = [open_slide(png, mpp=0.5), open_slide(pyramid), OpenSlideSlide(pyramid, mpp=0.5)]
    assert [slide.reader for slide in slides] == ["array", "tiff", "openslide"]
    yield slides
    for slide in slides:
        slide.close()


def test_every_backend_keeps_the_contract(three):
    for slide in three:
        assert isinstance(slide, Slide)
        assert (slide.width_px, slide.height_px, slide.mpp) == (900, 700, 0.5)
        slide.verify()


def test_an_off_grid_region_at_native_scale_is_the_same_pixels_through_every_backend(three, picture):
    for slide in three:
        region = slide.read(x_px=301, y_px=117, width_px=333, height_px=222)
        assert region.dtype == np.uint8
        np.testing.assert_array_equal(region, picture[117:339, 301:634])


@pytest.mark.parametrize("mpp", [0.35, 0.61, 0.5, 1.0, 1.13, 2.3])
def test_an_off_grid_region_at_another_scale_agrees_between_backends(three, mpp):
    first, *others = [slide.read(x_px=101, y_px=57, width_px=120, height_px=90, mpp=mpp).astype(int) for slide in three]
    for other in others:
        assert other.shape == (90, 120, 3)
        assert np.abs(other - first).mean() < 2


def test_a_resampled_region_lies_where_it_should(three):
    for slide in three:
        region = slide.read(x_px=200, y_px=90, width_px=100, height_px=50, mpp=1.5)
        # output pixel (row, column) is centred on level-0 pixel (90 + 3·(row + ½), 200 + 3·(column + ½))
        columns = (200 + 3 * (np.arange(100) + 0.5)) / 4
        rows = (90 + 3 * (np.arange(50) + 0.5)) / 3
        assert np.abs(region[..., 0] - columns[None, :]).max() < 2
        assert np.abs(region[..., 1] - rows[:, None]).max() < 2


def test_the_whole_slide_reads_at_once(three, picture):
    for slide in three:
        np.testing.assert_array_equal(slide.read(x_px=0, y_px=0, width_px=900, height_px=700), picture)


def test_a_given_mpp_overrides_the_metadata(pyramid):
    with open_slide(pyramid, mpp=0.25) as slide:
        assert slide.mpp == 0.25


def test_a_plain_image_has_no_mpp_of_its_own(png):
    with open_slide(png) as slide:
        assert slide.mpp is None


def test_a_slide_with_a_folder_is_not_taken_for_its_overview(tmp_path, png):
    picture = tmp_path / "slide.mrxs"  # MIRAX: the file is a plain overview, the slide lies in a folder of its name
    Image.open(png).save(picture, format="JPEG")
    with pytest.raises(DataContractError, match=r"slide\.mrxs: slide: expected the folder slide beside it"):
        open_slide(picture)


def test_a_folder_of_dicom_files_is_opened_by_one_of_them(tmp_path):
    with pytest.raises(DataContractError, match=r"found a folder\. Remedy: of a DICOM slide name one \.dcm file"):
        open_slide(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("empty.jpg", b"", "an empty file (0 bytes)"),
        ("text.png", b"hello, this is text", "starts with b'hell'"),
        ("cut.jpg", b"\xff\xd8\xff\xe0" + bytes(40), "cannot identify image file"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + bytes(20), ""),
        ("cut.tif", b"II*\0\x08\0\0\0", ""),
    ],
    ids=["empty", "text", "header of a JPEG", "header of a PNG", "header of a TIFF"],
)
def test_a_file_that_is_no_image_is_refused(tmp_path, name, content, found):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataContractError) as error, open_slide(path) as slide:
        slide.verify()
    assert str(path) in str(error.value)
    assert found in error.value.found
    assert error.value.remedy


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(DataContractError, match="no such file"):
        open_slide(tmp_path / "absent.tif")
