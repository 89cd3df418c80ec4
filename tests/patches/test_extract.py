"""Patches of axis-coded slides: red is the column, green the row."""

from __future__ import annotations

import json

import anndata
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stainscript.errors import DataContractError
from stainscript.patches.extract import check_spots, cut_patches
from stainscript.patches.views import plan_crops
from stainscript.slides.open import open_slide
from stainscript.types import ViewSpec

WIDTH, HEIGHT = 250, 180


def native(width_px: int = 8, edge: str = "white", **options) -> ViewSpec:
    return ViewSpec(name="native", width_px=width_px, mpp=None, edge=edge, **options)


def cut(slide, *, xy_px, view) -> np.ndarray:
    """The crops of a view on a slide of 0.7 µm a pixel."""
    size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
    return cut_patches(slide, crops=plan_crops(view, xy_px=np.asarray(xy_px), slide_mpp=0.7, **size))


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A slide of 250 × 180 px whose red channel is the column and whose green channel is the row."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([columns, rows, np.full_like(rows, 7)], axis=2).astype(np.uint8)
    path = tmp_path_factory.mktemp("slides") / "coded.png"
    Image.fromarray(pixels).save(path)
    with open_slide(path, mpp=0.7) as slide:
        yield slide


class Recording:
    """A slide that notes the corners it was asked for."""

    def __init__(self, slide):
        self.slide, self.corners = slide, []
        self.width_px, self.height_px = slide.width_px, slide.height_px

    def read_box(self, **given):
        left, top, _, _ = given["box_px"]
        self.corners.append((top, left))
        return self.slide.read_box(**given)


def test_native_patches_are_the_pixels_around_the_floored_centre(coded):
    patches = cut(coded, xy_px=np.array([[100.9, 60.2]]), view=native())
    assert patches.shape == (1, 8, 8, 3)
    assert patches.dtype == np.uint8
    np.testing.assert_array_equal(patches[0, 0, :, 0], np.arange(96, 104))  # columns 100 − 4 … 100 + 3
    np.testing.assert_array_equal(patches[0, :, 0, 1], np.arange(56, 64))


@pytest.fixture(scope="module")
def steep(tmp_path_factory):
    """A slide of 62 × 56 px that rises by 4 a column in red and by 4 a row in green, to tell fractions of a pixel."""
    rows, columns = np.mgrid[:56, :62]
    path = tmp_path_factory.mktemp("slides") / "steep.png"
    Image.fromarray(np.stack([4 * columns, 4 * rows, 0 * rows], axis=2).astype(np.uint8)).save(path)
    with open_slide(path, mpp=0.7) as slide:
        yield slide


@settings(deadline=None, max_examples=60)
@given(x=st.floats(22, 40), y=st.floats(22, 34), mpp=st.sampled_from([0.35, 0.5, 0.7, 1.0]))
def test_an_off_grid_centre_lands_within_half_an_output_pixel(steep, x, y, mpp):
    width_px = round(28 / mpp)  # 40 level-0 pixels
    view = ViewSpec(name="fine", width_px=width_px, mpp=mpp, edge="error")
    patch = cut(steep, xy_px=np.array([[x, y]]), view=view)[0].astype(float)
    # where the centre of each output pixel lies at level 0; pixel c has the value 4 c at its centre, c + 0.5
    offset = (np.arange(width_px) + 0.5 - width_px / 2) * mpp / 0.7 - 0.5
    half_a_pixel = 4 * 0.5 * mpp / 0.7  # at least 1; rounding to 8 bits takes 0.5 of it
    inner = slice(3, -3)  # the outermost pixels' filter ends at the slide's border
    assert np.abs(patch[inner, inner, 0] - 4 * (x + offset)[None, inner]).max() < half_a_pixel
    assert np.abs(patch[inner, inner, 1] - 4 * (y + offset)[inner, None]).max() < half_a_pixel
    assert (
        abs((patch[inner, inner, :2] - 4 * np.stack(np.meshgrid(x + offset, y + offset), 2)[inner, inner]).mean()) < 0.6
    )


def test_patches_come_in_the_order_given_and_are_read_in_order_of_y_then_x(coded):
    centres = np.array([[200, 100], [50, 100], [90, 20], [120, 160]])
    recording = Recording(coded)
    patches = cut(recording, xy_px=centres, view=native())
    np.testing.assert_array_equal(patches[:, 4, 4, 0], centres[:, 0])
    np.testing.assert_array_equal(patches[:, 4, 4, 1], centres[:, 1])
    assert recording.corners == sorted(recording.corners)
    assert len(recording.corners) == 4  # one read a spot


def test_white_fills_what_lies_outside(coded):
    patch = cut(coded, xy_px=np.array([[2, 178]]), view=native())[0]
    np.testing.assert_array_equal(patch[:, :2], 255)  # columns −2 and −1
    np.testing.assert_array_equal(patch[6:], 255)  # rows 180 and 181
    np.testing.assert_array_equal(patch[0, 2:, 0], np.arange(6))
    np.testing.assert_array_equal(patch[:6, 4, 1], np.arange(174, 180))


def test_reflect_mirrors_at_the_border(coded):
    patch = cut(coded, xy_px=np.array([[2, 178]]), view=native(edge="reflect"))[0]
    np.testing.assert_array_equal(patch[0, :, 0], [1, 0, 0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(patch[:, 4, 1], [174, 175, 176, 177, 178, 179, 179, 178])


def test_reflect_mirrors_more_than_once_where_little_of_the_slide_shows(coded):
    view = native(width_px=170, edge="reflect")
    patch = cut(coded, xy_px=np.array([[0, 90]]), view=view)[0]  # columns −85 … 84
    np.testing.assert_array_equal(patch[0, :, 0], [*range(84, -1, -1), *range(85)])


def test_a_grid_is_cut_cell_by_cell_and_blank_cells_are_black(coded):
    regions = cut(coded, xy_px=np.array([[20, 100]]), view=native(grid=5))  # columns 0 … 39, rows 80 … 119
    assert regions.shape == (1, 25, 8, 8, 3)
    cells = regions[0].reshape(5, 5, 8, 8, 3)
    for row in range(5):
        for column in range(5):
            np.testing.assert_array_equal(cells[row, column, 0, :, 0], np.arange(8 * column, 8 * column + 8))
            np.testing.assert_array_equal(cells[row, column, :, 0, 1], np.arange(80 + 8 * row, 88 + 8 * row))
    beyond = cut(coded, xy_px=np.array([[19, 100]]), view=native(grid=5))[0].reshape(5, 5, 8, 8, 3)
    assert (beyond[:, 0] == 0).all()  # column −1 is not on the slide: blank, not white
    np.testing.assert_array_equal(beyond[2, 1, 0, :, 0], np.arange(7, 15))


def test_a_field_is_one_image_with_the_patch_in_its_cell(coded):
    view = native(width_px=24, field=3, cell=5)  # patches of 8 px; second row, third column
    image = cut(coded, xy_px=np.array([[100, 60]]), view=view)[0]
    patch = cut(coded, xy_px=np.array([[100, 60]]), view=native())[0]
    np.testing.assert_array_equal(image[8:16, 16:24], patch)
    np.testing.assert_array_equal(image[0, :, 0], np.arange(80, 104))


def test_hest_patches_do_not_see_beyond_their_box(coded):
    given = {"xy_px": np.array([[100.4, 60.4]])}
    view = {"name": "h", "width_px": 32, "mpp": 0.35, "edge": "white"}  # 16 level-0 px: 92 … 108
    hest, centred = (cut(coded, **given, view=ViewSpec(**view, corner=corner))[0] for corner in ("hest", "centred"))
    assert hest[0, :, 0].min() == 92
    assert hest[0, :, 0].max() == 107
    assert hest[0, 0, 0] == hest[0, 1, 0] == 92  # half a pixel from the border there is nothing to mix with
    assert len(np.unique(centred[0, :, 0])) > 16


def test_a_hest_patch_that_is_not_kept_is_black_and_one_beyond_the_slide_white(coded):
    view = ViewSpec(name="h", width_px=16, mpp=0.7, edge="white", corner="hest")
    images = cut(coded, xy_px=np.array([[-8.0, 60], [-9, 60], [5, 60]]), view=view)
    assert (images[0] == 255).all()  # its right edge is at 0
    assert (images[1] == 0).all()
    np.testing.assert_array_equal(images[2, 0, :, 0], [255] * 3 + list(range(13)))


def test_patches_equal_those_of_hests_own_files(shared_golden):
    folder = shared_golden / "histoprism" / "hest_files"
    mpp = json.loads((folder / "metadata" / "TOY1.json").read_text())["pixel_size_um_estimated"]
    spots = anndata.read_h5ad(folder / "st" / "TOY1.h5ad")
    view = ViewSpec(name="hest", width_px=32, mpp=0.5, edge="white", corner="hest")
    with open_slide(folder / "wsis" / "TOY1.tif", mpp=mpp) as slide:
        size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
        crops = plan_crops(view, xy_px=spots.obsm["spatial"], slide_mpp=mpp, **size)
        images = cut_patches(slide, crops=crops)
    for name, count in (("TOY1", 65), ("TOY1_nomask", 80)):
        with h5py.File(folder / "patches" / f"{name}.h5") as file:
            barcode = [text.decode() for text in file["barcode"][:, 0]]
            expected, coords = file["img"][:], file["coords"][:]
        rows = spots.obs_names.get_indexer(barcode)
        assert len(rows) == count
        assert (rows >= 0).all()
        np.testing.assert_array_equal(crops.boxes[rows, 0, :2], coords)
        np.testing.assert_array_equal(crops.boxes[rows, 0, 2:] - coords, 20)
        assert np.abs(images[rows].astype(int) - expected).max() <= 2


def test_a_view_in_microns_is_filled_by_whole_output_pixels(coded):
    view = ViewSpec(name="wide", width_px=20, mpp=1.4, edge="white")  # 2 level-0 px each
    patch = cut(coded, xy_px=np.array([[10, 90]]), view=view)[0]  # columns −10 … 30
    np.testing.assert_array_equal(patch[:, :5], 255)
    np.testing.assert_allclose(patch[10, 6:, 0], 2 * np.arange(1, 15) + 0.5, atol=0.51)


def test_a_patch_that_touches_the_border_is_complete(coded):
    view = ViewSpec(name="tight", width_px=64, mpp=0.5, edge="error")
    half = 64 * 0.5 / 0.7 / 2
    corners = np.array([[half, half], [WIDTH - half, HEIGHT - half]])
    patches = cut(coded, xy_px=corners, view=view)
    assert (patches[:, :, :, 2] == 7).all()


def test_the_error_policy_names_the_spots(coded):
    centres = np.array([[100, 60], [2, 60], [100, 178]])
    with pytest.raises(DataContractError) as error:
        check_spots(coded, xy_px=centres, view=native(edge="error"), slide_mpp=0.7, spot_id=["5x5", "1x5", "5x9"])
    assert "spot 1x5 at (2, 60), spot 5x9 at (100, 178)" in str(error.value)
    assert "5x5" not in str(error.value)
    assert "white or reflect" in str(error.value)


@pytest.mark.parametrize("edge", ["white", "reflect", "error"])
def test_a_centre_off_the_slide_is_an_error_under_every_policy(coded, edge):
    with pytest.raises(
        DataContractError, match=r"spots\.parquet: x_px, y_px: .*250 × 180 px.*spot 9x9 at \(180, 200\)"
    ):
        check_spots(
            coded,
            xy_px=np.array([[180, 200]]),
            view=native(edge=edge),
            slide_mpp=0.7,
            spot_id=["9x9"],
            path="spots.parquet",
        )


def test_many_astray_spots_are_counted_not_listed(coded):
    with pytest.raises(DataContractError, match=r"number 4 at .* and 7 more"):
        check_spots(coded, xy_px=np.full((12, 2), -1.0), view=native(), slide_mpp=0.7)


def test_a_centre_that_is_not_a_number_is_off_the_slide(coded):
    with pytest.raises(DataContractError, match="number 0"):
        check_spots(coded, xy_px=np.array([[np.nan, 3]]), view=native(), slide_mpp=0.7)


def test_the_share_outside_comes_back_for_every_kind_of_view(coded):
    centres = np.array([[2, 90], [125, 90]])  # 2 of 8 columns are missing; of a field of 24 with cell 3: 18 − 16 …
    given = {"xy_px": centres, "slide_mpp": 0.7}
    np.testing.assert_allclose(check_spots(coded, view=native(), **given), [0.25, 0])
    np.testing.assert_allclose(check_spots(coded, view=native(grid=5), **given), [0.25, 0])
    np.testing.assert_allclose(check_spots(coded, view=native(width_px=24, field=3, cell=3), **given), [2 / 24, 0])


def test_a_view_larger_than_the_slide_names_slide_and_view_before_any_read(coded):
    with pytest.raises(DataContractError, match=r"coded\.png: view native: expected at most the slide's 250 × 180 px"):
        check_spots(coded, xy_px=np.array([[125, 90]]), view=native(width_px=600, edge="reflect"), slide_mpp=0.7)


def test_hest_lets_centres_lie_outside_but_not_all(coded):
    view = ViewSpec(name="h", width_px=16, mpp=0.7, edge="white", corner="hest")
    shares = check_spots(coded, xy_px=np.array([[-4.0, 60], [-40, 60]]), view=view, slide_mpp=0.7)
    np.testing.assert_allclose(shares, [12 / 16, 1])
    with pytest.raises(DataContractError, match=r"found spot number 0 at \(-40, 60\)"):
        check_spots(coded, xy_px=np.array([[-40.0, 60]]), view=view, slide_mpp=0.7)


def test_a_drawn_field_is_no_breach_of_the_error_policy(coded):
    view = native(width_px=24, field=3, edge="error")
    shares = check_spots(coded, xy_px=np.array([[6, 90], [1, 90]]), view=view, slide_mpp=0.7)
    assert shares[0] == 0  # cells of the first column fit
    assert shares[1] > 0  # none fits: not valid, so nothing is filled
