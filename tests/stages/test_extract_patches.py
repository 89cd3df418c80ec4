"""The stage that cuts patches, on small slides written as files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stainscript.artifacts import stores
from stainscript.artifacts.stores import open_store
from stainscript.errors import DataContractError
from stainscript.stages.extract_patches import extract_patches
from stainscript.types import SlideInfo

VIEW = {"name": "patch", "width_px": 16, "mpp": 0.5, "edge": "white"}


@pytest.fixture
def given(tmp_path):
    """A slide of 120 × 90 px at 1 µm a pixel with 30 spots, as the files that the stage takes."""
    rows, columns = np.mgrid[:90, :120]
    Image.fromarray(np.stack([columns, rows, rows * 0], axis=2).astype(np.uint8)).save(tmp_path / "a.png")
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
    spots = pd.DataFrame(
        {"spot_id": [f"{a}x{b}" for a, b in zip(x, y, strict=True)], "x_px": 20.0 * x + 2, "y_px": 20.0 * y + 3}
    )
    spots.to_parquet(tmp_path / "A1.spots.parquet")
    return {
        "info": tmp_path / "A1.json",
        "spots": tmp_path / "A1.spots.parquet",
        "image": tmp_path / "a.png",
        "view": VIEW,
        "out": tmp_path / "patches",
    }


def tree_digest(folder) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_store_holds_the_spots_in_their_order(given):
    extract_patches(**given)
    store = open_store(given["out"], "patches")
    images = store["images"]
    assert images.shape == (30, 16, 16, 3)
    assert list(store.ids("spot_id")[:3]) == ["0x0", "1x0", "2x0"]
    centre = images[7, 7:9, 7:9].astype(float).mean(axis=(0, 1))  # spot 1x1 at (22, 23): its centre is a corner
    assert centre[0] == pytest.approx(22 - 0.5, abs=0.51)
    assert centre[1] == pytest.approx(23 - 0.5, abs=0.51)


def test_the_attributes_say_what_was_cut(given):
    extract_patches(**given)
    attrs = open_store(given["out"], "patches").attrs
    assert attrs["mpp"] == 0.5
    assert attrs["slide_mpp"] == 1.0
    assert (attrs["dataset"], attrs["slide"], attrs["view"], attrs["edge"]) == ("toy", "A1", "patch", "white")
    # squares of 8 px: x = 2 loses 2 of 8 columns, y = 3 loses 1 of 8 rows, the corner 1 − 6·7/64
    assert attrs["outside_share"] == pytest.approx((4 * 2 / 8 + 5 * 1 / 8 + (1 - 42 / 64)) / 30)


def test_blocks_change_neither_content_nor_digest(given, monkeypatch, tmp_path):
    extract_patches(**given)
    whole = open_store(given["out"], "patches")
    asked = []
    monkeypatch.setattr(stores, "CHUNK_BYTES", 2 * 16 * 16 * 3)  # 2 spots a chunk
    monkeypatch.setattr(stores, "SHARD_CHUNKS", 4)
    original = stores.Rows.__init__

    def watched(self, *, shape, dtype, read):
        original(self, shape=shape, dtype=dtype, read=lambda a, b: asked.append((a, b)) or read(a, b))

    monkeypatch.setattr(stores.Rows, "__init__", watched)
    extract_patches(**given | {"out": tmp_path / "blocks"})
    blocks = open_store(tmp_path / "blocks", "patches")
    assert asked == [(0, 8), (8, 16), (16, 24), (24, 30)]
    assert blocks.digest == whole.digest
    np.testing.assert_array_equal(blocks["images"], whole["images"])
    np.testing.assert_array_equal(np.concatenate(list(blocks.blocks("images"))), whole["images"])


def test_two_runs_give_the_same_bytes(given, tmp_path):
    extract_patches(**given)
    extract_patches(**given | {"out": tmp_path / "again"})
    assert tree_digest(given["out"]) == tree_digest(tmp_path / "again")


def test_one_worker_and_eight_write_the_same_bytes(given, tmp_path):
    extract_patches(**given, workers=1)
    extract_patches(**given | {"out": tmp_path / "eight"}, workers=8)
    assert tree_digest(given["out"]) == tree_digest(tmp_path / "eight")


def test_spots_in_any_order_keep_their_patches(given, tmp_path):
    extract_patches(**given)
    spots = pd.read_parquet(given["spots"])
    shuffled = np.random.default_rng(0).permutation(len(spots))
    spots.iloc[shuffled].reset_index(drop=True).to_parquet(given["spots"])
    extract_patches(**given | {"out": tmp_path / "shuffled"})
    one, other = (open_store(folder, "patches") for folder in (given["out"], tmp_path / "shuffled"))
    assert list(other.ids("spot_id")) == list(one.ids("spot_id")[shuffled])
    np.testing.assert_array_equal(other["images"], one["images"][shuffled])


def test_a_grid_becomes_a_store_of_regions_with_its_mask(given):
    extract_patches(**given | {"view": VIEW | {"name": "region", "grid": 3, "width_px": 20}})  # cells of 10 px
    store = open_store(given["out"], "regions")
    images, mask = store["images"], store["mask"]
    assert images.shape == (30, 9, 20, 20, 3)
    first, inner = 0, 7  # spots 0x0 at (2, 3) and 1x1 at (22, 23)
    assert mask[first].tolist() == [False] * 3 + [False, True, True] + [False, True, True]
    assert mask[inner].all()
    assert (images[first, 0] == 0).all()
    assert images[inner, 3, 10, 10, 0] == pytest.approx(12, abs=1)  # the cell to the left, centred at (12, 23)
    assert images[inner, 3, 10, 10, 1] == pytest.approx(23, abs=1)
    assert images[inner, 1, 10, 10, 1] == pytest.approx(13, abs=1)  # the cell above


def test_a_field_keeps_the_cell_of_each_spot(given):
    view = VIEW | {"name": "wide", "field": 3, "width_px": 48}  # 24 px, patches of 8 px
    extract_patches(**given | {"view": view})
    store = open_store(given["out"], "patches")
    cell, images = store["cell"], store["images"]
    assert cell[0] == -1  # (2, 3): its patch itself leaves the slide
    assert (images[0] == 0).all()
    row, column = divmod(int(cell[7]), 3)
    patch = images[7, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
    assert patch[7:9, 7:9, 0].mean() == pytest.approx(21.5, abs=0.51)  # the spot's own, at (22, 23)
    assert patch[7:9, 7:9, 1].mean() == pytest.approx(22.5, abs=0.51)


def test_spots_off_the_slide_leave_no_store(given):
    spots = pd.read_parquet(given["spots"])
    spots.loc[4, "x_px"] = 900.0
    spots.to_parquet(given["spots"])
    with pytest.raises(DataContractError, match=r"A1\.spots\.parquet: x_px, y_px: .*spot 4x0 at \(900, 3\)"):
        extract_patches(**given)
    assert not given["out"].exists()


def test_the_error_policy_stops_before_anything_is_written(given):
    with pytest.raises(DataContractError, match="edge: error"):
        extract_patches(**given | {"view": VIEW | {"edge": "error"}})
    assert not given["out"].exists()


def test_an_image_exchanged_since_ingestion_is_refused(given):
    Image.new("RGB", (121, 90)).save(given["image"])
    with pytest.raises(DataContractError, match=r"a\.png: size: expected 120 × 90 px.*found 121 × 90 px"):
        extract_patches(**given)


def test_each_edge_policy_gives_other_pixels(given, tmp_path):
    for edge in ("white", "reflect"):
        extract_patches(**given | {"view": VIEW | {"edge": edge}, "out": tmp_path / edge})
    white, reflect = (open_store(tmp_path / edge, "patches")["images"] for edge in ("white", "reflect"))
    assert (white[0, 0, 0] == 255).all()
    assert (reflect[0] < 255).all()
    np.testing.assert_array_equal(white[7], reflect[7])  # inside the slide they agree


@pytest.mark.real
def test_a_native_patch_of_a_real_section_is_the_classic_slice(shared_data, tmp_path):
    root = shared_data / "her2st" / "data"
    image = next((root / "ST-imgs" / "C" / "C4").iterdir())
    raw = pd.read_csv(root / "ST-spotfiles" / "C4_selection.tsv", sep="\t").iloc[:3]
    spots = pd.DataFrame(
        {"spot_id": [f"{x}x{y}" for x, y in zip(raw.x, raw.y, strict=True)], "x_px": raw.pixel_x, "y_px": raw.pixel_y}
    )
    spots.to_parquet(tmp_path / "spots.parquet")
    with Image.open(image) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    height, width, _ = pixels.shape
    info = SlideInfo(
        dataset="her2st",
        slide="C4",
        patient="C",
        width_px=width,
        height_px=height,
        mpp=0.688,
        mpp_source="spot grid",
        reader="array",
        image=image.name,
        image_sha256="0" * 64,
    )
    (tmp_path / "info.json").write_text(json.dumps(asdict(info)))
    extract_patches(
        info=tmp_path / "info.json",
        spots=tmp_path / "spots.parquet",
        image=image,
        view={"name": "native", "width_px": 224, "mpp": None, "edge": "error"},
        out=tmp_path / "out",
    )
    images = open_store(tmp_path / "out", "patches")["images"]
    for patch, x, y in zip(images, raw.pixel_x.astype(int), raw.pixel_y.astype(int), strict=True):
        np.testing.assert_array_equal(patch, pixels[y - 112 : y + 112, x - 112 : x + 112])
