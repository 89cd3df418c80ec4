"""Predicting a test slide reads a checkpoint, features and gene inputs; only scoring reads its expression."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

MAY_READ_EVERYTHING = {"score", "predict_control"}
MAKES_IT = {"ingest_slide", "draw_phantom"}
SEES_PIXELS = {"check_slide", "extract_patches", "encode_slide", "encode_slide_both"}


@pytest.fixture(scope="module")
def jobs(fresh, tmp_path_factory):
    """All jobs of a run from nothing, with every kind of job that reads pixels: patches kept, two views in one pass."""
    space = fresh(tmp_path_factory.mktemp("wall"))
    space.configure(change)
    return space.plan()


def change(config: dict) -> None:
    config["keep_patches"] = True
    for view in ("patch", "tile"):
        config["views"][view]["cut_with"] = "both"
    config["features"] = [{"datasets": ["phantom"], "views": ["field"], "encoders": ["morphology"]}]


def ancestors(job, makers):
    """Every job that ``job`` depends on, itself included."""
    seen, waiting = {}, [job]
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen[id(current)] = current
            waiting += [makers[name] for name in current.inputs if name in makers]
    return list(seen.values())


def leaks(jobs, folds) -> list[str]:
    """Every way from a test slide's expression to a prediction of that fold, written out."""
    makers = {name: job for job in jobs for name in job.outputs}
    found = []
    for job in jobs:
        if job.rule != "predict":
            continue
        test = folds[int(job.wildcards["fold"])]["test"]
        answers = {f"results/expression/phantom/{slide}.h5ad" for slide in test}
        for step in ancestors(job, makers):
            if step.rule not in MAKES_IT and answers & set(step.inputs):
                found.append(f"{step.rule} {step.wildcards} reads {sorted(answers & set(step.inputs))}")
    return found


def test_no_prediction_depends_on_its_folds_answers(jobs, phantom_run) -> None:
    folds = read_folds(phantom_run)
    assert sum(job.rule == "predict" for job in jobs) > 30
    assert leaks(jobs, folds) == []


def test_only_scoring_and_the_controls_read_test_expression(jobs, phantom_run) -> None:
    folds = read_folds(phantom_run)
    for job in jobs:
        if job.rule in MAY_READ_EVERYTHING | MAKES_IT or "fold" not in job.wildcards:
            continue
        test = {f"results/expression/phantom/{slide}.h5ad" for slide in folds[int(job.wildcards["fold"])]["test"]}
        assert not test & set(job.inputs), (job.rule, job.wildcards)


def test_the_walk_finds_a_planted_leak(jobs, phantom_run) -> None:
    folds = read_folds(phantom_run)
    victim = next(job for job in jobs if job.rule == "select_panel" and job.wildcards["fold"] == "0")
    answer = f"results/expression/phantom/{folds[0]['test'][0]}.h5ad"
    planted = [type(j)(j.rule, (*j.inputs, answer), j.outputs, j.wildcards) if j is victim else j for j in jobs]
    assert any(line.startswith("select_panel") for line in leaks(planted, folds))


def test_slides_are_checked_cut_and_encoded_without_expression(jobs) -> None:
    """Not even through another job: of all that they depend on, only ingestion knows the counts."""
    makers = {name: job for job in jobs for name in job.outputs}
    seeing = [job for job in jobs if job.rule in SEES_PIXELS]
    assert {job.rule for job in seeing} == SEES_PIXELS
    for job in seeing:
        for step in ancestors(job, makers):
            assert not [name for name in step.inputs if name.startswith("results/expression/")], (job, step)
            assert step.rule in SEES_PIXELS | MAKES_IT | {"ingest_image"}, (job, step)


def test_a_slide_is_checked_before_it_is_cut_or_encoded(jobs) -> None:
    for job in jobs:
        if job.rule in SEES_PIXELS - {"check_slide"}:
            assert f"results/slides/phantom/{job.wildcards['slide']}.quality.json" in job.inputs


def test_truth_of_the_phantom_reaches_the_ceiling_alone(jobs) -> None:
    for job in jobs:
        if any(name.startswith("results/raw/") for name in job.inputs):
            allowed = {"ingest_slide", "ingest_image"} | SEES_PIXELS  # of the folder, these are told the image alone
            ceiling = job.rule == "predict_control" and ".ceiling." in job.wildcards["experiment"]
            assert job.rule in allowed or ceiling, job


def read_folds(space) -> list[dict]:
    path: Path = space.folder / "results/splits/phantom/leave_one_patient_out.json"
    return json.loads(path.read_text())["folds"]
