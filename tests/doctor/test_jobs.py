"""The lines about the run to come."""

from __future__ import annotations

from pathlib import Path

import pytest

from stainscript.doctor import jobs
from stainscript.doctor.cost import Cost, Network
from stainscript.errors import DataContractError

STATS = "Building DAG of jobs...\nJob stats:\njob       count\n------  -------\nfit           3\nall           1\n"
STATS += "total         4\n"
PLAIN = {"patches": 10, "patches_in_all": 40, "slides": 2, "ingested": 1, "gpu_hours": 0.0, "cpu_hours": 0.0}
PLAIN |= {"feature_bytes": 2e9, "patch_bytes": 0.0, "weight_bytes": 0.0, "networks": ()}


def test_the_table_that_snakemake_prints_twice_is_read_once():
    found = jobs.parsed(f"{STATS}\n{STATS}\nReasons:\n    fit 7\n")
    assert (found.counts, found.total, found.outputs) == ({"fit": 3, "all": 1}, 4, frozenset())
    assert jobs.parsed("Nothing to be done.\n").total == 0


def test_outputs_are_read_without_what_snakemake_adds():
    text = "rule a:\n    input: x\n    output: results/a (update), results/b\n\nrule c:\n    output: results/c\n"
    assert jobs.parsed(text).outputs == {"results/a", "results/b", "results/c"}


def test_a_dry_run_that_fails_says_why(tmp_path):
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text("raise ValueError('no plan for ' + config['name'])\n")
    with pytest.raises(DataContractError, match="no plan for two words"):
        jobs.dry_run({"name": "two words"}, snakefile=snakefile)


def test_jobs_are_counted_by_rule_with_the_config_given(tmp_path):
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(
        "rule all:\n    input: expand('{n}.txt', n=range(config['n']))\n\n\n"
        "rule one:\n    output: '{n}.txt'\n    shell: 'touch {output}'\n"
    )
    found = jobs.dry_run({"n": 2}, snakefile=snakefile)
    assert (found.counts, found.total, found.outputs) == ({"one": 2, "all": 1}, 3, {"0.txt", "1.txt"})
    for n in range(2):
        Path(f"{n}.txt").touch()
    assert jobs.dry_run({"n": 2}, snakefile=snakefile).total == 0


def test_the_time_of_fits_is_the_median_of_those_that_ran_here():
    assert jobs.fits(4).found == "4 to run; their time is known once one has run here"
    folder = Path("results/benchmarks/fit")
    folder.mkdir(parents=True)
    for n, seconds in enumerate((900, 3600, 7200)):
        (folder / f"e{n}.fold0.seed0.jsonl").write_text(f'{{"s": 1.0}}\n{{"s": {seconds}}}\n')  # the last run counts
    assert jobs.fits(4).found == "4 to run, about 4 hours one after another, at the median of the 3 run here"
    assert jobs.fits(0).found == "none to run"


@pytest.fixture
def lines():
    run = jobs.DryRun(counts={"fit": 1, "score": 2}, total=3, outputs=frozenset())

    def make(**changes: object) -> dict[str, str]:
        return {finding.subject: finding.found for finding in jobs.findings(run, cost=Cost(**PLAIN | changes))}

    return make


def test_what_is_counted_and_what_is_assumed_is_said(lines):
    text = lines()
    assert text["jobs"] == "3 to run: 2 score, 1 fit"
    assert text["patches"] == "10 to encode of 40 (at most: full capture areas are assumed; 1 of 2 slides are ingested)"
    assert lines(ingested=2)["patches"] == "10 to encode of 40 (counted; 2 of 2 slides are ingested)"
    assert text["encoding"] == "0 GPU-hours: no encoder in use is a network"
    idle = (Network(name="uni", gigaflops=123.1, teraflops=120.0, assumed=False),)
    assert lines(networks=idle)["encoding"] == "0 GPU-hours: no network has patches left to encode"
    assert text["disk"].startswith("about 2 GB of features; not counted: expression")


def test_rates_and_operations_stand_beside_the_hours(lines):
    networks = (
        Network(name="uni", gigaflops=123.1, teraflops=120.0, assumed=False),
        Network(name="own", gigaflops=8.0, teraflops=15.0, assumed=True),
    )
    text = lines(networks=networks, gpu_hours=1.25, cpu_hours=3000.0, patch_bytes=5e12, weight_bytes=1.2e9)
    assert text["encoding"] == (
        "about 1.2 GPU-hours, or about 3,000 hours of one CPU core at 0.05 TFLOP/s; assumed is a GPU of the A100's "
        "class: uni 123 GFLOP a patch at 120 TFLOP/s; own 8 GFLOP a patch (assumed) at 15 TFLOP/s"
    )
    assert "5 TB of patches (keep_patches) before compression, 1.2 GB of weights from the hub" in text["disk"]
