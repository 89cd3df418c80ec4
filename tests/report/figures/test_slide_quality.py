"""The QC picture shows every spot where it lies, on or off tissue, and is readable by itself."""

from __future__ import annotations

import numpy as np
import pytest

from stainscript.report.figures.slide_quality import (
    LEAST_WIDTH_PX,
    LONG_SIDE_PX,
    OFF_TISSUE,
    ON_TISSUE,
    OUTLINE,
    bar_um,
    slide_quality,
)

PINK = (214, 140, 184)


def draw(height=350, width=700, lines=("97% of 2 spots",), square=False, **change):
    """A slide of twice the thumbnail's size, so that the picture's slide part has level-0 pixels: 1400 × 700."""
    mask = np.zeros((height, width), bool)
    mask[100:250, 100:400] = True
    given = {
        "xy_px": np.array([[500.0, 350.0], [1200.0, 350.0]]),
        "on_tissue": np.array([True, False]),
        "diameter_px": 60.0,
        "width_px": 2 * width,
        "mpp": 0.5,
        "title": "toy S1: pass",
        "lines": lines,
        "square": square,
    }
    thumbnail = np.full((height, width, 3), PINK, np.uint8)
    return slide_quality(thumbnail, mask, **given | change)


def slide_part(page, height=700):
    return np.asarray(page)[-height:]


def count(pixels, colour):
    return int((pixels == colour).all(axis=-1).sum())


def test_the_slide_fills_the_width_under_the_text():
    page = draw()
    assert page.mode == "RGB"
    assert page.width == LONG_SIDE_PX
    assert 700 + 80 < page.height < 700 + 250
    assert tuple(slide_part(page)[10, 10]) == PINK
    assert tuple(np.asarray(page)[2, 2]) == (255, 255, 255)


def test_a_spot_is_a_ring_of_its_size_in_the_colour_of_its_side():
    pixels = slide_part(draw())
    # spot 1 at (500, 350), radius 30: its ring is crossed at x = 470 and x = 530, its middle is bare
    assert count(pixels[345:355, 465:480], ON_TISSUE) > 0
    assert count(pixels[345:355, 520:535], ON_TISSUE) > 0
    assert tuple(pixels[350, 500]) == PINK
    assert count(pixels[310:390, 460:540], OFF_TISSUE) == 0
    # spot 2 at (1200, 350) is crossed out as well: its middle has the colour too
    assert tuple(pixels[350, 1200]) == OFF_TISSUE
    assert count(pixels[310:390, 1160:1240], ON_TISSUE) == 0


def test_nothing_else_has_the_colours_of_spots():
    pixels = slide_part(draw(xy_px=np.empty((0, 2)), on_tissue=np.empty(0, bool)))
    assert count(pixels, ON_TISSUE) == count(pixels, OFF_TISSUE) == 0


def test_the_outline_follows_the_mask():
    pixels = slide_part(draw(xy_px=np.empty((0, 2)), on_tissue=np.empty(0, bool)))
    # the mask covers x 200 to 800, y 200 to 500 of the picture
    for box in ((slice(196, 204), 500), (slice(496, 504), 500), (350, slice(196, 204)), (350, slice(796, 804))):
        assert count(pixels[box], OUTLINE) in (2, 3, 4)
    assert tuple(pixels[300, 500]) == tuple(pixels[150, 500]) == PINK


def test_a_tile_is_drawn_as_a_square():
    ring, square = (slide_part(draw(square=value))[316:326, 466:476] for value in (False, True))  # a corner
    assert count(ring, ON_TISSUE) == 0
    assert count(square, ON_TISSUE) > 0


def test_on_and_off_differ_in_lightness_for_every_eye():
    def lightness(colour):
        return np.dot(colour, (0.299, 0.587, 0.114))

    assert ON_TISSUE != OFF_TISSUE
    assert ON_TISSUE[2] - OFF_TISSUE[2] > 200  # blue against yellow: kept by red-green blindness
    assert min(lightness(ON_TISSUE), lightness(OFF_TISSUE)) > lightness(OUTLINE) + 120


@pytest.mark.parametrize(
    ("width_um", "bar"), [(700.0, 100.0), (1000.0, 200.0), (6400.0, 1000.0), (26_000.0, 5000.0), (30.0, 5.0)]
)
def test_the_scale_bar_has_a_round_length_of_about_a_fifth(width_um, bar):
    assert bar_um(width_um) == bar


def test_the_scale_bar_is_as_long_as_it_says():
    pixels = slide_part(draw())
    # 700 µm across 1400 px: 0.1 mm are 200 px, in the lower left corner
    row = pixels[700 - 16 - 3]
    assert count(row[None, :400], (0, 0, 0)) == 200


def test_long_lines_are_broken_and_narrow_slides_get_room():
    short = draw()
    long = draw(lines=("the tissue fits the spots better when " * 6,))
    assert long.width == short.width
    assert long.height > short.height + 30
    narrow = draw(height=700, width=70, width_px=140, xy_px=np.array([[70.0, 700.0]]), on_tissue=np.array([False]))
    assert narrow.width == LEAST_WIDTH_PX
    assert count(np.asarray(narrow)[-1400:, 380:520], OFF_TISSUE) > 0  # the slide is centred
