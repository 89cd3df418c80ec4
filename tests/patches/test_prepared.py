"""Ready-made patches: joined by barcode, cut by nobody, and refused for any other view than the stored one."""

from __future__ import annotations

import numpy as np
import pytest

from stainscript.datasets.hest_files import PatchFile, write_patches
from stainscript.errors import DataContractError
from stainscript.patches.prepared import extent_px, mosaic, plan_prepared, stream_prepared
from stainscript.types import ViewSpec

BARCODES = ["d", "b", "a", "c"]  # in the file: another order than the spots'
CORNERS = np.array([[300, 0], [100, 40], [0, 0], [200, 80]])  # (x, y)
SOURCE_PX, WIDTH = 16, 8  # 16 level-0 px became 8 px
ATTRIBUTES = {"patch_size_src": SOURCE_PX, "patch_size_target": WIDTH, "pixel_size": 0.25}  # so 0.5 µm per pixel


@pytest.fixture
def write(tmp_path):
    """A file of four patches: red is 10 · place in the file, green the row, blue the column."""

    def make(attributes=ATTRIBUTES):
        images = np.zeros((4, WIDTH, WIDTH, 3), np.uint8)
        images[..., 0] = 10 * np.arange(4)[:, None, None]
        images[..., 1] = np.arange(WIDTH)[:, None]
        images[..., 2] = np.arange(WIDTH)
        path = tmp_path / "S1.h5"
        write_patches(path, barcodes=BARCODES, coords=CORNERS, images=images, attributes=attributes)
        return PatchFile(path)

    return make


def view(**changes) -> ViewSpec:
    return ViewSpec(
        **{"name": "hest_patch", "width_px": WIDTH, "mpp": 0.5, "edge": "white", "corner": "hest"} | changes
    )


def test_crops_are_the_stored_squares_in_the_order_of_the_spots(write) -> None:
    with write() as file:
        crops = plan_prepared(file, view=view(), spot_id=["a", "b", "d"])
    assert crops.boxes.tolist() == [[[0, 0, 16, 16]], [[100, 40, 116, 56]], [[300, 0, 316, 16]]]
    assert crops.valid.tolist() == [[True]] * 3
    assert crops.outside.tolist() == [0, 0, 0]
    assert (len(crops), crops.image_shape) == (3, (WIDTH, WIDTH, 3))


def test_blocks_are_the_images_in_the_order_of_the_spots(write) -> None:
    with write() as file:
        blocks = list(stream_prepared(file, view="hest_patch", spot_id=["c", "a", "d"], block=2))
    assert [block.index.tolist() for block in blocks] == [[0, 1], [2]]
    assert {block.view for block in blocks} == {"hest_patch"}
    images = np.concatenate([block.images for block in blocks])
    assert images[:, 0, 0, 0].tolist() == [30, 20, 0]  # places of c, a and d in the file
    assert images[1, 5, 2].tolist() == [20, 5, 2]  # red, row, column


@pytest.mark.parametrize(
    "other", [{"width_px": 16}, {"mpp": 1.0}, {"mpp": 0.53}, {"grid": 3}, {"field": 3}], ids=lambda other: str(other)
)
def test_a_view_that_would_have_to_be_cut_is_refused(write, other) -> None:
    with write() as file, pytest.raises(DataContractError) as refused:
        plan_prepared(file, view=view(**other), spot_id=["a"])
    message = str(refused.value)
    assert "S1.h5: view hest_patch: expected a plain patch of 8 px of 0.5 µm; found width_px" in message
    assert "no slide to cut others from" in message


@pytest.mark.parametrize("mpp", [0.5, 0.52, None])  # within 5 %, or native: whatever is stored
def test_the_stored_scale_is_accepted(write, mpp) -> None:
    with write() as file:
        assert len(plan_prepared(file, view=view(mpp=mpp), spot_id=["a"])) == 1


def test_a_file_that_says_no_scale_is_taken_at_the_views(write) -> None:
    with write(attributes={}) as file:
        crops = plan_prepared(file, view=view(mpp=0.4), spot_id=["c"])
        assert crops.boxes.tolist() == [[[200, 80, 208, 88]]]  # as wide as the images
        assert extent_px(file) == (308, 88)
        with pytest.raises(DataContractError, match="expected a plain patch of 8 px; found width_px 9"):
            plan_prepared(file, view=view(width_px=9), spot_id=["c"])


def test_a_spot_without_a_patch_is_named(write) -> None:
    with write() as file, pytest.raises(DataContractError, match=r"2 of 3 without a patch \(first: x\)"):
        plan_prepared(file, view=view(), spot_id=["a", "x", "y"])


def test_the_mosaic_puts_each_patch_where_it_lay(write) -> None:
    with write() as file:
        assert extent_px(file) == (316, 96)  # the farthest corners, 300 and 80, and 16 px
        whole = mosaic(file, long_side_px=1000)
        small = mosaic(file, long_side_px=79)  # a quarter
    assert (whole.shape, small.shape) == ((96, 316, 3), (24, 79, 3))
    assert whole[40, 100].tolist() == [10, 0, 0]  # upper left of b
    assert whole[40 + 15, 100].tolist() == [10, 7, 0]  # its last row of 8 is drawn twice as high
    assert whole[40, 100 + 15].tolist() == [10, 0, 7]
    assert whole[39, 100].tolist() == whole[40, 99].tolist() == [255, 255, 255]
    assert small[10, 25, 0] == 10
    assert small[20, 50, 0] == 30
    assert (small[:, 76:, 0] == 255).sum() == 20 * 3  # d ends in the fourth row of its columns
