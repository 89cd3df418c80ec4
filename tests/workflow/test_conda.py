"""``--use-conda``, with tests/standin in conda's place: creation, activation and the environment that a rule names.

What the stand-in cannot show is that the channels carry the pinned builds and that conda's solver accepts them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

STANDIN = Path(__file__).resolve().parents[1] / "standin"
RULES = {
    *("draw_phantom", "ingest_slide", "ingest_image", "check_slide", "extract_patches", "encode_slide"),
    *("make_split", "select_panel", "fit", "predict", "predict_control", "score", "tabulate", "write_report"),
    *("describe_genes", "embed_genes"),
}
GENES = {"datasets": ["phantom"], "protocols": ["hmhvg"], "descriptions": ["offline"], "text_encoders": ["tfidf"]}

TOY = """
rule all:
    input: "one.json", "two.json", "three.json"

rule first:
    output: "{name}.json"
    wildcard_constraints: name="one|two"
    conda: "array.yaml"
    script: "probe.py"

rule second:
    input: "one.json"
    output: "three.json"
    conda: "table.yaml"
    script: "probe.py"
"""
PROBE = """
import json, os, sys, importlib.util
found = {name: importlib.util.find_spec(name).origin for name in ("numpy", "json")}
record = {"python": sys.executable, "prefix": os.environ["CONDA_PREFIX"], "found": found}
with open(snakemake.output[0], "w") as file:
    json.dump(record, file)
"""


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-in and this interpreter first on PATH; returns the file that records calls and activations."""
    log = tmp_path / "conda.jsonl"
    log.touch()
    places = [STANDIN, Path(sys.executable).parent, os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, places)))
    monkeypatch.setenv("CONDA_STANDIN_LOG", str(log))
    return log


def records(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def created(log: Path) -> list[str]:
    """The prefixes of every ``conda env create``."""
    calls = [record["call"] for record in records(log) if "call" in record]
    return [call[call.index("--prefix") + 1] for call in calls if call[:2] == ["env", "create"]]


def activated(log: Path) -> list[str]:
    return [record["activate"] for record in records(log) if "activate" in record]


def environment(*dependencies: str) -> str:
    lines = ["channels:", "  - conda-forge", "dependencies:", *(f"  - {spec}" for spec in dependencies)]
    return "\n".join(lines) + "\n"


def pinned(name: str) -> str:
    return f"{name}=={metadata.version(name)}"


def create(folder: Path, *dependencies: str) -> subprocess.CompletedProcess[str]:
    """Ask the stand-in for an environment as Snakemake does."""
    (folder / "env.yaml").write_text(environment(*dependencies))
    command = ["conda", "env", "create", "--quiet", "--no-default-packages"]
    command += ["--file", str(folder / "env.yaml"), "--prefix", str(folder / "env")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# the stand-in itself


def test_a_wrong_pin_is_refused_with_package_wanted_and_found(conda: Path, tmp_path: Path) -> None:
    refused = create(tmp_path, "numpy==0.0.1", pinned("scipy"))
    assert refused.returncode == 1
    assert f"numpy: wanted 0.0.1, found {metadata.version('numpy')}" in refused.stderr
    assert "scipy" not in refused.stderr
    assert not (tmp_path / "env").exists()


def test_a_missing_package_is_refused(conda: Path, tmp_path: Path) -> None:
    refused = create(tmp_path, "no-such-package==1.0")
    assert refused.returncode == 1
    assert "no-such-package: wanted 1.0, found nothing" in refused.stderr


@pytest.mark.parametrize("loose", ["numpy", "numpy>=2", "numpy=2.4", "python>=3.99,<4.0"])
def test_a_loose_pin_or_another_python_is_refused(conda: Path, tmp_path: Path, loose: str) -> None:
    assert create(tmp_path, loose).returncode == 1


def test_a_pip_section_is_refused(conda: Path, tmp_path: Path) -> None:
    refused = create(tmp_path, "pip:\n    - numpy==2.0")
    assert refused.returncode == 1
    assert "expected a list of channels or of dependencies" in refused.stderr


def test_an_environment_holds_its_pins_and_what_they_require_only(conda: Path, tmp_path: Path) -> None:
    assert create(tmp_path, "python>=3.11,<3.99", pinned("pandas")).returncode == 0
    python = str(tmp_path / "env/bin/python")
    subprocess.run([python, "-c", "import pandas, numpy, dateutil"], check=True)
    for absent in ("torch", "stainscript", "pip"):
        found = subprocess.run([python, "-E", "-c", f"import {absent}"], capture_output=True, text=True, check=False)
        assert f"No module named '{absent}'" in found.stderr


def test_a_question_that_it_does_not_know_is_an_error(conda: Path) -> None:
    asked = subprocess.run(["conda", "install", "numpy"], capture_output=True, text=True, check=False)
    assert asked.returncode == 2
    assert "no answer to: conda install numpy" in asked.stderr


# Snakemake with it


@pytest.fixture
def toy(tmp_path: Path):
    """A workflow of three jobs in two environments; a function that runs it."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "Snakefile").write_text(TOY)
    (folder / "probe.py").write_text(PROBE)
    (folder / "array.yaml").write_text(environment(pinned("numpy")))
    (folder / "table.yaml").write_text(environment(pinned("pandas")))

    def run(*arguments: str, check: bool = True) -> str:
        command = [str(Path(sys.executable).with_name("snakemake")), "--cores", "2", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == check, done.stdout + done.stderr
        return done.stdout + done.stderr

    return folder, run


def test_each_job_runs_in_the_environment_that_its_rule_names(conda: Path, toy) -> None:
    folder, run = toy
    run("--use-conda")
    assert len(created(conda)) == len(set(created(conda))) == 2
    jobs = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("one", "two", "three")}
    assert jobs["one"]["prefix"] == jobs["two"]["prefix"] != jobs["three"]["prefix"]
    assert {job["prefix"] for job in jobs.values()} == set(activated(conda)) == set(created(conda))
    for job in jobs.values():
        assert job["python"] == f"{job['prefix']}/bin/python"
        assert job["found"]["numpy"].startswith(job["prefix"])
        assert not job["found"]["json"].startswith(job["prefix"])


def test_an_environment_is_made_once(conda: Path, toy) -> None:
    folder, run = toy
    run("--use-conda")
    (folder / "three.json").unlink()
    run("--use-conda")
    assert len(created(conda)) == 2


def test_a_wrong_pin_stops_the_run_before_any_job(conda: Path, toy) -> None:
    folder, run = toy
    (folder / "table.yaml").write_text(environment("pandas==0.0.1"))
    message = run("--use-conda", check=False)
    assert f"pandas: wanted 0.0.1, found {metadata.version('pandas')}" in message
    assert not list(folder.glob("*.json"))


# the workflow with it


@pytest.fixture
def small(fresh, tmp_path: Path):
    """A fresh folder in which every environment has jobs, but only two methods are compared."""
    made = fresh(tmp_path / "run")
    made.compare_only("oracle", "ridge", unmeasured=True)
    made.configure(lambda c: c.update(keep_patches=True, genes=[GENES]))
    return made


def test_every_rule_runs_in_its_environment_and_the_flag_reruns_nothing(conda: Path, small, phantom_run) -> None:
    planned = small.counts()
    small.snakemake("--use-conda")
    assert set(planned) == RULES
    assert len(created(conda)) == len(set(created(conda))) == 6  # ingest, encode, genes, text, train, report
    assert set(activated(conda)) == set(created(conda))
    assert len(activated(conda)) >= planned.total()
    made, local = parquet(small), parquet(phantom_run)
    assert len(made) == 2 * 3 * 3  # methods × folds × (slides, genes, maps)
    assert [name for name, body in made.items() if local[name] != body] == []
    for flag in ((), ("--use-conda",), ()):
        assert small.plan(*flag) == []
    assert len(created(conda)) == 6


def test_the_flag_reruns_nothing_of_a_run_without_it(conda: Path, phantom_run) -> None:
    assert phantom_run.plan("--use-conda") == []


def parquet(space) -> dict[str, bytes]:
    return {name: body for name, body in space.metrics().items() if name.endswith(".parquet")}
