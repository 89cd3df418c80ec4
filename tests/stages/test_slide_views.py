"""What the cutting stages share: every crop planned before a pixel is read, from a slide or from ready-made patches."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stainscript.datasets.hest_files import write_patches
from stainscript.errors import DataContractError
from stainscript.stages.slide_views import opened_views, read_record, read_spots
from stainscript.types import SlideInfo

PATCH = {"name": "patch", "width_px": 10, "mpp": 1.0, "edge": "white"}
GRID = PATCH | {"name": "grid", "grid": 3}
FIELD = PATCH | {"name": "field", "width_px": 30, "field": 3, "cell": 2}
SPOTS = {"spot_id": ["left", "middle"], "x_px": [5.0, 45.0], "y_px": [35.0, 35.0]}


def views(*chosen) -> dict:
    return {view["name"]: view for view in chosen}


@pytest.fixture
def given(tmp_path):
    """A slide of 90 × 70 px at 1 µm a pixel, red = column and green = row; one spot at its left edge, one inside."""
    rows, columns = np.mgrid[:70, :90]
    Image.fromarray(np.stack([columns, rows, rows * 0], axis=2).astype(np.uint8)).save(tmp_path / "a.png")
    info = SlideInfo(
        dataset="toy",
        slide="A1",
        patient="A",
        width_px=90,
        height_px=70,
        mpp=1.0,
        mpp_source="sheet",
        reader="array",
        image="a.png",
        image_sha256="0" * 64,
    )
    (tmp_path / "A1.json").write_text(json.dumps(dataclasses.asdict(info)))
    pd.DataFrame(SPOTS).to_parquet(tmp_path / "A1.spots.parquet")
    return {
        "image": tmp_path / "a.png",
        "record": read_record(tmp_path / "A1.json"),
        "spots": tmp_path / "A1.spots.parquet",
    }


def test_spots_come_in_stored_order_as_x_and_y(given) -> None:
    spot_id, xy_px = read_spots(given["spots"])
    assert spot_id.tolist() == ["left", "middle"]
    assert xy_px.tolist() == [[5, 35], [45, 35]]


def test_each_view_says_what_its_store_must_hold(given) -> None:
    with opened_views(**given, views=views(PATCH, GRID, FIELD)) as (planned, _):
        held = {name: planned.extra_arrays(name) for name in planned.views}
        attrs = {name: planned.attrs(name) for name in planned.views}
    assert {name: sorted(arrays) for name, arrays in held.items()} == {
        "patch": ["spot_id"],
        "grid": ["mask", "spot_id"],
        "field": ["cell", "spot_id"],
    }
    # the left spot's own patch begins at the slide's edge: the grid's left column leaves it
    assert held["grid"]["mask"].tolist() == [[False, True, True] * 3, [True] * 9]
    assert (held["field"]["cell"].tolist(), held["field"]["cell"].dtype) == ([2, 2], np.int8)
    assert (attrs["grid"]["grid"], attrs["field"]["field"], attrs["patch"]["grid"]) == (3, 3, 1)
    assert {a["image_sha256"] for a in attrs.values()} == {"0" * 64}
    assert attrs["patch"]["outside_share"] == 0


def test_the_stream_brings_every_crop_of_every_view_once(given) -> None:
    with opened_views(**given, views=views(PATCH, FIELD)) as (planned, stream):
        blocks = list(stream(workers=2, block=8))
    images = {
        (block.view, int(n)): image for block in blocks for n, image in zip(block.index, block.images, strict=True)
    }
    assert sorted(images) == [("field", 0), ("field", 1), ("patch", 0), ("patch", 1)]
    assert images["patch", 1][0, 0].tolist() == [40, 30, 0]  # 10 px around (45, 35)
    assert images["patch", 1][9, 9].tolist() == [49, 39, 0]
    field = images["field", 1]  # its patch is the cell at the upper right: 20 px further left, none further up
    patch_columns = field[0, :, 0]
    assert field.shape == (30, 30, 3)
    assert planned.crops["field"].boxes[1, 0].tolist() == [20, 30, 50, 60]
    assert patch_columns[:3].tolist() == [20, 21, 22]


def test_an_image_of_another_size_than_ingested_is_refused(given) -> None:
    Image.new("RGB", (70, 90)).save(given["image"])
    with (
        pytest.raises(DataContractError, match=r"a\.png: size: expected 90 × 70 px, as when slide A1 was ingested; "),
        opened_views(**given, views=views(PATCH)),
    ):
        pass


def test_a_view_larger_than_the_slide_is_refused_before_any_pixel(given) -> None:
    with (
        pytest.raises(DataContractError, match="huge"),
        opened_views(**given, views=views(PATCH | {"name": "huge", "width_px": 71})),
    ):
        pass


@pytest.fixture
def prepared(given, tmp_path):
    """The same two spots as patches of 10 px that the data set brought, in another order; red is the place."""
    images = np.zeros((3, 10, 10, 3), np.uint8)
    images[..., 0] = np.array([1, 2, 3])[:, None, None]
    write_patches(
        tmp_path / "a.h5",
        barcodes=["middle", "other", "left"],
        coords=np.array([[40, 30], [9, 9], [0, 30]]),
        images=images,
    )
    return given | {"image": tmp_path / "a.h5", "record": dataclasses.replace(given["record"], reader="patches")}


@pytest.mark.parametrize("workers", [1, 8])
def test_ready_made_patches_are_streamed_in_the_order_of_the_spots(prepared, workers) -> None:
    again = PATCH | {"name": "again", "mpp": None}
    with opened_views(**prepared, views=views(PATCH, again)) as (planned, stream):
        blocks = list(stream(workers=workers, block=1))
    assert [(block.view, block.index.tolist()) for block in blocks] == [
        *[("patch", [0]), ("patch", [1])],
        *[("again", [0]), ("again", [1])],
    ]
    assert [int(block.images[0, 0, 0, 0]) for block in blocks] == [3, 1, 3, 1]
    assert planned.spot_id.tolist() == ["left", "middle"]
    assert planned.attrs("patch")["outside_share"] == 0
    assert sorted(planned.extra_arrays("patch")) == ["spot_id"]


def test_of_ready_made_patches_no_other_view_can_be_cut(prepared) -> None:
    with (
        pytest.raises(DataContractError, match=r"a\.h5: view grid: expected a plain patch of 10 px; .*grid 3"),
        opened_views(**prepared, views=views(PATCH, GRID)),
    ):
        pass
