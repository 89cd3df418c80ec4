"""A slide's coordinates fill the unit square, as in GenAR's released dataset class."""

import numpy as np
import pytest

from stainscript.batches.positions import unit_positions
from stainscript.errors import DataContractError


def test_each_axis_has_its_own_extent():
    """x from 10 to 50, y from 2 to 3."""
    found = unit_positions(np.array([[10, 3], [50, 2], [20, 2.5]]), slide="A1")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 1], [1, 0], [0.25, 0.5]])


def test_scale_and_origin_make_no_difference():
    xy = np.array([[3, 4], [8, 1], [5, 9]])
    np.testing.assert_allclose(unit_positions(xy * 0.5 + 7, slide="A1"), unit_positions(xy, slide="A1"), rtol=1e-6)


@pytest.mark.parametrize("slides", [("S1",), ("S2", "S3")])
def test_positions_are_the_released_ones_slide_by_slide(shared_golden, slides):
    with np.load(shared_golden / "genar/dataset/synthetic_prad.npz") as stored:
        found = [unit_positions(stored[f"{slide}_spatial"], slide=slide) for slide in slides]
        expected = stored["test_positions" if slides == ("S1",) else "train_positions"]
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize(("xy", "axis"), [([[5, 1], [5, 2]], "x"), ([[4, 1], [5, 1]], "y"), ([[4, 1]], "x")])
def test_spots_in_one_line_are_refused(xy, axis):
    with pytest.raises(DataContractError, match=f"slide A1: xy: expected spots of different {axis}"):
        unit_positions(np.array(xy), slide="A1")


def test_coordinates_that_are_not_finite_are_refused():
    with pytest.raises(DataContractError, match="finite coordinates; found nan"):
        unit_positions(np.array([[0, 1], [np.nan, 2]]), slide="A1")
