"""The phantom's tissue and its picture."""

from __future__ import annotations

import numpy as np
import pytest

from stainscript import seeds
from stainscript.datasets.phantom_render import EOSIN, HAEMATOXYLIN, Stain, render
from stainscript.datasets.phantom_tissue import GRID_UM, REGIONS, Tissue, grow_tissue, sample_field, smooth_noise

LATTICE_UM = np.stack(np.meshgrid(np.arange(100, 1500, 100.0), np.arange(100, 1100, 100.0)), axis=-1).reshape(-1, 2)


@pytest.fixture(scope="module")
def grown():
    return grow_tissue(
        seeds.generator(3, "tissue"), width_um=1600.0, height_um=1200.0, lattice_um=LATTICE_UM, covered=0.75
    )


def test_a_field_is_sampled_in_x_y_order():
    columns = np.tile(np.arange(6.0), (4, 1))  # value = column index
    rows = np.tile(np.arange(4.0)[:, None], (1, 6))
    at = np.array([[4.5 * GRID_UM, 1.5 * GRID_UM], [2.0 * GRID_UM, 3.5 * GRID_UM]])
    assert sample_field(columns, at) == pytest.approx([4, 1.5])
    assert sample_field(rows, at) == pytest.approx([1, 3])


def test_noise_of_a_larger_scale_is_smoother():
    def roughness(scale_um: float) -> float:
        field = smooth_noise(seeds.generator(0, "noise"), shape=(120, 150), scale_um=scale_um)
        assert field.shape == (120, 150)
        assert field.std() == pytest.approx(1, abs=1e-3)
        return float(np.abs(np.diff(field, axis=1)).mean())

    assert roughness(400) < roughness(100) / 2


def test_exactly_the_wanted_share_of_places_lies_under_tissue(grown):
    tissue, under = grown
    assert under.sum() == round(0.75 * len(LATTICE_UM))
    at_places = sample_field(tissue.outline, LATTICE_UM)
    assert at_places[under].min() >= 0.5 > at_places[~under].max()


def test_shares_sum_to_the_tissue_and_each_region_is_there(grown):
    tissue, _ = grown
    assert tuple(tissue.shares) == REGIONS
    assert np.abs(sum(tissue.shares.values()) - tissue.outline).max() < 1e-5
    for region, share in tissue.shares.items():
        assert share.min() >= 0, region
        assert share.sum() / tissue.outline.sum() > 0.02, region


@pytest.fixture(scope="module")
def banded() -> np.ndarray:
    """Mean colour (150, 192, 3) every 8 µm of a slide of six bands, 256 µm each: the regions, then glass.

    The upper half of the tumour has grade 0, the lower half grade 1.
    """
    shape = (150, 192)
    band = np.broadcast_to(np.arange(192) // 32, shape)
    tissue = Tissue(
        width_um=1536.0,
        height_um=1200.0,
        outline=(band < 5).astype(np.float32),
        shares={region: (band == i).astype(np.float32) for i, region in enumerate(REGIONS)},
        grade=np.repeat(np.array([0, 1], dtype=np.float32), 75)[:, None] * np.ones(shape, dtype=np.float32),
        fibre_um=np.arange(150, dtype=np.float32)[:, None] * 8 * np.ones(shape, dtype=np.float32),
    )
    image = render(
        seeds.generator(3, "image"), tissue=tissue, mpp=1.0, stain=Stain(haematoxylin=HAEMATOXYLIN, eosin=EOSIN)
    )
    assert image.shape == (1200, 1536, 3)
    return image.reshape(150, 8, 192, 8, 3).mean(axis=(1, 3))


def test_each_region_has_the_colour_that_a_pathologist_expects(banded):
    colour = {name: banded[:, 32 * i + 6 : 32 * i + 26].mean(axis=(0, 1)) for i, name in enumerate((*REGIONS, "glass"))}
    assert colour["glass"].min() > 240
    brightness = {name: rgb.mean() for name, rgb in colour.items()}
    assert sorted(brightness, key=brightness.get) == ["tumour", "immune", "stroma", "necrosis", "fat", "glass"]
    pinkness = {name: rgb[0] - rgb[2] for name, rgb in colour.items()}
    assert min(pinkness["stroma"], pinkness["necrosis"]) > 20
    assert max(pinkness["tumour"], pinkness["immune"]) < 10


def test_grade_shows_in_the_tumour_alone(banded):
    upper, lower = banded[5:70, :, 0].mean(axis=0), banded[80:145, :, 0].mean(axis=0)
    darker = upper - lower
    assert darker[6:26].mean() > 20
    assert abs(darker[38:]).mean() < 4


def test_patients_stain_differently():
    assert Stain.drawn(seeds.generator(0, "P1")) != Stain.drawn(seeds.generator(0, "P2"))
