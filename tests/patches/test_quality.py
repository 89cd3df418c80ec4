"""Spots are compared with the tissue under them, and with the tissue that other places would have."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stainscript.patches.quality import (
    MOVES,
    Alignment,
    alignment_score,
    pitch_px,
    sharpness,
    spots_on_tissue,
    stain_means,
    verdict,
)

PITCH = 40.0
WIDTH, HEIGHT = 1200, 1000  # level-0 pixels
SCALE = (0.25, 0.25)


def letter():
    """Tissue like an F: no mirror image, turn or shift of it is itself. (250, 300) mask of a 1200 × 1000 px slide."""
    mask = np.zeros((250, 300), bool)
    mask[30:210, 60:110] = mask[30:80, 60:230] = mask[120:160, 60:180] = True
    return mask


def on_it(mask, pitch=PITCH):
    """Spots on a square grid wherever the mask is tissue, in level-0 pixels."""
    x, y = (a.ravel() for a in np.meshgrid(np.arange(pitch / 2, WIDTH, pitch), np.arange(pitch / 2, HEIGHT, pitch)))
    inside = mask[(y * SCALE[1]).astype(int), (x * SCALE[0]).astype(int)]
    return np.stack([x, y], axis=1)[inside]


def test_a_spot_half_over_the_edge_has_half_its_disc_on_tissue():
    mask = np.zeros((100, 200), bool)
    mask[:, :50] = True  # x below 500 level-0 px at a scale of 0.1
    xy_px = np.array([[200, 500], [500, 500], [800, 500], [500, 0], [-500, 500]])
    shares = spots_on_tissue(mask, xy_px, diameter_px=400, scale=(0.1, 0.1))
    # 1: inside; 2: cut by the edge; 3: on glass; 4: cut by the edge and the slide's; 5: beyond the slide
    assert shares == pytest.approx([1, 0.5, 0, 0.25, 0], abs=0.01)


def test_x_and_y_are_scaled_by_their_own_factor():
    mask = np.zeros((10, 100), bool)
    mask[8:, :20] = True
    shares = spots_on_tissue(mask, np.array([[95, 900], [900, 95]]), diameter_px=40, scale=(0.1, 0.01))
    assert shares.tolist() == [1, 0]


def test_a_tile_is_a_square():
    mask = np.zeros((100, 100), bool)
    mask[:50, :50] = True
    around = {"diameter_px": 100, "scale": (1.0, 1.0)}
    corner = np.array([[50.0, 50.0]])
    assert spots_on_tissue(mask, corner, **around, square=True)[0] == 0.25
    mask[:] = False
    mask[:8, :8] = True  # the corner of the square that the disc does not reach
    assert spots_on_tissue(mask, corner, **around)[0] == 0
    assert spots_on_tissue(mask, corner, **around, square=True)[0] > 0


def test_spots_of_every_block_are_measured():
    mask = np.zeros((10, 10), bool)
    mask[:, 5:] = True
    x = np.where(np.arange(45_001) % 3 == 0, 75.0, 25.0)
    shares = spots_on_tissue(mask, np.stack([x, np.full_like(x, 50)], axis=1), diameter_px=10, scale=(0.1, 0.1))
    np.testing.assert_array_equal(shares, x == 75)


def test_the_pitch_is_the_distance_to_the_nearest_neighbour():
    assert pitch_px(np.array([[0, 0], [30, 0], [0, 30], [90, 0]])) == 30
    assert math.isnan(pitch_px(np.array([[1.0, 2.0]])))


def test_spots_on_their_own_tissue_fit_and_nothing_is_named():
    found = alignment_score(letter(), on_it(letter()), scale=SCALE)
    assert found.score == 1
    assert found.fit > 0.85
    assert (found.move, found.shift_px, found.hint, found.reason) == ("none", (0, 0), "", "")


@pytest.mark.parametrize("by", [(80, 0), (-120, 0), (0, 200), (120, -80)])
def test_shifted_spots_are_told_to_go_back(by):
    found = alignment_score(letter(), on_it(letter()) + by, scale=SCALE)
    assert found.score < 0.95
    assert found.best_fit > 0.85
    assert found.move == "none"
    assert found.shift_px == pytest.approx((-by[0], -by[1]), abs=PITCH / 3)


def test_a_larger_shift_scores_lower():
    scores = [alignment_score(letter(), np.add(on_it(letter()), (x, 0)), scale=SCALE).score for x in (0, 80, 160, 320)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1] > scores[3]


def test_the_hint_is_in_words():
    found = Alignment(score=0.5, fit=0.4, best_fit=0.8, move="mirrored in x", shift_px=(218.2, -4.0))
    assert found.hint.endswith("when they are mirrored in x, then shifted by 218 px right and 4 px up")


# what was done to good positions → what undoes it
TURNS = {
    "mirrored in x": ("mirrored in x", lambda x, y: (WIDTH - x, y)),
    "mirrored in y": ("mirrored in y", lambda x, y: (x, HEIGHT - y)),
    "turned by 180°": ("turned by 180°", lambda x, y: (WIDTH - x, HEIGHT - y)),
    "x for y": ("with x and y swapped", lambda x, y: (y, x)),
    "turned clockwise": ("turned by 90° anticlockwise", lambda x, y: (HEIGHT - y, x)),
    "turned anticlockwise": ("turned by 90° clockwise", lambda x, y: (y, WIDTH - x)),
    "swapped and turned": ("with x and y swapped and turned by 180°", lambda x, y: (HEIGHT - y, WIDTH - x)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_mirrored_and_turned_spots_are_told_the_way_back(turn):
    undo, turned = TURNS[turn]
    spots = np.stack(turned(*on_it(letter()).T), axis=1)
    found = alignment_score(letter(), spots, scale=SCALE)
    assert found.move == undo
    assert found.score < 0.7
    # the picture is not square: after a quarter turn the positions lie in one that is as high as this is wide
    assert found.shift_px == pytest.approx((0, 0), abs=PITCH / 3)
    assert set(MOVES) == {"none", *(move for move, _ in TURNS.values())}


def test_tissue_wider_than_the_array_is_no_misfit():
    mask = np.zeros((250, 300), bool)
    mask[20:230, 20:280] = True
    spots = on_it(mask)
    middle = spots[(abs(spots[:, 0] - 500) < 200) & (abs(spots[:, 1] - 500) < 200)]
    found = alignment_score(mask, middle, scale=SCALE)
    assert (found.score, found.hint) == (1, "")


def test_holes_of_the_tissue_move_nothing():
    mask = letter()
    holed = mask.copy()
    holed[40:60, 120:200] = False  # fat, say
    assert alignment_score(holed, on_it(mask), scale=SCALE) == alignment_score(mask, on_it(mask), scale=SCALE)


@pytest.mark.parametrize(("mask", "part"), [(np.ones((250, 300), bool), "100%"), (np.zeros((250, 300), bool), "0%")])
def test_without_an_outline_alignment_is_undefined_and_no_failure(mask, part):
    found = alignment_score(mask, on_it(letter()), scale=SCALE)
    assert math.isnan(found.score)
    assert found.reason.startswith(f"tissue covers {part} of the slide")
    assert verdict(on_tissue=1.0, alignment=found, min_on_tissue=0.5, min_alignment=0.8) == ("pass", [])


def test_too_few_spots_have_no_alignment():
    assert alignment_score(letter(), on_it(letter())[:3], scale=SCALE).reason == "fewer than four spots"
    assert math.isnan(alignment_score(letter(), np.full((9, 2), 300.0), scale=SCALE).score)


def test_many_spots_are_counted_in_coarser_cells():
    found = alignment_score(letter(), np.add(on_it(letter(), pitch=8.0), (160, 0)), scale=SCALE)
    assert found.shift_px == pytest.approx((-160, 0), abs=8)


def fits(score, move="none"):
    return Alignment(score=score, fit=0.9 * score, best_fit=0.9, move=move)


@pytest.mark.parametrize(
    ("on_tissue", "alignment", "expected"),
    [
        (0.5, fits(0.8), "pass"),  # at both thresholds
        (0.4999, fits(1.0), "fail"),
        (1.0, fits(0.7999, "mirrored in x"), "fail"),
        (1.0, fits(0.9, "mirrored in x"), "warn"),
        (1.0, None, "pass"),
        (0.1, None, "fail"),
    ],
)
def test_the_verdict_turns_at_the_thresholds(on_tissue, alignment, expected):
    word, reasons = verdict(on_tissue=on_tissue, alignment=alignment, min_on_tissue=0.5, min_alignment=0.8)
    assert word == expected
    assert bool(reasons) == (expected != "pass")


def test_both_faults_are_told_at_once():
    _, reasons = verdict(on_tissue=0.2, alignment=fits(0.3, "mirrored in x"), min_on_tissue=0.5, min_alignment=0.8)
    assert reasons[0] == "20.0% of the spots lie on tissue, at least 50.0% should"
    assert reasons[1].startswith("alignment 0.30, at least 0.8 is asked: the tissue fits the spots better")


def test_a_blurred_field_is_less_sharp():
    board = np.indices((1, 16, 16)).sum(axis=0) % 2 * 100
    fields = np.repeat(board[..., None], 3, axis=-1).astype(np.uint8)
    # a chequerboard of 0 and 100: the Laplacian is ±400 inside, and ±300 or ±200 at the rim, of mean 0
    assert 300**2 < sharpness(fields) < 400**2
    assert sharpness(np.full_like(fields, 90)) == 0
    assert sharpness(np.concatenate([fields, np.zeros_like(fields), np.zeros_like(fields)])) == 0  # the median field


def test_stain_means_tell_the_dyes_apart():
    image = np.full((10, 20, 3), 245, np.uint8)
    blue, pink = (90, 80, 150), (230, 120, 200)
    mask = np.zeros((10, 20), bool)
    mask[:, :10] = True
    image[:, :10] = blue
    haematoxylin = stain_means(image, mask)
    image[:, :10] = pink
    eosin = stain_means(image, mask)
    assert haematoxylin["haematoxylin"] > eosin["haematoxylin"]
    assert eosin["eosin"] > haematoxylin["eosin"]
    assert eosin["tissue_rgb"] == [230, 120, 200]
    assert eosin["glass_rgb"] == [245, 245, 245]
    nothing = stain_means(image, np.zeros_like(mask))
    assert nothing["eosin"] is nothing["tissue_rgb"] is None
