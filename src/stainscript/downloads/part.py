"""The bytes of a download so far, on disk: begun, resumed, finished in one step, and errors of the disk in words."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from stainscript.artifacts.files import file_sha256
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 18
MOVE_ASIDE = "move that file away, or correct the manifest; nothing is overwritten"


@dataclass(frozen=True, kw_only=True)
class Received:
    """What is at the target now: bytes, SHA-256, and whether it had been there before."""

    size: int
    sha256: str
    kept: bool


class Part:
    """The bytes so far, and what they are the beginning of."""

    def __init__(self, target: Path, url: str) -> None:
        self.target, self.url = target, url
        self.path = target.with_name(f"{target.name}.part")
        self.sidecar = target.with_name(f"{target.name}.part.json")
        self.resumed = False

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self) -> str | None:
        """The kept ETag or date that makes a resume safe, or ``None``: then there is nothing to resume."""
        try:
            kept = json.loads(self.sidecar.read_text())
            return kept["validator"] if kept["url"] == self.url and self.size else None
        except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
            return None

    def begin(self, validator: str | None) -> None:
        """Start with no byte."""
        self.drop()
        self.sidecar.write_text(json.dumps({"url": self.url, "validator": validator}) + "\n")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)

    def hashed(self) -> hashlib._Hash:
        """SHA-256 of the bytes so far, open for more."""
        digest = hashlib.sha256()
        if self.path.exists():
            with self.path.open("rb") as handle:
                while block := handle.read(BLOCK_BYTES):
                    digest.update(block)
        return digest

    def append(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Write each block, unbuffered, and hand it on."""
        with self.path.open("ab", buffering=0) as handle:
            for block in blocks:
                view = memoryview(block)
                while view:  # an unbuffered write may be short
                    view = view[handle.write(view) :]
                yield block

    def finish(self) -> None:
        """Flush and rename; a file that has appeared at the target meanwhile stays."""
        with self.path.open("rb") as handle:
            os.fsync(handle.fileno())
        if self.target.exists():
            raise DataContractError(
                self.target, "download", expected="no such file", found="one that appeared meanwhile", remedy=MOVE_ASIDE
            )
        os.replace(self.path, self.target)
        self.sidecar.unlink(missing_ok=True)


def existing(target: Path, *, size: int | None, sha256: str) -> Received:
    found = Received(size=target.stat().st_size, sha256=file_sha256(target), kept=True)
    if size is not None and found.size != size:
        raise DataContractError(target, "bytes", expected=size, found=found.size, remedy=MOVE_ASIDE)
    if sha256 and found.sha256 != sha256:
        raise DataContractError(target, "SHA-256", expected=sha256, found=found.sha256, remedy=MOVE_ASIDE)
    logger.info("%s is there already, %s: kept", target, "as published" if sha256 else "no published hash to check")
    return found


def check_room(part: Part, total: int | None) -> None:
    missing = (total or 0) - part.size
    free = shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise DataContractError(
            part.target,
            "download",
            expected=f"room for {missing} bytes",
            found=f"{free} bytes free",
            remedy="free room or choose another root; what has arrived is kept",
        )


@contextlib.contextmanager
def friendly(target: Path) -> Iterator[None]:
    reasons = {
        errno.ENOSPC: ("room on the disk", "the disk is full", "free room and start again: the download resumes"),
        errno.EDQUOT: ("room in the quota", "the quota is used up", "free room and start again: the download resumes"),
        errno.EROFS: ("a writable folder", "a read-only file system", "choose a root that can be written"),
        errno.EACCES: (
            "a writable folder",
            "permission denied",
            "give yourself write permission on the dataset's root",
        ),
        errno.EISDIR: ("a file", "a folder in the place of the file", "move that folder away"),
        errno.ENOTDIR: ("a folder", "a file in the place of a folder", "choose another root"),
    }
    try:
        yield
    except requests.RequestException:  # is an OSError too
        raise
    except OSError as error:
        if error.errno not in reasons:
            raise
        expected, found, remedy = reasons[error.errno]
        raise DataContractError(target, "write", expected=expected, found=found, remedy=remedy) from error
