"""The SLURM profile on a small workflow with the real one's rule names: what is asked of the cluster, and how often."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

TOY = """
rule all:
    input: "runs/fold0.txt", "runs/fold1.txt"

rule draw_phantom:
    output: "raw/{slide}.txt"
    resources: mem_mb=100, runtime=5
    shell: "echo $SLURM_JOB_ID > {output}"

rule ingest_slide:
    input: "raw/{slide}.txt"
    output: "slides/{slide}.txt"
    resources: mem_mb=150, runtime=3
    shell: "echo $SLURM_JOB_ID > {output}"

rule fit:
    input: expand("slides/{slide}.txt", slide=["A1", "A2"])
    output: "runs/fold{fold}.txt"
    threads: 2
    resources: gpu=1, mem_mb=lambda w, attempt: 300 * attempt, runtime=7
    shell: "if [ {wildcards.fold} = 0 ] && [ ! -e tried ]; then touch tried; exit 1; fi; echo $SLURM_JOB_ID > {output}"
"""


@pytest.fixture(scope="module")
def toy(slurm, repository: Path, tmp_path_factory):
    """The toy's folder after its run through SLURM, and the jobs that the controller saw, oldest first."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(TOY)
    before = len(slurm.jobs())
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    command = [snakemake, "--workflow-profile", str(repository / "profiles/slurm"), *slurm.hurry(2)]
    done = subprocess.run(command, cwd=folder, env=slurm.environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:] + slurm.logs()
    return folder, slurm.jobs()[before:]


def jobs_of(jobs: list[dict[str, str]], rule: str) -> list[dict[str, str]]:
    return [job for job in jobs if rule in job["Comment"]]


def written(folder: Path, kind: str) -> set[str]:
    return {path.read_text().strip() for path in (folder / kind).glob("*.txt")}


def test_every_job_ran_inside_a_submission_that_the_controller_knows(toy) -> None:
    folder, jobs = toy
    known = {job["JobId"] for job in jobs}
    for kind in ("raw", "slides", "runs"):
        assert written(folder, kind)
        assert written(folder, kind) <= known


def test_two_slides_with_two_jobs_each_make_one_submission(toy) -> None:
    folder, jobs = toy
    slides = jobs_of(jobs, "draw_phantom")
    assert len(slides) == 1
    assert written(folder, "raw") == written(folder, "slides") == {slides[0]["JobId"]}


def test_a_group_asks_for_its_largest_job_and_the_sum_of_the_runtimes(toy) -> None:
    (slides,) = jobs_of(toy[1], "draw_phantom")
    assert slides["MinMemoryNode"] == "150M"
    assert slides["NumCPUs"] == "1"
    assert slides["TimeLimit"] == "00:16:00"  # 2 · (5 + 3) minutes
    assert "TresPerJob" not in slides


def test_a_fit_asks_for_one_gpu_and_its_threads(toy) -> None:
    for job in jobs_of(toy[1], "fit"):
        assert job["TresPerJob"] == "gres:gpu:1"
        assert job["NumCPUs"] == "2"
        assert job["TimeLimit"] == "00:07:00"


def test_memory_grows_with_the_attempt(toy) -> None:
    first, second = jobs_of(toy[1], "fit_wildcards_0")
    assert (first["JobState"], first["MinMemoryNode"]) == ("FAILED", "300M")
    assert (second["JobState"], second["MinMemoryNode"]) == ("COMPLETED", "600M")


def test_gpu_jobs_are_submitted_side_by_side(toy) -> None:
    first, second = (jobs_of(toy[1], f"fit_wildcards_{fold}")[0] for fold in (0, 1))
    assert max(first["SubmitTime"], second["SubmitTime"]) < min(first["EndTime"], second["EndTime"])


def test_the_default_partition_is_found(toy) -> None:
    assert {job["Partition"] for job in toy[1]} == {"main"}
