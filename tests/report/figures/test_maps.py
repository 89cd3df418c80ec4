"""Packed maps give back what was measured and predicted, where it was."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stainscript.report.figures.maps import (
    LEVELS,
    MISSING,
    Run,
    atlas,
    pack_positions,
    pack_values,
    pitch_px,
    thumbnail_uri,
)
from stainscript.types import SlideInfo


def info(slide="S1", *, dataset="toy", spot_diameter_um=None) -> SlideInfo:
    return SlideInfo(
        dataset=dataset,
        slide=slide,
        patient="P",
        width_px=1000,
        height_px=500,
        mpp=0.5,
        mpp_source="sheet",
        reader="tiff",
        image="a.tif",
        image_sha256="0",
        platform="ST",
        spot_diameter_um=spot_diameter_um,
    )


def frame(slide="S1", predicted=(1.0, 2.0, 4.0)) -> pd.DataFrame:
    spots = {"x_px": [100.0, 200.0, 300.0], "y_px": [50.0, 50.0, 50.0], "measured": [0.0, 1.0, 2.0]}
    return pd.DataFrame({"slide": slide, "gene_id": "G1", "symbol": "ERBB2", **spots, "predicted": predicted})


def packed(frames, experiments=("ridge",), slides=None, pcc=None):
    return atlas(
        frames,
        pcc=pcc or {},
        spaces=dict.fromkeys(experiments, "log1p"),
        labels={name: name for name in experiments},
        experiments={name: {"dataset": "toy", "method": name, "protocol": "log"} for name in experiments},
        slides=slides or {("toy", "S1"): (info(), "data:,")},
    )


def run(experiment="ridge", fold=0, seed=0) -> Run:
    return Run(experiment=experiment, fold=fold, seed=seed)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50))
def test_values_survive_packing_to_half_a_level(values):
    low, high, text = pack_values(np.array(values))
    levels = np.frombuffer(base64.b64decode(text), dtype="<u2")
    assert np.abs(low + levels / LEVELS * (high - low) - values).max() <= (high - low) / LEVELS / 2 + 1e-5


def test_a_value_that_is_not_finite_is_marked_and_leaves_the_range_alone():
    low, high, text = pack_values(np.array([1.0, np.nan, 3.0, np.inf]))
    assert (low, high) == (1.0, 3.0)
    assert np.frombuffer(base64.b64decode(text), dtype="<u2").tolist() == [0, MISSING, LEVELS, MISSING]


def test_positions_are_x_then_y_as_shares_of_width_and_height():
    text = pack_positions(np.array([[1000.0, 0.0], [250.0, 500.0]]), width_px=1000, height_px=500)
    assert np.frombuffer(base64.b64decode(text), dtype="<u2").tolist() == [65535, 0, 16384, 65535]


def test_the_pitch_is_the_distance_to_the_nearest_spot():
    assert pitch_px(np.array([[0.0, 0.0], [30.0, 40.0], [60.0, 80.0]])) == 50.0
    assert math.isnan(pitch_px(np.array([[0.0, 0.0]])))


@pytest.mark.parametrize(("stated", "diameter"), [(55.0, 55.0), (None, 25.0)])
def test_a_spot_has_its_stated_diameter_or_half_the_pitch(stated, diameter):
    slides = {("toy", "S1"): (info(spot_diameter_um=stated), "data:,")}
    slide = packed([(run(), frame())], slides=slides)["slides"]["S1"]
    assert (slide["spot_um"], slide["spot_stated"], slide["pitch_um"]) == (diameter, stated is not None, 50.0)
    assert (slide["width_um"], slide["height_um"]) == (500.0, 250.0)


def test_experiments_share_measured_values_and_keep_their_own_predictions():
    frames = [(run("ridge"), frame()), (run("mlp"), frame(predicted=(3.0, 2.0, 0.0)))]
    made = packed(frames, experiments=("ridge", "mlp"))
    ridge, mlp = made["maps"]["ridge"]["S1"]["G1"], made["maps"]["mlp"]["S1"]["G1"]
    assert (ridge["measured"], ridge["xy"]) == (mlp["measured"], mlp["xy"])
    assert made["blobs"][ridge["predicted"]][:2] == [1.0, 4.0]
    assert made["blobs"][mlp["predicted"]][:2] == [0.0, 3.0]
    assert len(made["blobs"]) == 4


def test_the_first_seed_is_drawn_with_its_own_pcc():
    frames = [(run(seed=1), frame(predicted=(9.0, 9.5, 9.9))), (run(seed=0), frame())]
    pcc = {(run(seed=0), "S1", "G1"): 0.25, (run(seed=1), "S1", "G1"): 0.75}
    made = packed(frames, pcc=pcc)
    drawn = made["maps"]["ridge"]["S1"]["G1"]
    assert (drawn["pcc"], drawn["seed"]) == (0.25, 0)
    assert made["blobs"][drawn["predicted"]][:2] == [1.0, 4.0]


def test_an_undefined_pcc_is_null():
    assert packed([(run(), frame())], pcc={(run(), "S1", "G1"): math.nan})["maps"]["ridge"]["S1"]["G1"]["pcc"] is None


def test_a_control_is_listed_after_the_methods():
    frames = [(run("oracle"), frame()), (run("ridge"), frame())]
    assert list(packed(frames, experiments=("oracle", "ridge"))["experiments"]) == ["ridge", "oracle"]


def test_slides_of_one_name_in_two_datasets_are_told_apart():
    slides = {("toy", "S1"): (info(), "data:,"), ("other", "S1"): (info(dataset="other"), "data:,")}
    assert list(packed([(run(), frame())], slides=slides)["maps"]["ridge"]) == ["toy/S1"]


def test_a_large_thumbnail_is_shrunk_and_keeps_its_shape(tmp_path):
    Image.new("RGB", (1800, 600), (200, 100, 150)).save(tmp_path / "t.jpg")
    kind, text = thumbnail_uri(tmp_path / "t.jpg").split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        assert image.size == (900, 300)
