"""A run that is killed at any moment goes on with the same command and ends with the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from stainscript.artifacts.stores import open_store

pytestmark = pytest.mark.workflow

KINDS = {"patches/*/*/*": "patches", "features/*/*/*/*": "features", "predictions/*/*/*/*": "predictions"}


@pytest.fixture
def space(fresh, tmp_path: Path):
    """Makes fresh folders with few jobs, but all kinds of them: three methods, one of which trains."""

    def make(name: str):
        made = fresh(tmp_path / name)
        made.compare_only("mean", "ridge", "mlp")
        made.configure(lambda c: c["methods"]["mlp"].update(options={"epochs": 4, "patience": 4}))
        return made

    return make


def test_ten_kills_leave_the_metrics_of_an_uninterrupted_run(space) -> None:
    """Killed after a random number of further jobs and a random moment more, whatever the machine's speed."""
    whole = space("whole")
    whole.snakemake()

    broken = space("broken")
    moments = random.Random(0)
    for _ in range(10):
        goal = finished_jobs(broken.folder) + moments.randint(1, 4)
        process = subprocess.Popen(
            broken.command(),
            cwd=broken.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(lambda goal=goal: finished_jobs(broken.folder) >= goal, limit_s=180)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=moments.uniform(0, 0.7))
        finally:
            kill_group(process)
        assert_stores_complete(broken.folder / "results")
    broken.snakemake()
    assert broken.metrics().keys() == whole.metrics().keys()
    assert [name for name, found in broken.metrics().items() if found != whole.metrics()[name]] == []
    assert list((broken.folder / "results").rglob("*.partial-*")) == []


def finished_jobs(folder: Path) -> int:
    """Jobs that ever finished here: each leaves its resource record."""
    return len(list((folder / "results/benchmarks").glob("*/*.jsonl")))


def test_a_second_run_in_the_same_folder_is_refused(space) -> None:
    first = space("locked")
    process = subprocess.Popen(
        first.command(), cwd=first.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        lock = first.folder / ".snakemake/stainscript.lock"
        wait_for(lambda: lock.is_file() and lock.read_text() == str(process.pid))
        refused = first.snakemake(check=False)
        assert first.counts()["tabulate"] == 1  # a dry run may look on
    finally:
        kill_group(process)
    assert refused.returncode != 0
    assert "expected no other run in this folder" in refused.stdout + refused.stderr
    assert first.counts()["tabulate"] == 1  # the lock died with its process


def kill_group(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition, limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def assert_stores_complete(results: Path) -> None:
    for pattern, kind in KINDS.items():
        for folder in results.glob(pattern):
            if not folder.name.startswith(".partial-"):
                store = open_store(folder, kind)
                for name in store.manifest["arrays"]:
                    _ = store[name]  # compares the digest
