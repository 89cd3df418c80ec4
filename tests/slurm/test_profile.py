"""The SLURM profile on a small workflow with the real one's rule names: what is asked of the cluster, and how often."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

TOY = """
rule all:
    input: "tables/toy.tsv"

rule draw_phantom:
    output: "raw/{slide}.txt"
    resources: mem_mb=100, runtime=5
    shell: "echo $SLURM_JOB_ID > {output}"

rule ingest_slide:
    input: "raw/{slide}.txt"
    output: "slides/{slide}.txt"
    resources: mem_mb=100, runtime=5
    shell: "echo $SLURM_JOB_ID > {output}"

rule fit:
    input: expand("slides/{slide}.txt", slide=["A1", "A2", "B1"])
    output: "runs/fold{fold}.txt"
    resources: gpu=1, mem_mb=lambda w, attempt: 300 * attempt, runtime=7
    shell: "if [ {wildcards.fold} = 0 ] && [ ! -e tried ]; then touch tried; exit 1; fi; echo $SLURM_JOB_ID > {output}"

rule tabulate:
    input: "runs/fold0.txt", "runs/fold1.txt"
    output: "tables/toy.tsv"
    shell: "cat {input} > {output}"
"""


@pytest.fixture(scope="module")
def toy(slurm, repository: Path, tmp_path_factory):
    """The toy's folder after its run through SLURM, and the jobs that the controller saw."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(TOY)
    before = len(slurm.jobs())
    command = [str(Path(sys.executable).with_name("snakemake")), "--workflow-profile", str(repository / "profiles/slurm")]
    quick = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"]
    done = subprocess.run([*command, *quick], cwd=folder, env=slurm.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return folder, slurm.jobs()[before:]


def of_rule(jobs: list[dict[str, str]], rule: str) -> list[dict[str, str]]:
    return [job for job in jobs if job["Comment"].startswith(rule)]


def test_every_job_ran_in_the_slurm_job_that_snakemake_submitted(toy) -> None:
    folder, jobs = toy
    known = {job["JobId"] for job in jobs}
    written = {path.read_text().strip() for kind in ("raw", "slides", "runs") for path in folder.glob(f"{kind}/*.txt")}
    assert written <= known
    assert len(written) >= 3
