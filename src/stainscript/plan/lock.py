"""Before the first job: the folder can be written, and no other run is in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from stainscript.errors import DataContractError
from stainscript.plan.paths import RESULTS


def check_writable(folder: str | Path = RESULTS) -> None:
    """Make ``folder`` and write into it, so that a disk that refuses is named before any job."""
    folder = Path(folder)
    probe = folder / f".partial-{os.getpid()}-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
    except OSError as error:
        raise DataContractError(
            folder,
            "write",
            expected="a writable folder with room",
            found=(error.strerror or str(error)).lower(),
            remedy="free room, change its permissions, or use another folder with --directory",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def take_lock(folder: str | Path = ".") -> int:
    """Hold ``.snakemake/stainscript.lock`` until this process ends, however it ends.

    The kernel releases the lock when the process dies, so unlike Snakemake's own lock files (switched off in the
    profiles) it never needs ``--unlock``. Returns the file descriptor. Raises when another run holds the lock.
    """
    path = Path(folder) / ".snakemake" / "stainscript.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)  # not inherited: jobs cannot keep it alive
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 32).decode().strip() or "unknown"
        os.close(handle)
        raise DataContractError(
            path,
            "lock",
            expected="no other run in this folder",
            found=f"process {holder} is running",
            remedy="wait for it, end it, or use another folder with --directory",
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle
