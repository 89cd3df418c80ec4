"""Tissue is found by colour or structure against the glass of the picture at hand, in µm."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from PIL import Image

from stainscript.datasets import base
from stainscript.datasets.phantom_render import Stain, render
from stainscript.datasets.phantom_tissue import grow_tissue
from stainscript.errors import DataContractError
from stainscript.patches.quality import spots_on_tissue
from stainscript.slides.open import open_slide
from stainscript.slides.tissue import MaskMethod, tissue_mask

METHODS = get_args(MaskMethod)
GLASS, PINK, PURPLE = (243, 241, 242), (214, 140, 184), (110, 70, 140)


def picture(height=100, width=160, colour=GLASS):
    return np.full((height, width, 3), colour, np.uint8)


def speckled(image, rng=None):
    """Stain as a scanner sees it: every fourth pixel darker, so that there is structure."""
    rng = rng or np.random.default_rng(0)
    return np.where(rng.random(image.shape[:2])[..., None] < 0.25, image * 0.6, image).astype(np.uint8)


def overlap(found, drawn):
    return (found & drawn).sum() / (found | drawn).sum()


@pytest.mark.parametrize("method", METHODS)
def test_the_stained_half_is_tissue(method):
    image = picture()
    image[:, :80] = speckled(picture(100, 80, PINK))
    mask = tissue_mask(image, method=method, mpp=8.0)
    assert mask.dtype == bool
    assert mask.shape == (100, 160)
    assert mask[:, :77].all()  # rows run down and columns right: the left half
    assert not mask[:, 83:].any()


def test_flat_colour_without_noise_is_cut_exactly():
    image = picture()
    image[20:60, 30:100] = PINK
    mask = tissue_mask(image, mpp=20.0)  # smoothing of 8 µm is less than half a pixel
    assert mask.sum() == 40 * 70
    assert mask[20:60, 30:100].all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tint", [(243, 241, 242), (222, 208, 226), (180, 181, 178)], ids=["white", "pink", "grey"])
def test_glass_of_any_scanner_is_not_tissue(method, tint):
    image = picture(colour=tint)
    assert not tissue_mask(image, method=method, mpp=8.0).any()
    image[20:80, 20:120] = speckled(np.minimum(picture(60, 100, PINK), tint).astype(np.uint8))
    expected = np.zeros(image.shape[:2], bool)
    expected[20:80, 20:120] = True
    assert overlap(tissue_mask(image, method=method, mpp=8.0), expected) > 0.9


def test_noise_on_glass_is_not_cut_in_two():
    rng = np.random.default_rng(1)
    image = (picture(200, 200).astype(int) + rng.integers(-2, 3, size=(200, 200, 3))).astype(np.uint8)
    for method in METHODS:
        assert not tissue_mask(image, method=method, mpp=8.0).any()


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_that_is_all_tissue_is_not_cut_in_two(method):
    image = picture(colour=PINK)
    image[:, 80:] = PURPLE
    assert tissue_mask(speckled(image), method=method, mpp=8.0).all()


@pytest.mark.parametrize("method", METHODS)
def test_pale_and_dark_stain_both_count_beside_glass(method):
    image = picture(120, 300)
    image[:, 100:200] = speckled(picture(120, 100, (226, 190, 214)))
    image[:, 200:] = speckled(picture(120, 100, PURPLE))
    mask = tissue_mask(image, method=method, mpp=8.0)
    assert mask[:, 105:].mean() > 0.99
    assert not mask[:, :95].any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "ink",
    [(30, 90, 190), (20, 140, 70), (25, 25, 30), (0, 0, 0), (6, 2, 9)],
    ids=["blue", "green", "pen", "0", "near 0"],
)
def test_ink_and_black_borders_are_not_tissue(method, ink):
    image = picture(160, 200)
    image[60:120, 100:180] = speckled(picture(60, 80, PINK))
    image[:, :20] = ink  # a border, or a stroke along it
    image[10:30, 40:160] = ink
    mask = tissue_mask(image, method=method, mpp=8.0)
    expected = np.zeros(image.shape[:2], bool)
    expected[60:120, 100:180] = True
    assert overlap(mask, expected) > 0.9


def test_dark_nuclei_are_no_ink():
    image = picture()
    image[20:80, 20:140] = (62, 40, 84)
    assert tissue_mask(image, mpp=8.0)[20:80, 20:140].all()


def test_small_objects_and_holes_are_judged_in_square_micrometres():
    image = picture(120, 120)
    image[10:90, 10:90] = PINK
    image[40:50, 40:50] = GLASS  # a hole of 100 pixels
    image[100:110, 100:110] = PINK  # a speck of 100 pixels
    limits = {"min_object_um2": 20_000, "min_hole_um2": 20_000}
    fine = tissue_mask(image, mpp=10.0, **limits)  # 10,000 µm² each
    assert fine[40:50, 40:50].all()
    assert not fine[95:, 95:].any()
    coarse = tissue_mask(image, mpp=20.0, **limits)  # 40,000 µm² each
    assert not coarse[42:48, 42:48].any()
    assert coarse[102:108, 102:108].all()


@pytest.mark.parametrize("method", METHODS)
def test_the_size_of_the_picture_hardly_matters(method):
    image = picture(600, 800)
    image[150:450, 200:600] = speckled(picture(300, 400, PINK))
    full = tissue_mask(image, method=method, mpp=4.0)
    half = np.asarray(Image.fromarray(image).resize((400, 300), Image.Resampling.BOX))
    twice = np.asarray(Image.fromarray(image).resize((1600, 1200), Image.Resampling.NEAREST))
    for other, mpp in ((half, 8.0), (twice, 2.0)):
        found = tissue_mask(other, method=method, mpp=mpp)
        assert found.shape == other.shape[:2]
        assert found.mean() == pytest.approx(full.mean(), rel=0.06)


def test_fat_needs_the_eye_for_structure():
    image = picture(400, 400)
    image[100:300:10, 100:300] = image[100:300, 100:300:10] = (212, 205, 210)
    assert tissue_mask(image, method="entropy", mpp=5.0)[110:290, 110:290].all()
    assert not tissue_mask(image, method="saturation", mpp=5.0).any()


def test_an_unknown_method_is_named():
    with pytest.raises(DataContractError, match=r"mask: expected one of entropy, hed, saturation; found 'otsu'"):
        tissue_mask(picture(), method="otsu", mpp=8.0)


@pytest.mark.parametrize("method", METHODS)
def test_the_phantoms_tissue_is_found_as_it_was_drawn(method):
    rng = np.random.default_rng(3)
    lattice = np.stack(np.meshgrid(np.arange(150, 1500, 100), np.arange(150, 1300, 100)), axis=-1).reshape(-1, 2)
    size = {"width_um": 1640.0, "height_um": 1440.0}
    tissue, _ = grow_tissue(rng, **size, lattice_um=lattice, covered=0.7)
    image = render(rng, tissue=tissue, mpp=2.0, stain=Stain.drawn(rng))
    drawn = np.asarray(Image.fromarray(tissue.outline).resize(image.shape[1::-1])) > 0.5
    fat = np.asarray(Image.fromarray(tissue.shares["fat"]).resize(image.shape[1::-1])) > 0.5
    mask = tissue_mask(image, method=method, mpp=2.0)
    assert overlap(mask, drawn) > 0.8  # its fat is empty vacuoles of glass white
    assert overlap(mask & ~fat, drawn & ~fat) > 0.93


def test_the_selected_spots_of_a_real_section_lie_on_tissue(shared_data):
    row = {"slide": "B4", "patient": "B", "layout": "her2st", "mpp": ""}
    layout = base.load("her2st")
    files = layout.files(row, shared_data / "her2st")
    raw = layout.read(row, files, {})
    with open_slide(files["image"]) as slide:
        thumbnail = slide.thumbnail(long_side_px=1200)
        scale = (thumbnail.shape[1] / slide.width_px, thumbnail.shape[0] / slide.height_px)
    xy_px = raw.spots[["x_px", "y_px"]].to_numpy(float)
    # half of B4 is fat, which only structure tells from glass
    for method, least in (("saturation", 0.7), ("entropy", 0.98), ("hed", 0.78)):
        mask = tissue_mask(thumbnail, method=method, mpp=raw.grid_mpp / scale[0])
        shares = spots_on_tissue(mask, xy_px, diameter_px=100 / raw.grid_mpp, scale=scale)
        assert (shares >= 0.5).mean() >= least
        assert mask.mean() < 0.3
