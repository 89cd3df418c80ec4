"""The stage that encodes patches."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from stainscript import encoders
from stainscript.artifacts import stores
from stainscript.artifacts.stores import open_store, write_store
from stainscript.errors import DataContractError
from stainscript.seeds import generator
from stainscript.stages import encode_patches as stage
from stainscript.stages.encode_patches import encode_patches

MORPHOLOGY = {
    "name": "plain",
    "kind": "morphology",
    "weights": None,
    "weights_sha256": None,
    "seed": 0,
    "precision": "float32",
    "store": "float32",
    "batch_size": 4,
}
CPU = {"accelerator": "cpu", "threads": 1}


@pytest.fixture
def patches(tmp_path, monkeypatch):
    """A store of 11 patches of 40 px in chunks of 3."""
    monkeypatch.setattr(stores, "CHUNK_BYTES", 3 * 40 * 40 * 3)
    images = generator(0, "patches").integers(0, 256, (11, 40, 40, 3), dtype=np.uint8)
    attrs = {
        "dataset": "toy",
        "slide": "A1",
        "view": "patch",
        "width_px": 40,
        "mpp": 0.5,
        "edge": "white",
        "outside_share": 0.25,
    }
    ids = np.array([f"{n}x7" for n in range(11)], dtype=object)
    write_store(tmp_path / "patches", "patches", {"images": images, "spot_id": ids}, attrs)
    return tmp_path / "patches"


def run(patches, out, **options):
    encode_patches(patches=patches, encoder=MORPHOLOGY | options, hardware=CPU, out=out)
    return open_store(out, "features")


def test_features_keep_the_order_and_the_ids_of_the_patches(patches, tmp_path):
    features = run(patches, tmp_path / "features")
    given = open_store(patches, "patches")
    assert list(features.ids("spot_id")) == list(given.ids("spot_id"))
    expected = encoders.load("morphology").encode(given["images"])
    assert features["features"].tobytes() == expected.tobytes()


def test_patches_are_read_in_blocks(patches, tmp_path, monkeypatch):
    seen = []

    class Counting:
        name, width, transform, precision, weights_sha256, card = "counting", 1, "none", "float32", "none", {}

        def encode(self, images):
            seen.append(len(images))
            return np.zeros((len(images), 1), dtype=np.float32)

    monkeypatch.setattr(stage.encoders, "load", lambda *_, **__: Counting())
    run(patches, tmp_path / "features")
    assert seen == [3, 3, 3, 2]


def test_the_attributes_say_by_what_and_from_what(patches, tmp_path):
    attrs = run(patches, tmp_path / "features").attrs
    assert (attrs["encoder"], attrs["kind"], attrs["weights_sha256"]) == ("plain", "morphology", "none")
    assert (attrs["dataset"], attrs["slide"], attrs["view"], attrs["mpp"]) == ("toy", "A1", "patch", 0.5)
    assert attrs["patches_sha256"] == open_store(patches, "patches").digest
    assert attrs["precision"] == "float32"
    timm = run(patches, tmp_path / "timm", kind="timm:test_vit", seed=5).attrs
    assert timm["weights_sha256"] == "random:5"
    assert timm["transform"].startswith("resize to 168x168 px (bicubic")


def test_the_stored_precision_is_the_one_asked_for(patches, tmp_path):
    single = run(patches, tmp_path / "single")["features"]
    half = run(patches, tmp_path / "half", store="float16")["features"]
    assert (single.dtype, half.dtype) == (np.float32, np.float16)
    np.testing.assert_array_equal(half, single.astype(np.float16))


def test_two_runs_give_the_same_bytes(patches, tmp_path):
    for name in ("one", "two"):
        run(patches, tmp_path / name, kind="timm:test_vit")
    one, two = (
        {p.relative_to(f): hashlib.sha256(p.read_bytes()).hexdigest() for p in f.rglob("*") if p.is_file()}
        for f in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_a_patch_store_that_was_changed_is_refused(patches, tmp_path):
    manifest = json.loads((patches / "manifest.json").read_text())
    manifest["arrays"]["images"]["sha256"] = "0" * 64
    (patches / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataContractError, match=r"images: content digest"):
        run(patches, tmp_path / "features")
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize(("value", "store"), [(1e6, "float16"), (np.nan, "float32")])
def test_features_that_are_not_finite_are_refused(patches, tmp_path, monkeypatch, value, store):
    class Bad:
        name, width, transform, precision, weights_sha256, card = "bad", 2, "none", "float32", "none", {}

        def encode(self, images):
            features = np.zeros((len(images), 2), dtype=np.float32)
            features[1, 1] = value
            return features

    monkeypatch.setattr(stage.encoders, "load", lambda *_, **__: Bad())
    with pytest.raises(DataContractError, match="first at spot 1x7, feature 1"):
        run(patches, tmp_path / "features", store=store)
    assert not (tmp_path / "features").exists()


def test_a_misspelt_encoder_leaves_the_earlier_features(patches, tmp_path):
    run(patches, tmp_path / "features")
    before = (tmp_path / "features" / "manifest.json").read_bytes()
    with pytest.raises(DataContractError, match="did you mean 'morphology'"):
        run(patches, tmp_path / "features", kind="morpholgy")
    assert (tmp_path / "features" / "manifest.json").read_bytes() == before


def test_a_wrong_checksum_stops_the_stage(patches, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"x")
    with pytest.raises(DataContractError, match="weights_sha256"):
        run(
            patches,
            tmp_path / "features",
            kind="timm:test_vit",
            weights=str(tmp_path / "w.safetensors"),
            weights_sha256="0" * 64,
        )
    assert not (tmp_path / "features").exists()
