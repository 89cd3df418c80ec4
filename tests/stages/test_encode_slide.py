"""The stage that encodes a slide without storing patches, on small slides written as files."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stainscript import encoders
from stainscript.artifacts.stores import open_store
from stainscript.errors import DataContractError
from stainscript.seeds import generator
from stainscript.stages import encode_slide as stage
from stainscript.stages.encode_slide import encode_slide
from stainscript.stages.extract_patches import extract_patches
from stainscript.types import SlideInfo

VIEW = {"name": "patch", "width_px": 32, "mpp": 0.25, "edge": "white"}
REGION = VIEW | {"name": "region", "grid": 3}
FIELD = VIEW | {"name": "field", "width_px": 48, "field": 3, "seed": 1}
MORPHOLOGY = {
    "name": "plain",
    "kind": "morphology",
    "weights": None,
    "weights_sha256": None,
    "seed": 0,
    "precision": "float32",
    "store": "float32",
    "batch_size": 4,
    "options": {},
    "compile": False,
}
CPU = {"accelerator": "cpu", "threads": 1, "workers": 1}


class Means:
    """A stand-in encoder: mean red and mean green of each image; blank images count as -1."""

    name, width, transform, precision, weights_sha256, card = "means", 2, "none", "float32", "none", {}

    def __init__(self):
        self.sizes = []

    def encode_batches(self, batches):
        for images in batches:
            self.sizes.append(len(images))
            yield images[..., :2].mean(axis=(1, 2)).astype(np.float32)

    def blank(self):
        return np.full(2, -1, np.float32)


@pytest.fixture
def given(tmp_path):
    """A slide of 120 × 90 px at 1 µm a pixel, red = column and green = row, with 30 spots 20 px apart from (2, 3)."""
    rows, columns = np.mgrid[:90, :120]
    noise = generator(0, "noise").integers(0, 256, (90, 120))
    Image.fromarray(np.stack([columns, rows, noise], axis=2).astype(np.uint8)).save(tmp_path / "a.png")
    info = SlideInfo(
        dataset="toy",
        slide="A1",
        patient="A",
        width_px=120,
        height_px=90,
        mpp=1.0,
        mpp_source="sheet",
        reader="array",
        image="a.png",
        image_sha256="0" * 64,
    )
    (tmp_path / "A1.json").write_text(json.dumps(asdict(info)))
    y, x = (v.ravel() for v in np.mgrid[0:5, 0:6])
    names = [f"{a}x{b}" for a, b in zip(x, y, strict=True)]
    spots = pd.DataFrame({"spot_id": names, "x_px": 20.0 * x + 2, "y_px": 20.0 * y + 3})
    spots.to_parquet(tmp_path / "A1.spots.parquet")
    return {"info": tmp_path / "A1.json", "spots": tmp_path / "A1.spots.parquet", "image": tmp_path / "a.png"}


@pytest.fixture
def means(monkeypatch):
    made = Means()
    monkeypatch.setattr(stage.encoders, "load", lambda *_, **__: made)
    return made


def run(given, out, *, views=(VIEW,), workers=1, **options):
    outs = {view["name"]: out / view["name"] for view in views}
    hardware = CPU | {"workers": workers}
    encode_slide(
        **given, views={v["name"]: v for v in views}, encoder=MORPHOLOGY | options, hardware=hardware, out=outs
    )
    stores = [open_store(folder, "features", "region_features") for folder in outs.values()]
    return stores[0] if len(stores) == 1 else stores


def tree_digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_each_spot_gets_the_features_of_the_pixels_around_it(given, tmp_path, means):
    store = run(given, tmp_path)
    assert list(store.ids("spot_id")) == [f"{x}x{y}" for y in range(5) for x in range(6)]
    features = store["features"]
    # 32 px of 0.25 µm around (42, 23) are the 8 columns 38 to 45 and the 8 rows 19 to 26 of 1 µm
    assert features[1 * 6 + 2].tolist() == pytest.approx([41.5, 22.5], abs=0.5)


def test_the_features_are_those_of_the_stored_patches(given, tmp_path):
    extract_patches(**given, view=VIEW, workers=1, out=tmp_path / "patches")
    patches = open_store(tmp_path / "patches", "patches")
    store = run(given, tmp_path)
    assert list(store.ids("spot_id")) == list(patches.ids("spot_id"))
    expected = encoders.load("morphology").encode(patches["images"])
    np.testing.assert_array_equal(store["features"], expected)


def test_cells_beyond_the_slide_are_masked_and_count_as_blank_images(given, tmp_path, means):
    store = run(given, tmp_path, views=(REGION,))
    features, mask = store["features"], store["mask"]
    assert (store.kind, features.shape, mask.shape) == ("region_features", (30, 9, 2), (30, 9))
    # the first spot lies at (2, 3) with a patch of 8 µm: its upper and left cells leave the slide
    assert mask[0].tolist() == [False, False, False, False, True, True, False, True, True]
    assert features[0][~mask[0]].tolist() == [[-1, -1]] * 5
    # right of the middle cell of the spot at (42, 23) lies one patch of 8 columns further
    assert (features[8, 5] - features[8, 4]).tolist() == pytest.approx([8, 0], abs=1e-3)
    assert (features[8, 7] - features[8, 4]).tolist() == pytest.approx([0, 8], abs=1e-3)


def test_the_middle_cell_of_a_grid_is_the_patch_itself(given, tmp_path):
    patch, region = run(given, tmp_path, views=(VIEW, REGION))
    np.testing.assert_array_equal(region["features"][:, 4], patch["features"])


def test_a_field_says_in_which_cell_the_patch_lies(given, tmp_path, means):
    store = run(given, tmp_path, views=(FIELD,))
    cell, features = store["cell"].astype(int), store["features"]
    assert store.kind == "features"
    inside = cell >= 0
    assert set(cell[inside].tolist()) <= set(range(9))
    assert len(set(cell[inside].tolist())) > 1
    # the field is 48 px · 0.25 µm = 12 µm wide, so a patch is 4 µm: the field's centre lies that far from the spot
    x, y = (v.ravel() for v in np.meshgrid(20 * np.arange(6) + 2, 20 * np.arange(5) + 3))
    middle = np.stack([x + 4 * (1 - cell % 3), y + 4 * (1 - cell // 3)], axis=1) - 0.5
    np.testing.assert_allclose(features[inside], middle[inside], atol=0.75)


def test_one_pass_gives_what_two_give(given, tmp_path):
    for name, views in (("both", (VIEW, FIELD)), ("alone", (VIEW,)), ("other", (FIELD,))):
        run(given, tmp_path / name, views=views)
    assert tree_digest(tmp_path / "both" / "patch") == tree_digest(tmp_path / "alone" / "patch")
    assert tree_digest(tmp_path / "both" / "field") == tree_digest(tmp_path / "other" / "field")


def test_the_number_of_workers_changes_nothing(given, tmp_path):
    for workers in (1, 8):
        run(given, tmp_path / str(workers), kind="timm:test_vit", workers=workers)
    assert tree_digest(tmp_path / "1") == tree_digest(tmp_path / "8")


def test_batches_are_as_large_as_configured(given, tmp_path, means):
    run(given, tmp_path, batch_size=7)
    assert means.sizes == [7, 7, 7, 7, 2]


def test_the_attributes_say_by_what_and_from_what(given, tmp_path):
    attrs = run(given, tmp_path).attrs
    assert (attrs["encoder"], attrs["kind"], attrs["weights_sha256"]) == ("plain", "morphology", "none")
    assert (attrs["dataset"], attrs["slide"], attrs["view"], attrs["mpp"]) == ("toy", "A1", "patch", 0.25)
    assert (attrs["image_sha256"], attrs["precision"], attrs["slide_mpp"]) == ("0" * 64, "float32", 1.0)
    timm = run(given, tmp_path / "timm", kind="timm:test_vit", seed=5).attrs
    assert timm["weights_sha256"] == "random:5"
    assert timm["transform"].startswith("resize to 168x168 px (bicubic")


def test_the_stored_precision_is_the_one_asked_for(given, tmp_path):
    single = run(given, tmp_path / "single")["features"]
    half = run(given, tmp_path / "half", store="float16")["features"]
    assert (single.dtype, half.dtype) == (np.float32, np.float16)
    np.testing.assert_array_equal(half, single.astype(np.float16))


def test_progress_ends_with_all_patches_and_nothing_left(given, tmp_path, means, caplog):
    caplog.set_level(logging.INFO)
    run(given, tmp_path)
    assert any("A1: 30 of 30 patches" in line and line.endswith("0 s left") for line in caplog.messages)


@pytest.mark.parametrize(("value", "store"), [(1e6, "float16"), (np.nan, "float32")])
def test_features_that_are_not_finite_are_refused(given, tmp_path, means, monkeypatch, value, store):
    def spoilt(batches):
        for images in batches:
            features = np.zeros((len(images), 2), dtype=np.float32)
            features[1, 1] = value
            yield features

    monkeypatch.setattr(means, "encode_batches", spoilt)
    with pytest.raises(DataContractError, match=r"features of plain, view patch.* at spot \dx\d, feature 1"):
        run(given, tmp_path, store=store)
    assert not (tmp_path / "patch").exists()


def test_a_misspelt_encoder_leaves_the_earlier_features(given, tmp_path):
    run(given, tmp_path)
    before = tree_digest(tmp_path / "patch")
    with pytest.raises(DataContractError, match="did you mean 'morphology'"):
        run(given, tmp_path, kind="morpholgy")
    assert tree_digest(tmp_path / "patch") == before


def test_a_wrong_checksum_stops_the_stage(given, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"x")
    wrong = {"weights": str(tmp_path / "w.safetensors"), "weights_sha256": "0" * 64}
    with pytest.raises(DataContractError, match="weights_sha256"):
        run(given, tmp_path, kind="timm:test_vit", **wrong)
    assert not (tmp_path / "patch").exists()


def test_a_view_larger_than_the_slide_is_refused(given, tmp_path, means):
    with pytest.raises(DataContractError, match=r"view huge.*A1|huge"):
        run(given, tmp_path, views=(VIEW | {"name": "huge", "width_px": 400},))
    assert not (tmp_path / "huge").exists()


def test_an_image_exchanged_since_ingestion_is_refused(given, tmp_path, means):
    Image.new("RGB", (119, 90)).save(given["image"])
    with pytest.raises(DataContractError, match="120 × 90 px, as when slide A1 was ingested"):
        run(given, tmp_path)
