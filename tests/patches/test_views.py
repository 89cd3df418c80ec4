"""Crops are planned before a pixel is read: patch, grid, field and HEST's corner."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stainscript.errors import DataContractError
from stainscript.patches.geometry import field_boxes, inside, own_patches
from stainscript.patches.views import NO_CELL, draw_cells, plan_crops
from stainscript.types import ViewSpec

SLIDE = {"slide_mpp": 0.5, "slide_width_px": 1000, "slide_height_px": 800}


def view(**options) -> ViewSpec:
    return ViewSpec(**{"name": "v", "width_px": 30, "mpp": None, "edge": "white"} | options)


@pytest.mark.parametrize("mpp", [None, 0.5, 0.8])
@pytest.mark.parametrize("corner", ["centred", "hest"])
def test_the_middle_of_a_grid_is_the_plain_patch(mpp, corner):
    xy_px = np.array([[20.3, 700.7], [500.5, 400.25]])
    patch = plan_crops(view(mpp=mpp, corner=corner), xy_px=xy_px, **SLIDE)
    grid = plan_crops(view(mpp=mpp, corner=corner, grid=5), xy_px=xy_px, **SLIDE)
    assert patch.boxes.shape == (2, 1, 4)
    assert grid.boxes.shape == (2, 25, 4)
    np.testing.assert_array_equal(grid.boxes[:, 12], patch.boxes[:, 0])
    np.testing.assert_array_equal(grid.outside, patch.outside)
    np.testing.assert_array_equal(grid.valid[1], True)
    assert grid.valid[0].reshape(5, 5)[:, 0].sum() == 0  # 2.5 cells to the left of x = 20 do not fit
    assert patch.valid.all()


def test_a_field_has_the_patch_at_the_stated_cell():
    crops = plan_crops(view(field=3, cell=5), xy_px=np.array([[500.9, 400.2]]), **SLIDE)
    # patches of 10 px: the own one is 495 … 505 × 395 … 405, in the second row and third column
    np.testing.assert_array_equal(crops.boxes, [[[475, 385, 505, 415]]])
    assert crops.cell.tolist() == [5]
    assert crops.valid.all()


def test_a_stated_cell_may_leave_the_slide_and_is_filled_by_the_edge_policy():
    crops = plan_crops(view(field=3, cell=8), xy_px=np.array([[10.0, 400.0]]), **SLIDE)
    assert crops.valid.all()
    assert crops.outside[0] == pytest.approx(15 / 30)  # columns −15 … 15


def test_a_drawn_cell_keeps_the_image_on_the_slide():
    rng = np.random.default_rng(0)
    xy_px = rng.uniform([0, 0], [1000, 800], (500, 2))
    crops = plan_crops(view(width_px=300, field=3, mpp=0.5), xy_px=xy_px, **SLIDE)
    drawn = crops.valid[:, 0]
    assert inside(crops.boxes[drawn, 0], width_px=1000, height_px=800).all()
    corners, side = own_patches(view(width_px=300, field=3, mpp=0.5), xy_px=xy_px, slide_mpp=0.5)
    every = field_boxes(corners, side=side, field=3, whole_px=False)
    possible = inside(every, width_px=1000, height_px=800)
    np.testing.assert_array_equal(drawn, possible.any(axis=1))
    np.testing.assert_array_equal(crops.cell == NO_CELL, ~drawn)
    np.testing.assert_array_equal(crops.boxes[drawn, 0], every[np.flatnonzero(drawn), crops.cell[drawn]])
    assert 0 < drawn.sum() < 500


def test_a_draw_is_the_spots_own_and_depends_on_the_seed():
    xy_px = np.random.default_rng(1).uniform(200, 600, (300, 2))
    cells = plan_crops(view(field=3), xy_px=xy_px, **SLIDE).cell
    backwards = plan_crops(view(field=3), xy_px=xy_px[::-1], **SLIDE).cell
    few = plan_crops(view(field=3), xy_px=xy_px[::7], **SLIDE).cell
    np.testing.assert_array_equal(backwards, cells[::-1])
    np.testing.assert_array_equal(few, cells[::7])
    other = plan_crops(view(field=3, seed=1), xy_px=xy_px, **SLIDE).cell
    assert (other == cells).mean() == pytest.approx(1 / 9, abs=0.07)


def test_draws_are_uniform_over_the_possible_cells():
    y, x = np.mgrid[0:150, 0:120]
    possible = np.tile([True, False, True, False, False, False, True, False, False], (y.size, 1))
    cells = draw_cells(possible, xy_px=np.stack([x.ravel(), y.ravel()], axis=1), seed=3)
    share = np.bincount(cells, minlength=9) / len(cells)
    np.testing.assert_allclose(share, possible[0] / 3, atol=4 * np.sqrt(2 / 9 / len(cells)))
    grid = cells.reshape(150, 120)
    assert abs((grid[:, 1:] == grid[:, :-1]).mean() - 1 / 3) < 0.015  # neighbours are independent
    assert abs((grid[1:] == grid[:-1]).mean() - 1 / 3) < 0.015


def test_regions_equal_those_of_the_reference(shared_golden):
    cases = json.loads((shared_golden / "stamp" / "06_region.json").read_text())["get_safe_region"]
    seen = set()
    for case in cases:
        region = view(width_px=6 * case["half"], field=3)
        corners, side = own_patches(region, xy_px=np.array([[case["x"], case["y"]]]), slide_mpp=None)
        boxes = field_boxes(corners, side=side, field=3, whole_px=True)[0]
        possible = inside(boxes, width_px=case["W"], height_px=case["H"])
        assert np.flatnonzero(possible).tolist() == case["ref_valid_labels"]
        size = {"slide_width_px": case["W"], "slide_height_px": case["H"]}
        seen.add(case["label"])
        if case["label"] == -1:
            assert draw_cells(possible[None], xy_px=np.zeros((1, 2)), seed=0) == NO_CELL
            continue
        stated = view(width_px=6 * case["half"], field=3, cell=case["label"])
        crops = plan_crops(stated, xy_px=np.array([[case["x"], case["y"]]]), slide_mpp=None, **size)
        np.testing.assert_array_equal(crops.boxes[0, 0], [*case["top_left"], *case["bottom_right"]])
        drawn = plan_crops(region, xy_px=np.array([[case["x"], case["y"]]]), slide_mpp=None, **size)
        assert drawn.cell[0] in case["ref_valid_labels"]
    assert -1 in seen
    assert len(seen) > 4


def test_hest_keeps_corners_from_minus_one_side_up_to_the_slides_size():
    # side 30, half 15: corners at −30, −31, 999, 1000
    xy_px = np.array([[-15.0, 400], [-16, 400], [1014, 400], [1015, 400]])
    crops = plan_crops(view(mpp=0.5, corner="hest"), xy_px=xy_px, **SLIDE)
    assert crops.valid[:, 0].tolist() == [True, False, True, False]


@pytest.mark.parametrize("options", [{"width_px": 801}, {"width_px": 900, "field": 3}, {"width_px": 600, "mpp": 1.0}])
@pytest.mark.parametrize("edge", ["white", "reflect", "error"])
def test_a_view_larger_than_the_slide_names_both(options, edge):
    with pytest.raises(DataContractError, match=r"a\.svs: view v: expected at most the slide's 1000 × 800 px; found"):
        plan_crops(view(**options, edge=edge), xy_px=np.array([[500, 400]]), path="a.svs", **SLIDE)


def test_a_view_as_large_as_the_slide_is_allowed():
    assert plan_crops(view(width_px=800), xy_px=np.array([[500, 400]]), **SLIDE).valid.all()


def test_the_crops_of_some_spots_are_the_same_as_among_all():
    xy_px = np.random.default_rng(2).uniform(0, 800, (40, 2))
    crops = plan_crops(view(grid=3), xy_px=xy_px, **SLIDE)
    part = crops.take(slice(10, 30))
    np.testing.assert_array_equal(part.boxes, plan_crops(view(grid=3), xy_px=xy_px[10:30], **SLIDE).boxes)
    assert len(part) == 20 * 9
    assert len(crops) == 40 * 9
