"""The run to come in a few lines: jobs by rule from a dry run, hours and disk from the estimate."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stainscript.doctor.cost import CPU_TERAFLOPS, Cost
from stainscript.doctor.findings import Finding, size
from stainscript.errors import DataContractError
from stainscript.plan import paths

OUTPUT = re.compile(r"^    output: (.*)$", re.MULTILINE)
ANNOTATION = re.compile(r" \([^)]*\)")  # as in "thumbnail.jpg (update)"


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What Snakemake would do now: jobs by rule, and what they would write."""

    counts: dict[str, int]
    total: int
    outputs: frozenset[str]


def findings(run: DryRun, *, cost: Cost) -> list[Finding]:
    """Jobs, patches, hours and disk of the run to come."""
    listed = ", ".join(f"{count} {rule}" for rule, count in sorted(run.counts.items(), key=lambda item: -item[1]))
    total = Finding(level="ok", subject="jobs", found=f"{run.total} to run" + (f": {listed}" if listed else ""))
    return [total, fits(run.counts.get("fit", 0)), _patches(cost), _encoding(cost), _disk(cost)]


def dry_run(raw: Mapping[str, Any], *, snakefile: Path) -> DryRun:
    """Ask Snakemake what it would run now with the config ``raw``; nothing, where there is nothing to do.

    Raises ``DataContractError`` with Snakemake's last words where the dry run fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(json.loads(json.dumps(raw)), file)
        file.flush()
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--configfile", file.name]
        done = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines()]
        lines = [line for line in lines if line and not line.startswith("File ")]  # where in the Snakefile
        raise DataContractError(
            snakefile,
            "dry run",
            expected="a plan of the jobs",
            found=lines[-1] if lines else f"exit status {done.returncode}",
            remedy="see snakemake --dry-run",
        )
    return parsed(done.stdout + done.stderr)


def parsed(text: str) -> DryRun:
    """Read a dry run's output: the table ``Job stats:``, which is printed twice, and each job's outputs."""
    _, _, table = text.partition("Job stats:\n")
    cells = [line.split() for line in table.partition("\n\n")[0].splitlines()]
    counts = {line[0]: int(line[1]) for line in cells if len(line) == 2 and line[1].isdigit()}
    outputs = (name for line in OUTPUT.findall(text) for name in ANNOTATION.sub("", line).split(", "))
    return DryRun(total=counts.pop("total", 0), counts=counts, outputs=frozenset(outputs))


def fits(waiting: int) -> Finding:
    """Hours of the fits, from those that have run here: nothing else tells what a method takes."""
    seconds = [
        json.loads(line)["s"]
        for path in sorted(Path(paths.path("benchmarks", "fit")).glob("*.jsonl"))
        for line in path.read_text().splitlines()[-1:]
    ]
    if not waiting:
        return Finding(level="ok", subject="fits", found="none to run")
    if not seconds:
        return Finding(level="ok", subject="fits", found=f"{waiting} to run; their time is known once one has run here")
    hours = waiting * statistics.median(seconds) / 3600
    found = f"{waiting} to run, {_hours(hours)} hours one after another, at the median of the {len(seconds)} run here"
    return Finding(level="ok", subject="fits", found=found)


def _patches(cost: Cost) -> Finding:
    basis = "counted" if cost.ingested == cost.slides else "at most: full capture areas are assumed"
    basis += f"; {cost.ingested} of {cost.slides} slides are ingested"
    found = f"{cost.patches:,} to encode of {cost.patches_in_all:,} ({basis})"
    return Finding(level="ok", subject="patches", found=found)


def _encoding(cost: Cost) -> Finding:
    if not cost.networks:
        return Finding(level="ok", subject="encoding", found="0 GPU-hours: no encoder in use is a network")
    if not cost.gpu_hours:
        return Finding(level="ok", subject="encoding", found="0 GPU-hours: no network has patches left to encode")
    each = "; ".join(
        f"{network.name} {network.gigaflops:.3g} GFLOP a patch{' (assumed)' if network.assumed else ''} at "
        f"{network.teraflops:g} TFLOP/s"
        for network in cost.networks
    )
    found = (
        f"{_hours(cost.gpu_hours)} GPU-hours, or {_hours(cost.cpu_hours)} hours of one CPU core at {CPU_TERAFLOPS:g} "
        f"TFLOP/s; assumed is a GPU of the A100's class: {each}"
    )
    return Finding(level="ok", subject="encoding", found=found)


def _disk(cost: Cost) -> Finding:
    parts = [f"{size(cost.feature_bytes)} of features"]
    if cost.patch_bytes:
        parts.append(f"{size(cost.patch_bytes)} of patches (keep_patches) before compression")
    if cost.weight_bytes:
        parts.append(f"{size(cost.weight_bytes)} of weights from the hub")
    left_out = "not counted: expression, thumbnails, predictions, checkpoints, logs, and raw files drawn or downloaded"
    return Finding(level="ok", subject="disk", found=f"about {', '.join(parts)}; {left_out}")


def _hours(hours: float) -> str:
    if 0 < hours < 0.01:
        return "less than 0.01"
    return f"about {hours:,.0f}" if hours >= 10 else f"about {hours:.2g}"
