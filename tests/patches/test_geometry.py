"""Where a view's squares lie on a slide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.patches.geometry import (
    cells_on_slide,
    field_boxes,
    grid_boxes,
    inside,
    on_slide,
    outside_shares,
    own_patches,
)
from stainscript.types import ViewSpec


def view(**options) -> ViewSpec:
    return ViewSpec(**{"name": "v", "width_px": 224, "mpp": 0.5, "edge": "white"} | options)


def test_a_view_in_microns_is_centred_on_the_point_itself():
    corners, side = own_patches(view(), xy_px=np.array([[300.25, 1000.5]]), slide_mpp=0.7)
    assert side == pytest.approx(160)  # 112 µm at 0.7 µm a pixel
    np.testing.assert_allclose(corners, [[220.25, 920.5]])


def test_native_pixels_follow_the_classic_protocol():
    corners, side = own_patches(view(mpp=None), xy_px=np.array([[500.9, 300.2]]), slide_mpp=None)
    np.testing.assert_array_equal(corners, [[500 - 112, 300 - 112]])
    assert side == 224


@pytest.mark.parametrize(("mpp", "half", "whole"), [(0.2125, 263, 527), (0.2737, 204, 409), (0.6882, 81, 163)])
def test_hest_rounds_corner_and_side_as_its_specification_computes(mpp, half, whole):
    corners, side = own_patches(view(corner="hest"), xy_px=np.array([[1000.9, 50.2]]), slide_mpp=mpp)
    np.testing.assert_array_equal(corners, np.trunc([[1000.9 - half, 50.2 - half]]))  # toward zero, where negative
    assert side == whole


@given(
    slide_mpp=st.floats(0.1, 4),
    mpp=st.floats(0.1, 4),
    width_px=st.integers(1, 2000),
    x=st.floats(0, 1e5),
    y=st.floats(0, 1e5),
)
def test_the_field_of_view_is_the_same_in_microns_on_every_slide(slide_mpp, mpp, width_px, x, y):
    corners, side = own_patches(view(width_px=width_px, mpp=mpp), xy_px=np.array([[x, y]]), slide_mpp=slide_mpp)
    assert side * slide_mpp == pytest.approx(width_px * mpp)
    np.testing.assert_allclose(corners + side / 2, [[x, y]], atol=1e-6)


def test_microns_on_a_slide_of_unknown_scale_are_refused():
    with pytest.raises(ValueError, match="µm per pixel"):
        own_patches(view(), xy_px=np.zeros((1, 2)), slide_mpp=None)


def test_a_grid_is_row_major_with_the_own_patch_in_the_middle():
    boxes = grid_boxes(np.array([[100.0, 40.0]]), side=10, grid=3)
    assert boxes.shape == (1, 9, 4)
    np.testing.assert_array_equal(boxes[0, 4], [100, 40, 110, 50])
    np.testing.assert_array_equal(boxes[0, 2], [110, 30, 120, 40])  # first row, last column
    np.testing.assert_array_equal(boxes[0, 3], [90, 40, 100, 50])  # middle row, first column


def test_a_ring_is_blank_where_its_edge_passes_the_border_and_counts_where_it_touches():
    boxes = grid_boxes(np.array([[20.0, 19.0]]), side=10, grid=5)  # left edges from 0, top edges from −1
    cells = cells_on_slide(boxes, grid=5, width_px=50, height_px=48).reshape(5, 5)
    np.testing.assert_array_equal(cells.all(axis=1), [False, True, True, True, False])  # the last row ends at 49 of 48
    np.testing.assert_array_equal(cells[1:4], True)  # columns end at 50 of 50
    np.testing.assert_array_equal(cells[[0, 4]], False)


def test_the_middle_row_and_column_count_even_where_the_patch_leaves_the_slide():
    boxes = grid_boxes(np.array([[-4.0, 45.0]]), side=10, grid=3)
    cells = cells_on_slide(boxes, grid=3, width_px=60, height_px=50).reshape(3, 3)
    np.testing.assert_array_equal(cells, [[False, True, True], [False, True, True], [False, False, False]])


def test_a_field_puts_the_patch_in_each_cell():
    boxes = field_boxes(np.array([[100.0, 40.0]]), side=10, field=3, whole_px=False)
    np.testing.assert_array_equal(boxes[0, 0], [100, 40, 130, 70])
    np.testing.assert_array_equal(boxes[0, 5], [80, 30, 110, 60])  # second row, third column
    np.testing.assert_array_equal(boxes[0, 8], [80, 20, 110, 50])


def test_a_native_field_begins_on_whole_pixels():
    boxes = field_boxes(np.array([[100.0, 40.0]]), side=32 / 3, field=3, whole_px=True)
    np.testing.assert_array_equal(boxes[0, 8], [78, 18, 110, 50])  # 100 − 21.33, 40 − 21.33


def test_the_share_outside_is_an_area():
    corners = np.array([[40, 15], [-10, 15], [40, 40], [-10, -10], [85, 15]])  # a slide of 100 × 50 px, squares of 20
    shares = outside_shares(np.concatenate([corners, corners + 20], axis=1), width_px=100, height_px=50)
    np.testing.assert_allclose(shares, [0, 0.5, 0.5, 0.75, 0.25])


@given(x=st.floats(-70, 300), y=st.floats(-70, 200), side=st.floats(1, 90))
def test_a_share_is_zero_exactly_where_the_box_is_inside(x, y, side):
    box = np.array([[x, y, x + side, y + side]])
    share = outside_shares(box, width_px=300, height_px=200)[0]
    assert 0 <= share <= 1
    assert inside(box, width_px=300, height_px=200)[0] == (share == 0)


def test_of_an_image_the_whole_output_pixels_on_the_slide_are_shown():
    boxes = np.array([[-5.0, 10, 35, 50], [80, 90, 120, 130], [200, 0, 240, 40]])  # 2 level-0 px an output pixel
    shown = on_slide(boxes, image_px=20, width_px=100, height_px=97)
    np.testing.assert_array_equal(shown.first, [[3, 0], [0, 0], [0, 0]])  # column 2 begins at −1
    np.testing.assert_array_equal(shown.count, [[17, 20], [10, 3], [0, 20]])  # 3 whole pixels of the 7 px below 90
    np.testing.assert_array_equal(shown.boxes[:2], [[1, 10, 35, 50], [80, 90, 100, 96]])
    np.testing.assert_array_equal(shown.empty, [False, False, True])
