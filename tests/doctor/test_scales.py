"""Where each slide's µm per pixel comes from, before the run and after an ingest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from stainscript.artifacts.files import write_json
from stainscript.doctor import scales
from stainscript.plan import paths


@pytest.fixture
def slide(row, tmp_path):
    """A slide of the dataset ``own`` with a TIFF of this many µm per pixel, or a plain JPEG where it is ``None``."""

    def make(name: str, stated: float | None, *, layout: str = "wsi", mpp: str = "", **files: str):
        path = tmp_path / (f"{name}.jpg" if stated is None else f"{name}.tif")
        if stated is None:
            Image.new("RGB", (30, 20)).save(path)
        else:
            pixels = np.zeros((20, 30, 3), dtype=np.uint8)
            tifffile.imwrite(path, pixels, resolution=(1e4 / stated, 1e4 / stated), resolutionunit="CENTIMETER")
        files = {"image": str(path)} | files
        return row("own", name, layout=layout, measured=layout != "wsi", cells={"mpp": mpp}, files=files)

    return make


def said(*rows) -> list[tuple[str, str]]:
    found = scales.findings("own", scales.look({row.slide: row for row in rows}))
    return [(finding.level, finding.found) for finding in found]


def test_slides_are_summed_up_by_source(slide):
    rows = [
        slide("a", 0.5),
        slide("b", 0.25),
        slide("c", None, mpp="0.7"),
        slide("d", None, layout="her2st"),
    ]
    assert said(*rows) == [
        ("ok", "4 slides: 0.25 to 0.7 µm/px, from metadata (2), sheet (1), the spot grid, at ingest (1)")
    ]


def test_one_scale_is_written_once(slide):
    assert said(slide("a", 0.5001), slide("b", 0.5)) == [("ok", "2 slides: 0.5 µm/px, from metadata (2)")]


def test_a_slide_without_scale_and_without_spots_is_missing(slide):
    row = slide("a", None)
    (finding,) = scales.findings("own", scales.look({"a": row}))
    assert (finding.level, finding.subject) == ("missing", "own a")
    assert finding.found == "no µm/px in sheet or metadata, and no spots to tell it"
    assert finding.remedy == "fill the sheet's column mpp for slide a"


def test_sheet_against_metadata_is_settled_by_spots_alone(slide):
    level, found = said(slide("a", 0.5, mpp="0.25"))[0]
    assert (level, found) == ("missing", "0.25 µm/px in the sheet, 0.5 in the metadata")
    with_spots = said(slide("b", 0.5, mpp="0.25", layout="her2st"))
    assert with_spots[0] == ("ok", "1 slide: 0.25 µm/px, from sheet (1)")
    assert with_spots[1][0] == "note"
    assert "if the spot grid agrees" in with_spots[1][1]
    assert len(said(slide("c", 0.5, mpp="0.52"))) == 1  # 4 % is agreement


def test_the_datasets_own_metadata_outrank_the_image(slide, tmp_path):
    (tmp_path / "meta.json").write_text(json.dumps({"pixel_size_um_estimated": 0.5}))
    row = slide("a", 0.05, layout="hest", metadata=str(tmp_path / "meta.json"))
    assert said(row) == [("ok", "1 slide: 0.5 µm/px, from the dataset's metadata (1)")]


def test_a_scale_that_no_scanner_has_is_noted(slide):
    findings = said(slide("a", 0.05), slide("b", 0.5))
    assert findings[1] == ("note", "0.05 µm/px by metadata: unusual for a scanned slide")


def test_many_deviating_slides_are_counted(slide):
    findings = scales.findings("own", scales.look({f"s{n}": slide(f"s{n}", None) for n in range(8)}))
    assert [f.subject for f in findings] == [*(f"own s{n}" for n in range(5)), "own"]
    assert findings[-1].level == "missing"
    assert findings[-1].found.startswith("3 more")
    assert findings[-1].found.endswith("s5, s6, s7")


def test_an_image_that_is_none_is_missing_and_the_others_are_looked_at(slide):
    broken = slide("a", None)
    Path(broken.files["image"]).write_bytes(b"\xff\xd8\xff and no more")
    findings = said(broken, slide("b", 0.5))
    assert findings[0] == ("ok", "1 slide: 0.5 µm/px, from metadata (1)")
    assert findings[1][0] == "missing"
    assert "a.jpg" in findings[1][1]


def test_a_slide_made_of_stored_patches_has_no_image_to_look_at(row):
    patches = row("own", "T1", layout="hest_bench", files={"patches": "p.h5", "counts": "c.h5ad"})
    assert said(patches) == [("ok", "1 slide: from stored patches (1)")]


def test_an_ingested_slide_is_told_by_its_record(slide, row):
    record = {"mpp": 0.68, "mpp_source": "spot grid", "width_px": 9, "height_px": 8}
    write_json(paths.info("own", "a"), record)
    drawn = row("own", "b", generated=True, files={"image": "not/yet/drawn.tif"})
    assert said(slide("a", 0.5), drawn) == [
        ("ok", "2 slides: 0.68 µm/px, from spot grid, as ingested (1), the drawing, when it is made (1)")
    ]


def verdict(word: str, path: str | Path) -> None:
    write_json(path, {"verdict": word, "reasons": [] if word == "pass" else ["7.0% of the spots lie on tissue"]})


def test_verdicts_are_summed_up_and_those_that_did_not_pass_named(config, row):
    cohort = {name: row("own", name) for name in ("a", "b", "c", "d")}
    assert scales.quality("own", config(), cohort) == []
    verdict("pass", paths.quality("own", "a"))
    verdict("warn", paths.quality("own", "b"))
    verdict("fail", paths.path("logs", "check_slide", "own.c", "c.quality.json"))
    findings = scales.quality("own", config(), cohort)
    assert [(f.level, f.subject) for f in findings] == [("ok", "own"), ("note", "own b"), ("missing", "own c")]
    assert findings[0].found == "3 of 4 slides checked: 1 pass, 1 warn, 1 fail"
    assert findings[2].found == "fail: 7.0% of the spots lie on tissue"
    assert "results/logs/check_slide/own.c/c.quality.jpg" in findings[2].remedy
    assert "datasets.own.exclude: {c: <reason>}" in findings[2].remedy
    going_on = config(lambda c: c["quality"].update(on_fail="warn"))
    assert [f.level for f in scales.quality("own", going_on, cohort)] == ["ok", "note", "note"]
