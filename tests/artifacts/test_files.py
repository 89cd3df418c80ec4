"""A write that fails leaves what was there, and says why."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from stainscript.artifacts import files
from stainscript.errors import DataContractError


def test_a_failure_leaves_the_old_file_and_no_leftover(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"n": 1})

    def fail() -> None:
        with files.complete_file(target) as path:
            path.write_text("half")
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        fail()
    assert json.loads(target.read_text()) == {"n": 1}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "a read-only file system"), (errno.EACCES, "permission denied")],
)
def test_a_disk_that_refuses_is_explained(code: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match=words), files.complete_file(tmp_path / "a.bin"):
        raise OSError(code, os.strerror(code))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_really_full_disk_is_explained(tmp_path: Path) -> None:
    def fill() -> None:
        with files.complete_file(tmp_path / "a.bin"), Path("/dev/full").open("w") as handle:
            handle.write("x" * 10_000)

    with pytest.raises(DataContractError, match="the disk is full"):
        fill()
