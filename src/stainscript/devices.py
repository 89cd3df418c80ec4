"""One GPU, one job: locks on device files that the kernel lets go when a process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.5  # between two looks at the locks while all devices are taken


def visible_gpus() -> list[str]:
    """Names of the GPUs this process may use, in the order in which CUDA numbers them; empty without a driver.

    Entries of ``CUDA_VISIBLE_DEVICES`` where it is set (SLURM sets it), else the numbers from 0.
    """
    import torch

    usable = torch.cuda.device_count()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(number) for number in range(usable)]
    names = [name.strip() for name in chosen.split(",")]
    return [name for name in names if name and name != "-1"][:usable]


@contextlib.contextmanager
def hold_gpus(*, accelerator: str, count: int, folder: str | Path | None = None) -> Iterator[tuple[int, ...] | None]:
    """Hold ``count`` GPUs that no other job holds, and yield their places among the visible ones.

    accelerator: ``cpu`` holds nothing and yields ``None``; so does ``auto`` on a machine without GPUs. ``gpu`` raises
    ``DataContractError`` where there are fewer than ``count``. folder: where the lock files are, the system's temporary
    folder by default; all jobs of a machine must use one folder. Under SLURM the locks are those of the job's own
    allocation, because the scheduler has already parted the machine's GPUs and may number them from 0 in each job.
    """
    gpus = [] if accelerator == "cpu" else visible_gpus()
    if accelerator == "cpu" or (accelerator == "auto" and not gpus):
        yield None
        return
    if len(gpus) < count:
        raise DataContractError(
            "config.yaml",
            "hardware.devices",
            expected=f"at most the {len(gpus)} visible GPUs",
            found=count,
            remedy="lower hardware.devices, set hardware.accelerator: cpu, or check CUDA_VISIBLE_DEVICES",
        )
    with hold(gpus, count=count, folder=folder) as places:
        logger.info("using GPU %s", ", ".join(gpus[place] for place in places))
        yield places


@contextlib.contextmanager
def hold(devices: Sequence[str], *, count: int = 1, folder: str | Path | None = None) -> Iterator[tuple[int, ...]]:
    """Hold ``count`` of ``devices`` by ``flock``, waiting until so many are free; yields their positions.

    Jobs that want several at once never wait while holding some, so they cannot block each other.
    """
    folder = Path(folder if folder is not None else tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        held = _try_hold(devices, count, folder)
        if held is not None:
            break
        if not waiting:
            logger.info("all %d GPUs are taken; waiting", len(devices))
            waiting = True
        time.sleep(WAIT_SECONDS)
    try:
        yield tuple(sorted(held))
    finally:
        for handle in held.values():
            os.close(handle)


def _try_hold(devices: Sequence[str], count: int, folder: Path) -> dict[int, int] | None:
    held: dict[int, int] = {}
    for place, device in enumerate(devices):
        handle = _open(folder / f"stainscript-gpu-{os.environ.get('SLURM_JOB_ID', 'local')}-{_safe(device)}.lock")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held[place] = handle
        except BlockingIOError:
            os.close(handle)
        if len(held) == count:
            return held
    for handle in held.values():
        os.close(handle)
    return None


def _open(path: Path) -> int:
    """Opened for reading only: enough for a lock, and another user's file in a shared folder allows no more."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


def _safe(device: str) -> str:
    return "".join(c if c.isalnum() or c == "-" else "_" for c in device)
