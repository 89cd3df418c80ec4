"""What a fit is told about where it runs; free of torch, so that closed-form methods start fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Device, precision, seed and resume of one fit.

    ``resume_path`` lies outside the declared outputs, at a name that holds the digest of everything the fit
    depends on, so a stale file cannot be picked up; the stage removes it once the outputs are in place.
    """

    name: str  # experiment/fold/seed, for log lines
    seed: int
    accelerator: str = "auto"  # auto, cpu, gpu
    devices: int = 1
    device_ids: tuple[int, ...] | None = None  # which of the visible GPUs, where a lock chose them
    precision: str = "32-true"
    threads: int = 1
    save_every_s: float = 120.0
    resume_path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """What a fit leaves beside its state: history rows for ``history.csv`` and facts for ``run.json``."""

    history: list[dict[str, float]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
