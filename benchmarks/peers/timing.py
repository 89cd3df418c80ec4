"""What the contenders share: each is a process of its own that does its work once for every line it is sent.

Contenders run in turns, so that what else the machine does falls on all of them alike. The scripts of the peers run in
the peers' own environment, where Stainscript is not installed; this file needs NumPy alone.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIDE_PX = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, in every contender


def arguments() -> tuple[Path, np.ndarray, str, int, list[str]]:
    """Slide, centres (S, 2) of the crops in level-0 pixels, what to do, workers, and the script's own words."""
    slide, spots, what, workers, *own = sys.argv[1:]
    return Path(slide), np.load(spots), what, int(workers), own


def serve(work: Callable[[], np.ndarray], *, name: str, settings: str) -> None:
    """Say who is there; then run ``work`` for every line of the standard input and print what it took as JSON.

    work: returns what it made, (S, ...) in spot order; only ``work`` is timed.
    """
    _say({"name": name, "settings": settings})
    made = None
    for _ in sys.stdin:
        used, started = cpu_seconds(), time.perf_counter()
        result = work()
        taken = {"seconds": time.perf_counter() - started, "cpu": cpu_seconds() - used}
        made = made or summary(result)
        _say({**taken, "made": made})


def cpu_seconds() -> float:
    """What this process and its ended children have computed: tells work from waiting on a busy machine."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def summary(result: np.ndarray) -> dict[str, Any]:
    """Shape, mean of the first three numbers of each spot, and of images the digest: to see that all made the same."""
    first = result.reshape(len(result), -1)[:, :3].astype(np.float64)
    digest = hashlib.sha256(result).hexdigest() if result.dtype == np.uint8 else None
    return {"shape": list(result.shape), "mean": float(first.mean()), "sha256": digest}


def memory(count: int) -> np.ndarray:
    """Room for all patches, (S, 224, 224, 3) uint8, touched: the first write of a page costs as much as copying it."""
    return np.full((count, SIDE_PX, SIDE_PX, 3), 255, np.uint8)


def collect(batches: Any, *, into: np.ndarray) -> np.ndarray:
    """All batches of images, in order, into the array."""
    start = 0
    for batch in batches:
        into[start : start + len(batch)] = batch
        start += len(batch)
    return into[:start]


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
