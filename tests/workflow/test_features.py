"""Patches and features: what is made, how often, and what makes none of it again."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

SLIDES = ["P1L", "P1V", "P2L", "P2V", "P3L", "P3V", "W1"]
NEAR = {"width_px": 64, "mpp": 1.0, "edge": "white"}
WIDE = {"width_px": 48, "mpp": 4.0, "edge": "white", "field": 3, "seed": 5}
ALONE, TOGETHER = ("near", "wide"), ("near_too", "wide_too")


def test_keeping_patches_cuts_each_view_and_slide_once_and_nothing_else(phantom_copy) -> None:
    phantom_copy.configure(lambda c: c.update(keep_patches=True))
    jobs = phantom_copy.plan()
    assert Counter(job.rule for job in jobs) == {"extract_patches": len(SLIDES)}
    assert sorted((job.wildcards["view"], job.wildcards["slide"]) for job in jobs) == [("patch", s) for s in SLIDES]


def small_views(config: dict) -> None:
    """Two views alone, and the same two cut together."""
    config["views"] |= {"near": NEAR, "wide": WIDE}
    config["views"] |= {"near_too": NEAR | {"cut_with": "both"}, "wide_too": WIDE | {"cut_with": "both"}}
    encoders = ["morphology", "resnet18_random"]
    config["features"] = [{"datasets": ["phantom"], "views": [*ALONE, *TOGETHER], "encoders": encoders}]


def test_views_cut_together_are_one_job_a_slide_and_encoder(phantom_copy) -> None:
    phantom_copy.configure(small_views)
    jobs = phantom_copy.plan("features")
    assert Counter(job.rule for job in jobs) == {"encode_slide": 7 * 2 * 2, "encode_slide_both": 7 * 2}
    for job in jobs:
        w = job.wildcards
        views = TOGETHER if job.rule == "encode_slide_both" else [w["view"]]
        assert job.outputs == tuple(store(view, w["slide"], w["encoder"]) for view in views)
    phantom_copy.configure(lambda c: c.update(experiments=[]))
    assert phantom_copy.counts() == Counter(job.rule for job in jobs)  # without experiments nothing else is left


def store(view: str, slide: str, encoder: str = "morphology") -> str:
    return f"results/features/phantom/{view}/{encoder}/{slide}"


def test_one_pass_equals_two_and_is_made_as_one(phantom_copy) -> None:
    """Of one slide alone. Digests are of the arrays; attributes differ by the view's name."""
    phantom_copy.configure(small_views)
    targets = [store(view, "P1L") for view in (*ALONE, *TOGETHER)]
    phantom_copy.snakemake(*targets)
    made = [json.loads((phantom_copy.folder / target / "manifest.json").read_text())["arrays"] for target in targets]
    assert [sorted(arrays) for arrays in made] == [["features", "spot_id"], ["cell", "features", "spot_id"]] * 2
    assert made[:2] == made[2:]
    assert made[0]["features"]["sha256"] != made[1]["features"]["sha256"]
    shutil.rmtree(phantom_copy.folder / targets[3])
    assert phantom_copy.counts(*targets) == {"encode_slide_both": 1}


def test_weights_from_the_hub_are_fetched_once_for_all_slides(phantom_copy) -> None:
    grid = {"datasets": ["phantom"], "views": ["patch"], "encoders": ["resnet18"]}
    phantom_copy.configure(lambda c: c.update(features=[grid]))
    jobs = phantom_copy.plan("features")
    assert Counter(job.rule for job in jobs) == {"fetch_weights": 1, "encode_slide": len(SLIDES)}
    (fetched,) = [job.outputs[0] for job in jobs if job.rule == "fetch_weights"]
    assert fetched == "results/weights/resnet18/model.safetensors"
    assert all(fetched in job.inputs for job in jobs if job.rule == "encode_slide")


def test_how_many_threads_decode_and_which_files_are_touched_makes_no_features_again(phantom_copy) -> None:
    for path in Path(phantom_copy.folder / "results/raw").rglob("*.tif"):
        path.touch()
    for path in Path(phantom_copy.folder / "results/slides").glob("*/*.quality.json"):
        path.touch()
    phantom_copy.configure(lambda c: c["hardware"].update(workers=3))
    assert phantom_copy.plan() == []


def test_a_changed_threshold_checks_again_and_encodes_nothing(phantom_copy) -> None:
    phantom_copy.configure(lambda c: c["quality"].update(min_on_tissue=0.4))
    assert phantom_copy.counts() == {"check_slide": len(SLIDES)}


def test_jobs_still_to_do_behind_a_check_that_runs_again_are_not_lost(phantom_copy) -> None:
    for path in (phantom_copy.folder / "results/tables").rglob("leaderboard.*"):
        path.unlink()
    phantom_copy.configure(lambda c: c["quality"].update(min_on_tissue=0.4))
    counts = phantom_copy.counts()
    assert (counts["check_slide"], counts["tabulate"]) == (len(SLIDES), 1)
    assert not {"encode_slide", "fit", "score"} & set(counts)


def test_a_changed_view_encodes_that_view_alone(phantom_copy) -> None:
    phantom_copy.configure(lambda c: c["views"]["field"].update(seed=9))
    assert phantom_copy.plan() == []
    phantom_copy.configure(lambda c: c["views"]["patch"].update(edge="reflect"))
    own = phantom_copy.counts(*[store("patch", slide) for slide in SLIDES])
    assert own == {"encode_slide": len(SLIDES)}


def test_a_changed_encoder_encodes_again_and_neither_ingests_nor_checks(edited_copy) -> None:
    path = edited_copy.repository / "src/stainscript/encoders/morphology.py"
    path.write_text(path.read_text() + "\nPLANTED_CONSTANT = 1\n")
    counts = edited_copy.counts()
    assert counts["encode_slide"] == len(SLIDES)
    assert not {"draw_phantom", "ingest_slide", "ingest_image", "check_slide", "select_panel"} & set(counts)


def test_changed_code_of_the_check_encodes_nothing(edited_copy) -> None:
    path = edited_copy.repository / "src/stainscript/patches/quality.py"
    path.write_text(path.read_text() + "\nPLANTED_CONSTANT = 1\n")
    assert edited_copy.counts() == {"check_slide": len(SLIDES)}
