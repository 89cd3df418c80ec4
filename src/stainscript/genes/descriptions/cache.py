"""What has been fetched or paid for: one JSON object a line, appended and flushed to the disk answer by answer.

A kill loses at most the answers in flight; the line it tore is cut off when the file is next written. Appends of
several processes take turns by a lock on the file. Two runs that would ask the same (same species, source, model,
prompt …) take turns altogether, by ``Cache.turn``: the second then finds the first one's answers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from stainscript.artifacts.files import friendly_os_errors
from stainscript.errors import DataContractError
from stainscript.types import canonical_json

logger = logging.getLogger(__name__)

Row = dict[str, str]
Key = Mapping[str, str]


class Cache:
    """The rows of one file by their keys; the last row of a key holds.

    A row is a flat object of texts: the key's fields, and what was answered. Raises ``DataContractError`` for a file
    that is something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._lines = 0
        self._read_to = 0  # bytes

    def find(self, keys: Mapping[str, Key]) -> dict[str, Row]:
        """name → row for each name whose key is in the file. All keys must have the same fields."""
        self._refresh()
        if not keys:
            return {}
        fields = sorted(next(iter(keys.values())))
        wanted = {tuple(key[field] for field in fields): name for name, key in keys.items()}
        found: dict[str, Row] = {}
        for row in self._rows:
            name = wanted.get(tuple(row.get(field) for field in fields))
            if name is not None:
                found[name] = row
        return {name: found[name] for name in keys if name in found}

    def add(self, key: Key, answer: Mapping[str, str]) -> None:
        """Append one row and return when it is on the disk. May be called by several threads and processes."""
        line = (json.dumps({**key, **answer}, ensure_ascii=False) + "\n").encode()
        with self._lock, friendly_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b", buffering=0) as handle:
                _lock(self.path, handle, fcntl.LOCK_EX)
                _mend(handle.fileno())
                if os.write(handle.fileno(), line) < len(line):
                    raise OSError(errno.ENOSPC, "short write")  # the piece is cut off by the next write
                os.fsync(handle.fileno())

    @contextlib.contextmanager
    def turn(self, series: Key) -> Iterator[None]:
        """Wait until no other run asks for the same series (the fields that its keys share); others wait meanwhile."""
        digest = hashlib.sha256(canonical_json(dict(series)).encode()).hexdigest()[:16]
        with friendly_os_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = self.path.with_name(f".{self.path.name}.{digest}.lock").open("a")
        with handle:
            try:
                _lock(self.path, handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("%s: another run asks for the same descriptions; waiting for its answers", self.path)
                _lock(self.path, handle, fcntl.LOCK_EX)
            yield

    def _refresh(self) -> None:
        """Read what this or another process has appended since the last look."""
        with self._lock:
            if not self.path.exists():
                return
            with self.path.open("rb") as handle:
                _lock(self.path, handle, fcntl.LOCK_SH)
                handle.seek(self._read_to)
                new = handle.read()
            end = new.rfind(b"\n") + 1
            whole = new if _parsed(new[end:]) is not None else new[:end]  # a torn line waits for the next write
            self._read_to += len(whole)
            for line in whole.split(b"\n"):
                self._lines += 1
                if line.strip():
                    self._rows.append(_row(self.path, self._lines, line))
            self._lines -= 1


def _lock(path: Path, handle: IO[Any], how: int) -> None:
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        raise DataContractError(
            path,
            "lock",
            expected="a file system with file locks",
            found="one without, as some shared ones are mounted",
            remedy="keep the cache on another disk",
        ) from error


def _mend(descriptor: int) -> None:
    """Cut off a last line that a kill left without its end; one that lacks the line feed alone is given it."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        block = os.pread(descriptor, end - start, start)
        if (last := block.rfind(b"\n")) >= 0:
            end = start + last + 1
            break
        end = start
    if end < size and _parsed(os.pread(descriptor, size - end, end)) is not None:
        os.write(descriptor, b"\n")
    elif end < size:
        logger.warning("the last line of the cache was torn by an interruption: %d bytes removed", size - end)
        os.ftruncate(descriptor, end)


def _row(path: Path, number: int, line: bytes) -> Row:
    row = _parsed(line)
    if row is None:
        raise DataContractError(
            path,
            f"line {number}",
            expected="a JSON object of texts",
            found="something else",
            remedy="remove the line; its gene alone is asked for again",
        )
    return row


def _parsed(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and all(isinstance(value, str) for value in row.values()) else None
