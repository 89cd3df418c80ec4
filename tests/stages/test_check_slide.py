"""``check_slide`` measures, judges and draws one slide, and fails only after its files are whole and kept."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stainscript.artifacts.files import file_sha256, write_json, write_parquet
from stainscript.errors import DataContractError
from stainscript.stages.check_slide import check_slide
from stainscript.types import SlideInfo

WIDTH, HEIGHT, MPP, PITCH = 1200, 1000, 1.0, 100.0
OPTIONS = {"mask": "saturation", "min_on_tissue": 0.5, "min_alignment": 0.8, "on_fail": "error"}
KEYS = {
    *("dataset", "slide", "mask", "verdict", "reasons", "thresholds", "n_spots", "n_on_tissue", "n_off_tissue"),
    *("share_on_tissue", "mean_spot_share", "tiles", "alignment", "tissue_share", "tissue_mm2", "blur", "stain"),
}


@pytest.fixture
def check(tmp_path):
    """Pink tissue at x 100..700, y 100..900 and x 700..1100, y 100..400 (an L on its head), 0.6 mm² in all, spots of
    55 µm every 100 µm where it is."""

    def run(*, move=None, options=None, colour=(214, 140, 184), name="out", **facts):
        pixels = np.full((HEIGHT, WIDTH, 3), 244, np.uint8)
        pixels[100:900, 100:700] = pixels[100:400, 700:1100] = colour
        pixels[::2][pixels[::2, :, 1] < 200] = np.multiply(colour, 0.8).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "S1.png")
        x, y = (a.ravel() for a in np.meshgrid(np.arange(150.0, 1100, PITCH), np.arange(150.0, 900, PITCH)))
        inside = (x < 700) | (y < 400)
        xy = np.stack([x, y], axis=1)[inside]
        xy = xy if move is None else move(xy)
        info = SlideInfo(
            **{
                "dataset": "toy",
                "slide": "S1",
                "patient": "P",
                "width_px": WIDTH,
                "height_px": HEIGHT,
                "mpp": MPP,
                "mpp_source": "sheet",
                "reader": "array",
                "image": "S1.png",
                "image_sha256": "0" * 64,
                "spot_diameter_um": 55.0,
            }
            | facts
        )
        write_json(tmp_path / "S1.json", dataclasses.asdict(info))
        write_parquet(tmp_path / "S1.spots.parquet", pd.DataFrame({"x_px": xy[:, 0], "y_px": xy[:, 1]}))
        out = tmp_path / name
        check_slide(
            info=tmp_path / "S1.json",
            spots=tmp_path / "S1.spots.parquet",
            image=tmp_path / "S1.png",
            options=OPTIONS | (options or {}),
            out_json=out / "S1.qc.json",
            out_picture=out / "S1.qc.jpg",
            kept=tmp_path / "logs" / "S1",
        )
        return json.loads((out / "S1.qc.json").read_text())

    return run


def test_spots_on_tissue_pass(check, tmp_path):
    found = check()
    assert set(found) == KEYS
    assert (found["verdict"], found["reasons"], found["tiles"]) == ("pass", [], None)
    assert (found["n_spots"], found["n_on_tissue"], found["n_off_tissue"]) == (60, 60, 0)
    assert found["share_on_tissue"] == found["mean_spot_share"] == 1
    assert found["thresholds"] == {"min_on_tissue": 0.5, "min_alignment": 0.8, "spot_share": 0.5}
    assert found["alignment"]["score"] == 1
    assert found["alignment"]["hint"] == ""
    assert found["tissue_share"] == pytest.approx(0.5, abs=0.03)  # 600,000 of 1,200,000 pixels; smoothing adds a rim
    assert found["tissue_mm2"] == pytest.approx(1.2 * found["tissue_share"], abs=1e-3)  # of 1.2 mm²
    assert found["blur"]["fields"] == 16
    assert found["blur"]["variance_of_laplacian"] > 10
    assert found["stain"]["tissue_rgb"] == pytest.approx([193, 126, 166], abs=7)  # two shades, and a rim of glass
    with Image.open(tmp_path / "out" / "S1.qc.jpg") as picture:
        assert picture.format == "JPEG"
        assert picture.width == 1400
        assert picture.height > 1167  # the slide at its own ratio, under the text


def test_the_same_slide_gives_the_same_bytes(check, tmp_path):
    check(name="first")
    check(name="second")
    for name in ("S1.qc.json", "S1.qc.jpg"):
        assert file_sha256(tmp_path / "first" / name) == file_sha256(tmp_path / "second" / name)


def test_a_shift_is_a_warning_with_the_way_back_in_both_units(check):
    found = check(move=lambda xy: np.add(xy, (100, 0)), mpp=0.5, options={"min_alignment": 0.5})  # 100 px are 50 µm
    assert found["verdict"] == "warn"
    assert found["n_off_tissue"] == 8  # the last of each row
    assert found["alignment"]["shift_px"] == pytest.approx([-100, 0], abs=34)
    assert found["alignment"]["shift_um"] == pytest.approx([-50, 0], abs=17)
    assert found["reasons"] == [found["alignment"]["hint"]]
    assert "px left" in found["reasons"][0]


def mirrored(xy):
    return np.stack([xy[:, 0], HEIGHT - xy[:, 1]], axis=1)


def test_a_misfit_fails_and_its_picture_is_kept(check, tmp_path):
    with pytest.raises(DataContractError) as error:
        check(move=mirrored, options={"min_alignment": 0.9})
    message = str(error.value)
    assert "S1.spots.parquet: spots on tissue: expected at least 50% of the spots on tissue" in message
    assert "an alignment of at least 0.9; found alignment 0." in message
    assert "mirrored in y" in error.value.found
    assert "put S1 on the dataset's exclude list with a reason, or lower quality.min_on_tissue" in error.value.remedy
    kept = tmp_path / "logs" / "S1"
    assert str(kept / "S1.qc.jpg") in error.value.remedy
    assert sorted(path.name for path in kept.iterdir()) == ["S1.qc.jpg", "S1.qc.json"]
    assert json.loads((kept / "S1.qc.json").read_text())["verdict"] == "fail"
    with Image.open(kept / "S1.qc.jpg") as picture:
        picture.load()  # it is whole


def test_a_later_pass_removes_the_kept_files_of_the_failure(check, tmp_path):
    with pytest.raises(DataContractError):
        check(move=mirrored, options={"min_alignment": 0.9})
    other = tmp_path / "logs" / "S1" / "notes.txt"
    other.write_text("mine")
    check()
    assert list((tmp_path / "logs" / "S1").iterdir()) == [other]


def test_on_fail_warn_writes_the_verdict_and_goes_on(check, tmp_path, caplog):
    found = check(move=lambda xy: xy * (0.05, 1), options={"on_fail": "warn"})
    assert found["verdict"] == "fail"
    assert found["share_on_tissue"] == 0
    assert "0.0% of the spots lie on tissue, at least 50.0% should" in caplog.text
    assert not (tmp_path / "logs").exists()


def test_the_threshold_decides(check):
    def half_off(xy):  # 30 of 60 spots go to the glass at the left
        return np.where((np.arange(len(xy)) % 2 == 0)[:, None], xy * (0.02, 1), xy)

    given = {"min_alignment": 0.0}
    assert check(move=half_off, options=given)["share_on_tissue"] == 0.5
    with pytest.raises(DataContractError, match=r"found 50\.0% of the spots lie on tissue, at least 51\.0% should"):
        check(move=half_off, options=given | {"min_on_tissue": 0.51})


def test_tiles_are_counted_and_not_aligned(check):
    found = check(spot_diameter_um=None, has_expression=False)
    assert found["alignment"] is None
    assert found["tiles"] == {"cells": 120, "kept": 60, "dropped": 60}  # 12 × 10 cells of 100 px
    assert found["share_on_tissue"] == 1


def test_what_cannot_be_measured_is_null_with_its_reason(check):
    found = check(mpp=2.0)
    assert found["blur"]["variance_of_laplacian"] is None
    assert found["blur"]["reason"] == "the slide has 2 µm per pixel, coarser than 1"
    found = check(colour=(244, 244, 244), options={"on_fail": "warn"})
    assert found["alignment"]["score"] is None
    assert found["alignment"]["reason"].startswith("tissue covers 0% of the slide")
    assert found["stain"]["haematoxylin"] is None
    assert found["blur"]["reason"] == "no spot lies on tissue"
    assert found["verdict"] == "fail"


def test_a_slide_without_spots_fails_by_its_share(check):
    found = check(move=lambda xy: xy[:0], options={"on_fail": "warn"})
    assert (found["n_spots"], found["share_on_tissue"], found["verdict"]) == (0, 0, "fail")


def test_a_misspelt_mask_is_named_before_anything_is_written(check, tmp_path):
    with pytest.raises(DataContractError, match="did you mean 'entropy'"):
        check(options={"mask": "entrophy"})
    assert not (tmp_path / "out").exists()
