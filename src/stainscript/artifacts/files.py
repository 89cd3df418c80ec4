"""A file or folder appears complete or not at all: write beside it, flush, rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stainscript.errors import DataContractError


@contextlib.contextmanager
def complete_file(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success it is flushed and renamed to ``target``.

    A failure or a kill leaves ``target`` as it was. Leftovers of an earlier kill are removed first: one rule owns
    one file, so nobody else writes them. The suffix is kept, because some writers choose the format by it.
    """
    target = Path(target)
    _clear_leftovers(target)
    temporary = target.with_name(f".partial-{os.getpid()}-{target.name}")
    try:
        with friendly_os_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def complete_folder(target: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success it takes the place of ``target``."""
    target = Path(target)
    _clear_leftovers(target)
    temporary = target.with_name(f".partial-{os.getpid()}-{target.name}")
    try:
        with friendly_os_errors(target):
            temporary.mkdir(parents=True)
            yield temporary
            if target.exists():  # Snakemake may have made an empty one
                shutil.rmtree(target)
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_json(target: str | Path, value: object) -> None:
    """Write JSON completely or not at all; keys sorted, so that equal content is equal bytes."""
    with complete_file(target) as path:
        path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def write_parquet(target: str | Path, frame: Any) -> None:
    """Write a pandas frame as Parquet, completely or not at all; equal content gives equal bytes."""
    with complete_file(target) as path:
        frame.to_parquet(path, engine="pyarrow", index=False, compression="zstd")


def _clear_leftovers(target: Path) -> None:
    if not target.parent.is_dir():
        return
    for leftover in target.parent.glob(f".partial-*-{target.name}"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def friendly_os_errors(target: Path) -> Iterator[None]:
    """Turn a full disk, a full quota and an unwritable folder into one line that says what to do."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: ("room on the disk", "the disk is full", "free room or point the run at another disk"),
            errno.EDQUOT: ("room in the quota", "the quota is used up", "free room or ask for a larger quota"),
            errno.EROFS: ("a writable folder", "a read-only file system", "run where results/ can be written"),
            errno.EACCES: ("a writable folder", "permission denied", "give yourself write permission on results/"),
        }
        if error.errno not in reasons:
            raise
        expected, found, remedy = reasons[error.errno]
        raise DataContractError(target, "write", expected=expected, found=found, remedy=remedy) from error
