"""The phantom through a real one-node SLURM: the metrics of a local run, in fewer submissions than jobs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

EXPERIMENT = "phantom.hmhvg.mlp.morphology"


def load(path: Path):
    loader = SourceFileLoader("slurm_fixtures", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


slurm = load(Path(__file__).resolve().parents[1] / "slurm/conftest.py").slurm


@pytest.fixture(scope="module")
def finished(slurm, fresh, tmp_path_factory):
    """One method of the tiny phantom run through SLURM: its folder, the plan's jobs by rule, the submissions."""
    space = fresh(tmp_path_factory.mktemp("cluster"))
    space.compare_only("mlp")
    planned = space.counts()
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(space.repository / "Snakefile")]
    command = [*snakemake, "--workflow-profile", str(space.repository / "profiles/slurm"), *slurm.hurry(8)]
    before = len(slurm.jobs())
    done = subprocess.run(command, cwd=space.folder, env=slurm.environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-12000:] + slurm.logs()
    return space, planned, slurm.jobs()[before:]


def test_the_metrics_equal_those_of_a_local_run_byte_for_byte(finished, phantom_run) -> None:
    space, _, _ = finished
    found = {name: body for name, body in space.metrics().items() if name.startswith("metrics/")}
    local = {name: body for name, body in phantom_run.metrics().items() if name.startswith(f"metrics/{EXPERIMENT}/")}
    assert found.keys() == local.keys()
    assert len(found) == 3 * 3  # folds × (slides, genes, maps)
    assert [name for name, body in found.items() if body != local[name]] == []


def test_grouping_makes_fewer_submissions_than_jobs(finished) -> None:
    _, planned, jobs = finished
    submissions = Counter(job["JobState"] for job in jobs)
    assert set(submissions) == {"COMPLETED"}
    assert submissions.total() < planned.total() / 2


def test_every_fit_and_encoding_is_a_submission_of_its_own(finished) -> None:
    _, planned, jobs = finished
    for rule in ("fit", "encode_slide"):
        assert planned[rule]
        assert sum(job["Comment"].startswith(f"rule_{rule}") for job in jobs) == planned[rule]


def test_a_fit_that_can_use_a_gpu_asks_for_one(finished) -> None:
    _, _, jobs = finished
    fits = [job for job in jobs if job["Comment"].startswith("rule_fit")]
    assert {job["TresPerJob"] for job in fits} == {"gres:gpu:1"}
    assert not [job for job in jobs if job["Comment"].startswith("rule_encode_slide") and "TresPerJob" in job]


def test_the_cluster_run_leaves_nothing_to_do_locally(finished) -> None:
    assert finished[0].plan() == []
