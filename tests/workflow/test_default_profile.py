"""profiles/default: `--cores all` never starts two GPU jobs on one card."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

TOY = """
rule all:
    input: "0.txt", "1.txt"

rule on_gpu:
    output: "{n}.txt"
    resources: gpu=1
    shell: "python meet.py {output}"
"""
# Each job watches for the other for longer than two starts can lie apart, and writes down how many it saw at once.
MEET = """
import os, sys, time
mine = f"running-{os.getpid()}"
open(mine, "w").close()
end, most = time.monotonic() + 3, 1
while time.monotonic() < end and most < 2:
    most = max(most, sum(name.startswith("running-") for name in os.listdir(".")))
    time.sleep(0.02)
time.sleep(0.5)
os.remove(mine)
open(sys.argv[1], "w").write(str(most))
"""


@pytest.mark.parametrize(("arguments", "at_once"), [((), 1), (("--resources", "gpu=2"), 2)])
def test_as_many_gpu_jobs_run_at_once_as_there_are_cards(
    arguments: tuple[str, ...], at_once: int, tmp_path: Path, repository: Path
) -> None:
    (tmp_path / "Snakefile").write_text(TOY.replace("python ", f"{sys.executable} "))
    (tmp_path / "meet.py").write_text(MEET)
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    profile = ["--workflow-profile", str(repository / "profiles/default"), "--cores", "2"]
    subprocess.run([snakemake, *profile, *arguments], cwd=tmp_path, check=True, capture_output=True)
    assert max(int((tmp_path / f"{n}.txt").read_text()) for n in range(2)) == at_once
