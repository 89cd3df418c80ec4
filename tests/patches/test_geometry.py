"""Where a view's square lies on a slide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.patches.geometry import crop_box, outside_shares


def test_a_view_in_microns_is_centred_on_the_point_itself():
    box = crop_box(center_px=(300.25, 1000.5), width_px=224, mpp=0.5, slide_mpp=0.7)
    assert box.width_px == pytest.approx(160)  # 112 µm at 0.7 µm a pixel
    assert (box.x_px, box.y_px) == pytest.approx((220.25, 920.5))


def test_native_pixels_follow_the_classic_protocol():
    box = crop_box(center_px=(500.9, 300.2), width_px=224, mpp=None, slide_mpp=None)
    assert (box.x_px, box.y_px, box.width_px, box.height_px) == (500 - 112, 300 - 112, 224, 224)


@given(
    slide_mpp=st.floats(0.1, 4),
    mpp=st.floats(0.1, 4),
    width_px=st.integers(1, 2000),
    x=st.floats(0, 1e5),
    y=st.floats(0, 1e5),
)
def test_the_field_of_view_is_the_same_in_microns_on_every_slide(slide_mpp, mpp, width_px, x, y):
    box = crop_box(center_px=(x, y), width_px=width_px, mpp=mpp, slide_mpp=slide_mpp)
    assert box.width_px * slide_mpp == pytest.approx(width_px * mpp)
    assert box.height_px == box.width_px
    assert box.x_px + box.width_px / 2 == pytest.approx(x, abs=1e-6)
    assert box.y_px + box.height_px / 2 == pytest.approx(y, abs=1e-6)


def test_microns_on_a_slide_of_unknown_scale_are_refused():
    with pytest.raises(ValueError, match="µm per pixel"):
        crop_box(center_px=(0, 0), width_px=8, mpp=0.5, slide_mpp=None)


def test_the_share_outside_is_an_area():
    centres = np.array([[50, 25], [0, 25], [50, 50], [0, 0], [95, 25]])  # a slide of 100 × 50 px, squares of 20 px
    shares = outside_shares(
        xy_px=centres, width_px=20, mpp=None, slide_mpp=None, slide_width_px=100, slide_height_px=50
    )
    np.testing.assert_allclose(shares, [0, 0.5, 0.5, 0.75, 0.25])


def test_the_share_outside_counts_microns_where_the_view_is_in_microns():
    shares = outside_shares(
        xy_px=np.array([[5.0, 25.0]]), width_px=40, mpp=0.5, slide_mpp=1.0, slide_width_px=100, slide_height_px=50
    )
    np.testing.assert_allclose(shares, [0.25])  # 20 px wide: 5 of 20 columns are missing


@given(x=st.floats(0, 300), y=st.floats(0, 200), slide_mpp=st.floats(0.2, 2))
def test_a_share_is_zero_exactly_where_the_box_is_inside(x, y, slide_mpp):
    box = crop_box(center_px=(x, y), width_px=64, mpp=0.5, slide_mpp=slide_mpp)
    share = outside_shares(
        xy_px=np.array([[x, y]]), width_px=64, mpp=0.5, slide_mpp=slide_mpp, slide_width_px=300, slide_height_px=200
    )[0]
    inside = box.x_px >= 0 and box.y_px >= 0 and box.x_px + box.width_px <= 300 and box.y_px + box.height_px <= 200
    assert 0 <= share <= 1
    assert inside == (share == 0) or share < 1e-9
