"""The transform: rows and columns, values worked out by hand, and Pillow's resize."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from stainscript import encoders
from stainscript.encoders.transform import Transform, resize_in_two_passes
from stainscript.seeds import generator

PLAIN = {"resize_px": None, "crop_px": None, "mode": "bilinear", "mean": (0, 0, 0), "std": (1, 1, 1)}
MODES = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def axis_coded(side: int) -> np.ndarray:
    """Red is the column, green the row, blue 200."""
    rows, columns = np.mgrid[:side, :side]
    return np.stack([columns, rows, np.full_like(rows, 200)], axis=2).astype(np.uint8)[None]


def pillow(images: np.ndarray, side: int, mode: str) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(i).resize((side, side), MODES[mode])) for i in images])


def smooth(side: int) -> np.ndarray:
    small = generator(0, "smooth").integers(0, 256, (3, 17, 17, 3), dtype=np.uint8)
    return pillow(small, side, "bicubic")


def test_each_channel_is_scaled_shifted_and_kept_in_its_place():
    made = Transform(**PLAIN | {"mean": (0.5, 0.2, 0.1), "std": (0.5, 0.4, 2.0)})
    planes = made(torch.tensor([[[[0, 51, 255], [255, 102, 0]]]], dtype=torch.uint8))
    assert planes.shape == (1, 3, 1, 2)
    assert planes.dtype == torch.float32
    np.testing.assert_allclose(planes[0, 0, 0], [-1, 1], atol=1e-6)  # (0 - .5) / .5, (1 - .5) / .5
    np.testing.assert_allclose(planes[0, 1, 0], [0, 0.5], atol=1e-6)  # (.2 - .2) / .4, (.4 - .2) / .4
    np.testing.assert_allclose(planes[0, 2, 0], [0.45, -0.05], atol=1e-6)  # (1 - .1) / 2, (0 - .1) / 2


def test_rows_stay_rows_and_the_crop_is_the_centre():
    planes = Transform(**PLAIN | {"crop_px": (4, 8)})(torch.from_numpy(axis_coded(12)))[0] * 255
    assert planes.shape == (3, 4, 8)
    np.testing.assert_allclose(planes[0], np.tile(np.arange(2, 10), (4, 1)), atol=1e-4)
    np.testing.assert_allclose(planes[1], np.tile(np.arange(4, 8)[:, None], (1, 8)), atol=1e-4)
    np.testing.assert_allclose(planes[2], 200, atol=1e-4)


def test_the_result_is_channels_last_and_the_input_untouched():
    images = torch.from_numpy(axis_coded(12))
    before = images.clone()
    planes = Transform(**PLAIN)(images)
    assert planes.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


def test_an_image_of_the_wanted_size_is_not_resampled():
    images = torch.from_numpy(generator(0, "noise").integers(0, 256, (1, 24, 24, 3), dtype=np.uint8))
    planes = Transform(**PLAIN | {"resize_px": 24, "mode": "bicubic"})(images)
    np.testing.assert_allclose(planes.permute(0, 2, 3, 1) * 255, images, atol=1e-4)


def test_resizing_to_twice_the_side_interpolates_between_the_centres_of_pixels():
    ramp = torch.tensor([[0, 40, 80, 120]], dtype=torch.uint8)[:, :, None, None].expand(1, 4, 4, 3).contiguous()
    planes = Transform(**PLAIN | {"resize_px": 8})(ramp)[0, 0] * 255
    np.testing.assert_allclose(planes[:, 3], [0, 10, 30, 50, 70, 90, 110, 120], atol=1e-3)
    np.testing.assert_allclose(planes[3], planes[3, 0].expand(8), atol=1e-3)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("side", "resized"), [(56, 64), (75, 56), (56, 112), (64, 56)])
def test_a_cpu_resizes_as_pillow_up_to_2_of_255_in_few_places(side, resized, mode):
    images = smooth(side)
    planes = Transform(**PLAIN | {"resize_px": resized, "mode": mode})(torch.from_numpy(images))
    ours = (planes.permute(0, 2, 3, 1).numpy() * 255).round().astype(int)
    difference = np.abs(ours - pillow(images, resized, mode).astype(int))
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.05
    np.testing.assert_allclose(planes.numpy() * 255, np.round(planes.numpy() * 255), atol=1e-3)  # 8 bits, as published


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("drawn", ["smooth", "noise"])
@pytest.mark.parametrize(("side", "resized"), [(56, 64), (75, 56), (56, 112)])
def test_what_a_gpu_runs_differs_from_pillow_by_at_most_1_of_255(side, resized, mode, drawn):
    noise = generator(0, "noise").integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    images = smooth(side) if drawn == "smooth" else noise
    planes = resize_in_two_passes(torch.from_numpy(images).permute(0, 3, 1, 2), side=resized, mode=mode)
    difference = np.abs(planes.permute(0, 2, 3, 1).numpy() - pillow(images, resized, mode).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


@pytest.mark.parametrize("kind", encoders.published())
def test_each_published_transform_on_an_axis_coded_image(kind):
    """At the size that the transform resizes to, what is left is the crop and the normalisation."""
    card = encoders.card(kind)
    side = card.resize_px or 30
    coded = axis_coded(side)
    made = Transform(
        resize_px=card.resize_px,
        crop_px=None if card.resize_px is None else (card.input_px, card.input_px),
        mode=card.interpolation,
        mean=card.mean,
        std=card.std,
    )
    planes = made(torch.from_numpy(coded))[0].numpy()
    margin = 16 if side == 256 else 0
    assert planes.shape == (3, side - 2 * margin, side - 2 * margin)
    for channel, (y, x) in enumerate([(0, 5), (7, 0), (3, 4)]):
        value = (coded[0, y + margin, x + margin, channel] / 255 - card.mean[channel]) / card.std[channel]
        assert planes[channel, y, x] == pytest.approx(value, abs=1e-5)


def test_the_published_constants():
    assert encoders.card("h_optimus_0").mean == (0.707223, 0.578729, 0.703617)
    assert encoders.card("plip").std == encoders.card("conch").std == (0.26862954, 0.26130258, 0.27577711)
    assert encoders.card("gigapath").transform.startswith(
        "resize to 256x256 px (bicubic, antialiased, 8 bits), centre crop 224x224 px, / 255, mean [0.485, 0.456, 0.406]"
    )
    assert encoders.card("resnet50:stage3").transform.startswith("/ 255, mean [0.485")
    assert encoders.card("conch").transform.startswith("resize to 448x448 px (bicubic")
    assert encoders.card("ciga_resnet18:unit").transform == "resize to 224x224 px (bilinear, antialiased, 8 bits), " + (
        "/ 255, mean [0.0, 0.0, 0.0], sd [1.0, 1.0, 1.0]"
    )


@pytest.mark.parametrize("crop_px", [None, (30, 20)])
def test_kept_memory_holds_the_same_numbers_and_is_used_again(crop_px):
    transform = Transform(resize_px=None, crop_px=crop_px, mode="bilinear", mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    drawn = generator(0, "kept memory").integers(0, 256, (2, 5, 40, 40, 3), dtype=np.uint8)
    first, second = torch.from_numpy(drawn)
    expected = transform(first), transform(second)
    one = transform(first, reuse=True)
    torch.testing.assert_close(one, expected[0], rtol=0, atol=1e-6)
    assert one.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        other = transform(second[:3], reuse=True)
    torch.testing.assert_close(other, expected[1][:3], rtol=0, atol=1e-6)
    assert other.data_ptr() == one.data_ptr()
