"""timm models as encoders; the models are timm's own tiny ones."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from stainscript import encoders
from stainscript.encoders import timm as module
from stainscript.encoders.base import Encoder
from stainscript.errors import DataContractError
from stainscript.seeds import generator

CPU = {"accelerator": "cpu", "threads": 1}
MODEL = "timm:test_vit"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Five smooth colourful patches of 224 px."""
    small = generator(0, "images").integers(0, 256, (5, 9, 9, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(i).resize((224, 224), Image.Resampling.BICUBIC)) for i in small])


@pytest.mark.parametrize("kind", [MODEL, "timm:resnet10t", "timm:test_convnext", "timm:test_vit.r160_in1k"])
def test_models_give_one_vector_a_patch(kind, images):
    encoder = encoders.load(kind, hardware=CPU)
    features = encoder.encode(images)
    assert features.shape == (5, encoder.width)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert features.std(axis=0).max() > 0
    assert isinstance(encoder, Encoder)
    assert encoder.name == kind
    assert set(encoder.card) == {"licence", "weights", "transform"}


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_features(images):
    first, again, other = (encoders.load(MODEL, seed=seed, hardware=CPU) for seed in (3, 3, 4))
    assert first.encode(images).tobytes() == again.encode(images).tobytes()
    assert np.abs(first.encode(images) - other.encode(images)).max() > 1e-3
    assert first.weights_sha256 == "random:3"


def test_encoding_touches_no_global_random_state(images):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    encoders.load(MODEL, seed=3, hardware=CPU).encode(images)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.get_num_threads() == threads


def test_the_batch_size_is_invisible(images):
    small, large = (encoders.load(MODEL, batch_size=n, hardware=CPU).encode(images) for n in (2, 64))
    np.testing.assert_allclose(small, large, atol=1e-5)


@pytest.mark.parametrize("name", ["test_vit", "resnet10t", "vit_tiny_patch16_224"])
def test_the_transform_is_the_one_that_timm_states(name, images):
    config = resolve_model_data_config(timm.create_model(name, pretrained=False))
    ours = module.as_published(config)(torch.from_numpy(images))
    theirs = torch.stack([create_transform(**config, is_training=False)(Image.fromarray(i)) for i in images])
    assert ours.shape == theirs.shape
    step = 1 / 255 / min(config["std"])
    assert (ours - theirs).abs().max() < 2.01 * step  # on a CPU: Pillow's resize but for 2 of 255
    assert ((ours - theirs).abs() > 0.5 * step).float().mean() < 0.05
    assert str(config["input_size"][1]) in module.describe(module.as_published(config))


def test_the_transform_keeps_rows_and_columns(images):
    rows, columns = np.mgrid[:160, :160]
    coded = np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8)[None]
    config = {
        "input_size": (3, 160, 160),
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "mean": (0, 0, 0),
        "std": (1, 1, 1),
    }
    planes = module.as_published(config)(torch.from_numpy(coded))[0] * 255
    np.testing.assert_allclose(planes[0].numpy(), columns, atol=1e-4)
    np.testing.assert_allclose(planes[1].numpy(), rows, atol=1e-4)
    cropped = module.as_published(config | {"input_size": (3, 80, 80), "crop_pct": 0.5})(torch.from_numpy(coded))
    np.testing.assert_allclose(cropped[0, 0].numpy() * 255, columns[40:120, 40:120], atol=1e-4)


@pytest.mark.parametrize("with_classifier", [False, True])
def test_weights_of_a_file_are_used(tmp_path, images, with_classifier):
    with torch.random.fork_rng():
        torch.manual_seed(11)
        published = timm.create_model("test_vit", num_classes=1000 if with_classifier else 0).eval()
    path = tmp_path / "w.safetensors"
    save_file(published.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    encoder = encoders.load(MODEL, weights=path, weights_sha256=sha256, seed=0, hardware=CPU)
    features = encoder.encode(images)
    assert encoder.weights_sha256 == sha256
    assert "w.safetensors" in encoder.card["weights"]
    published.reset_classifier(0)
    config = resolve_model_data_config(published)
    with torch.inference_mode():
        expected = published(module.as_published(config)(torch.from_numpy(images))).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert np.abs(features - encoders.load(MODEL, seed=0, hardware=CPU).encode(images)).max() > 1e-3


def test_random_is_another_word_for_no_weights(images):
    named, none = (encoders.load(MODEL, weights=w, seed=4, hardware=CPU) for w in ("random", None))
    assert named.encode(images).tobytes() == none.encode(images).tobytes()
    assert named.weights_sha256 == "random:4"


def test_options_reach_the_constructor(images):
    plain = encoders.load(MODEL, hardware=CPU)
    wider = encoders.load(MODEL, hardware=CPU, options={"img_size": 192})
    assert "centre crop 192x192" in wider.transform
    assert "centre crop 160x160" in plain.transform
    assert wider.encode(images).shape == plain.encode(images).shape
    scaled = encoders.load(MODEL, hardware=CPU, options={"init_values": 1e-5})
    assert np.abs(scaled.encode(images) - plain.encode(images)).max() > 1e-3


def test_an_option_that_the_model_does_not_take_is_named():
    with pytest.raises(DataContractError, match=r"encoder options: expected arguments of timm's test_vit.*init_valeus"):
        encoders.load(MODEL, hardware=CPU, options={"init_valeus": 1e-5})


def test_weights_of_another_model_are_refused(tmp_path):
    save_file(timm.create_model("test_vit2", num_classes=0).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(DataContractError, match=r"w\.safetensors: tensors: expected the \d+ tensors of the model"):
        encoders.load(MODEL, weights=tmp_path / "w.safetensors", hardware=CPU)


def test_a_wrong_checksum_is_refused(tmp_path):
    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(DataContractError, match="weights_sha256"):
        encoders.load(MODEL, weights=tmp_path / "w.safetensors", weights_sha256="1" * 64, hardware=CPU)


def test_an_unknown_tag_lists_the_tags():
    with pytest.raises(DataContractError, match=r"test_vit\.r160_in1k"):
        encoders.load("timm:test_vit.r160_in21k", hardware=CPU)


def test_a_model_without_pooled_features_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_create", lambda *_: timm.create_model("resnet10t", num_classes=0, global_pool=""))
    with pytest.raises(DataContractError, match=r"pooled features.*\(1, 512, 6, 6\)"):
        encoders.load("timm:resnet10t", hardware=CPU)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_on_a_cpu_says_that_it_is_float32(precision, images):
    half = encoders.load(MODEL, precision=precision, hardware=CPU)
    assert half.precision == "float32"
    assert half.encode(images).tobytes() == encoders.load(MODEL, hardware=CPU).encode(images).tobytes()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_an_absent_gpu_is_a_data_error():
    with pytest.raises(DataContractError, match="auto or cpu"):
        encoders.load(MODEL, hardware={"accelerator": "gpu"})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.1), ("float16", 0.02)])
def test_a_gpu_gives_the_features_of_the_cpu(precision, tolerance, images):
    expected = encoders.load(MODEL, hardware=CPU).encode(images)
    encoder = encoders.load(MODEL, precision=precision, hardware={"accelerator": "gpu"})
    assert encoder.precision == precision
    features = encoder.encode(images)
    assert features.tobytes() == encoder.encode(images).tobytes()
    np.testing.assert_allclose(features, expected, atol=tolerance * np.abs(expected).max())
