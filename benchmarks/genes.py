"""`make bench`: reference statistics and tokens of a large simulated cohort: time a spot and peak memory at two sizes.

    python benchmarks/genes.py [spots …] [--statistics-only]

Sizes in spots, in slides of 10,000; by default 100,000 and 1,000,000, which needs 11 GB of free disk in the folder for
temporary files (TMPDIR) and some minutes. The smaller cohort is the beginning of the larger. Each measurement is a
process of its own, whose peak is what the operating system saw of it. Constant time a spot and memory that does not
follow the cohort are what reading by blocks is for.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import simulated_counts

from stainscript.stages.gene_statistics import gene_statistics

SIZES = (100_000, 1_000_000)
HVG = {"n": 5000, "flavours": ["seurat", "seurat_v3"], "space": "counts", "batches": "slide"}
BLOCK_SPOTS = 8192
BYTES_A_SPOT = 1.1 * 8 * simulated_counts.GENES * simulated_counts.DENSITY
TARGET_RATIO, TARGET_MB = 1.2, 6144
ROUNDS = 3


def main() -> None:
    sizes = sorted(int(text) for text in sys.argv[1:] if text.isdigit()) or list(SIZES)
    with tempfile.TemporaryDirectory() as name:
        _check_disk(Path(name), spots=sizes[-1])
        slides = [max(1, size // simulated_counts.SPOTS_A_SLIDE) for size in sizes]
        started = time.perf_counter()
        _child("write", name, slides[-1])
        spots, genes = slides[-1] * simulated_counts.SPOTS_A_SLIDE, simulated_counts.GENES
        print(f"\n{spots:,} spots × {genes:,} genes simulated in {time.perf_counter() - started:.0f} s")
        print(f"reference statistics and both HVG flavours, blocks of {BLOCK_SPOTS:,} spots, {os.cpu_count()} cores")
        _compare([_measure("statistics", name, number, slides[-1]) for number in slides])
        if "--statistics-only" not in sys.argv:
            found = [_measure("tokens", name, number, slides[-1]) for number in slides]
            for preset in found[0]["us"]:
                print(f"rank tokens, {preset}, read and ranked")
                _compare([{**part, "us": {"wall": part["us"][preset]}} for part in found])


def _measure(work: str, folder: str, slides: int, most: int) -> dict[str, Any]:
    """The smaller cohorts are measured a few times and the median taken, for the machine's noise is that of seconds."""
    rounds = [_child(work, folder, slides) for _ in range(1 if slides == most else ROUNDS)]
    us = {key: statistics.median(part["us"][key] for part in rounds) for key in rounds[0]["us"]}
    return {"spots": rounds[0]["spots"], "us": us, "peak_mb": max(part["peak_mb"] for part in rounds)}


def _compare(found: list[dict[str, Any]]) -> None:
    for part in found:
        times = ", ".join(f"{value:.1f} µs a spot ({key})" for key, value in part["us"].items())
        print(f"  {part['spots']:9,} spots   {times}   peak {part['peak_mb']:,.0f} MB")
    for key in found[0]["us"]:
        ratio, peak = found[-1]["us"][key] / found[0]["us"][key], max(part["peak_mb"] for part in found)
        reached = 1 / TARGET_RATIO <= ratio <= TARGET_RATIO and peak <= TARGET_MB
        print(
            f"  {key} a spot, largest over smallest: {ratio:.2f}; target within {TARGET_RATIO - 1:.0%} and "
            f"{TARGET_MB:,} MB: {'reached' if reached else 'MISSED'}"
        )


def _check_disk(folder: Path, *, spots: int) -> None:
    needed, free = spots * BYTES_A_SPOT, shutil.disk_usage(folder).free
    if free < 1.2 * needed:
        raise SystemExit(
            f"{folder}: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; set TMPDIR, or fewer spots"
        )


def _child(work: str, folder: str, slides: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", work, folder, str(slides)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def run(work: str, folder: Path, slides: int) -> dict[str, Any]:
    """One measurement: microseconds a spot, wall and processor (for tokens: of each preset), and the peak in MB."""
    if work == "write":
        written = len(simulated_counts.write_slides(folder, slides=slides))
        os.sync()  # or the disk would still be writing while the first measurement reads
        return {"slides": written}
    paths = sorted(folder.glob("S*.h5ad"))[:slides]
    spots = len(paths) * simulated_counts.SPOTS_A_SLIDE
    if work == "statistics":
        gene_statistics(**_arguments(paths[:1], folder, "warm"))  # imports, and the libraries' own first calls
        wall, processor = time.perf_counter(), time.process_time()
        gene_statistics(**_arguments(paths, folder, "statistics"))
        seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        us = {key: value / spots * 1e6 for key, value in seconds.items()}
    else:
        import tokenise

        found = tokenise.measure_tokenise(paths, folder / "statistics.parquet")
        us = {name: found[name]["reading_us"] + found[name]["ranking_us"] for name in tokenise.PRESETS}
    return {"spots": spots, "us": us, "peak_mb": _peak_mb()}


def _arguments(paths: list[Path], folder: Path, name: str) -> dict[str, Any]:
    files = {"out": folder / f"{name}.parquet", "qc": folder / f"{name}.json"}
    return {"expression": paths, "scheduler": None, "block_spots": BLOCK_SPOTS, "hvg": HVG, **files}


def _peak_mb() -> float:
    """The peak of this program; on Linux from /proc, because ``getrusage`` counts the parent's from before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(run(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main()
