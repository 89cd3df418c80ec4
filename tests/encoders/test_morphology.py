"""What the morphology encoder measures, on patches drawn for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from stainscript import encoders
from stainscript.encoders.base import Encoder
from stainscript.encoders.morphology import FEATURE_NAMES
from stainscript.errors import DataContractError
from stainscript.seeds import generator

SIDE = 224
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286])
EOSIN = np.array([0.072, 0.990, 0.105])
PINK, BLUE = (235, 170, 205), (90, 60, 140)


@pytest.fixture(scope="module")
def encoder():
    return encoders.load("morphology")


def measure(encoder, patch: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, encoder.encode(patch[None])[0].tolist(), strict=True))


def plain(colour) -> np.ndarray:
    return np.broadcast_to(np.array(colour, dtype=np.uint8), (SIDE, SIDE, 3)).copy()


def stained(direction: np.ndarray, amount: float) -> np.ndarray:
    """A patch with ``amount`` optical density of one stain."""
    density = amount * direction / np.linalg.norm(direction)
    return plain(np.round(256 * 10**-density - 1))


def with_blobs(centres, *, radii=(8, 8)) -> np.ndarray:
    """Blue ellipses with (y, x) ``radii`` on pink."""
    patch = plain(PINK)
    y, x = np.mgrid[:SIDE, :SIDE]
    for cy, cx in centres:
        patch[((y - cy) / radii[0]) ** 2 + ((x - cx) / radii[1]) ** 2 <= 1] = BLUE
    return patch


def noise(n: int) -> np.ndarray:
    return generator(0, "noise").integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)


def test_every_number_has_a_name(encoder):
    features = encoder.encode(noise(3))
    assert features.shape == (3, len(FEATURE_NAMES))
    assert features.dtype == np.float32
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == encoder.width
    assert 80 <= encoder.width <= 150
    assert isinstance(encoder, Encoder)
    assert set(encoder.card) == {"licence", "weights", "transform"}


def test_a_patch_is_described_alone(encoder):
    patches = np.concatenate([noise(17), with_blobs([(50, 60), (150, 99)])[None], plain(PINK)[None]])
    together = encoder.encode(patches)
    alone = np.concatenate([encoder.encode(patch[None]) for patch in patches])
    assert together.tobytes() == alone.tobytes()


def test_no_patches_give_no_rows(encoder):
    assert encoder.encode(noise(0)).shape == (0, encoder.width)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), PINK])
def test_plain_patches_give_finite_numbers_and_no_nuclei(encoder, colour):
    numbers = measure(encoder, plain(colour))
    assert np.isfinite(list(numbers.values())).all()
    assert numbers["haematoxylin_gradient_1px"] == pytest.approx(np.log(1e-6))
    if colour != (0, 0, 0):
        assert numbers["nuclei_count"] == 0


def test_one_number_a_colour_channel(encoder):
    numbers = measure(encoder, plain((51, 102, 204)))
    assert numbers["red_mean"] == pytest.approx(0.2)
    assert numbers["green_p50"] == pytest.approx(0.4)
    assert numbers["blue_p90"] == pytest.approx(0.8)
    assert numbers["blue_sd"] == pytest.approx(0, abs=1e-5)
    assert numbers["value_mean"] == pytest.approx(0.8)
    assert numbers["saturation_mean"] == pytest.approx(0.75)


def test_lab_of_red_is_the_known_one(encoder):
    numbers = measure(encoder, plain((255, 0, 0)))  # CIE L*a*b* 53.24, 80.09, 67.20
    found = [numbers["lightness_mean"], numbers["green_red_mean"], numbers["blue_yellow_mean"]]
    np.testing.assert_allclose(found, [0.5324, 0.8009, 0.6720], atol=2e-3)


@pytest.mark.parametrize(("stain", "other"), [("haematoxylin", "eosin"), ("eosin", "haematoxylin")])
def test_each_stain_is_found_in_its_own_channel(encoder, stain, other):
    numbers = measure(encoder, stained({"haematoxylin": HAEMATOXYLIN, "eosin": EOSIN}[stain], 0.5))
    assert numbers[f"{stain}_mean"] == pytest.approx(0.5, abs=0.01)
    assert numbers[f"{other}_mean"] == pytest.approx(0, abs=0.01)
    assert numbers["residual_mean"] == pytest.approx(0, abs=0.01)


def test_drawn_nuclei_are_counted_and_sized(encoder):
    centres = [(y, x) for y in (30, 90, 150) for x in (30, 80, 130, 180)]
    numbers = measure(encoder, with_blobs(centres))
    assert numbers["nuclei_count"] ** 2 == pytest.approx(12)
    assert np.exp(numbers["nuclei_area"]) == pytest.approx(np.pi * 64, rel=0.15)
    assert numbers["nuclei_share"] == pytest.approx(12 * np.pi * 64 / SIDE**2, rel=0.15)
    assert numbers["nuclei_elongation"] < 0.05
    assert numbers["nuclei_area_sd"] == pytest.approx(0, abs=0.02)
    assert numbers["nuclei_from_120px"] ** 2 == pytest.approx(numbers["nuclei_share"])  # 120 to 240 px: all of them
    assert numbers["nuclei_from_240px"] == 0
    assert numbers["nuclei_contrast"] > 0.1


def test_elongated_nuclei_are_told_from_round_ones(encoder):
    numbers = measure(encoder, with_blobs([(60, 60), (150, 120)], radii=(4, 16)))
    assert numbers["nuclei_elongation"] == pytest.approx((16**2 - 4**2) / (16**2 + 4**2), abs=0.1)
    turned = measure(encoder, with_blobs([(60, 60), (150, 120)], radii=(16, 4)))
    assert turned["nuclei_elongation"] == pytest.approx(numbers["nuclei_elongation"], abs=1e-4)


def test_the_layout_tells_the_centre_from_the_surround(encoder):
    inside = measure(encoder, with_blobs([(100, 100), (112, 130), (130, 112)]))
    outside = measure(encoder, with_blobs([(20, 20), (200, 112), (112, 210)]))
    assert inside["nuclei_centre"] > 0 > outside["nuclei_centre"]
    assert inside["lightness_centre"] < 0 < outside["lightness_centre"]


def test_half_a_white_patch_is_uneven(encoder):
    patch = plain(PINK)
    patch[:112] = 255
    numbers = measure(encoder, patch)
    assert numbers["white_unevenness"] == pytest.approx(0.5)
    assert numbers["white_centre"] == pytest.approx(0)
    assert measure(encoder, plain(PINK))["white_unevenness"] == 0


def test_stripes_have_a_direction_and_noise_has_none(encoder):
    stripes = plain(PINK)
    stripes[:, ::16] = stripes[:, 1::16] = BLUE
    grey = np.repeat(noise(1)[0, :, :, :1], 3, axis=2)
    assert measure(encoder, stripes)["lightness_coherence_1px"] > 0.95
    assert measure(encoder, grey)["lightness_coherence_1px"] < 0.05


def test_turning_a_patch_over_changes_no_colour_and_no_nucleus(encoder):
    patch = with_blobs([(50, 60), (150, 99), (151, 180)])
    there, back = measure(encoder, patch), measure(encoder, patch[:, ::-1])
    for name in FEATURE_NAMES:
        if name.startswith(("nuclei_", "white_", "pattern_1px")):
            assert there[name] == pytest.approx(back[name], abs=2e-3), name
    assert there["haematoxylin_eosin_covariance"] == pytest.approx(back["haematoxylin_eosin_covariance"], abs=1e-5)


def test_fine_and_coarse_texture_are_different_numbers(encoder):
    y, x = np.mgrid[:SIDE, :SIDE]
    fine, coarse = plain(PINK), plain(PINK)
    fine[(x + y) % 2 == 0] = BLUE
    coarse[(x // 24 + y // 24) % 2 == 0] = BLUE
    fine, coarse = measure(encoder, fine), measure(encoder, coarse)
    assert fine["lightness_band_1px"] > coarse["lightness_band_1px"]
    assert fine["lightness_gradient_8px"] < coarse["lightness_gradient_8px"]


@pytest.mark.parametrize("side", [32, 33, 97])
def test_any_side_from_32_px_is_described(encoder, side):
    assert np.isfinite(encoder.encode(noise(2)[:, :side, :side])).all()


def test_a_patch_too_small_is_refused(encoder):
    with pytest.raises(DataContractError, match="at least 32 px"):
        encoder.encode(noise(1)[:, :31, :31])


def test_morphology_takes_no_weights(tmp_path):
    with pytest.raises(DataContractError, match="morphology has none"):
        encoders.load("morphology", weights=tmp_path / "w.pt")


def test_batches_and_the_blank_image_are_described_as_any_other(encoder):
    patches = noise(3)
    parts = list(encoder.encode_batches([patches[:2], patches[2:]]))
    assert np.concatenate(parts).tobytes() == encoder.encode(patches).tobytes()
    assert encoder.blank().tobytes() == encoder.encode(plain((0, 0, 0))[None])[0].tobytes()
