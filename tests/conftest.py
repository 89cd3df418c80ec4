"""Fixtures that every test may use: the repository, the real inputs, the parity cases."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def absent(reason: str) -> None:
    """Skip on a user's machine; fail in CI, where everything that the tests need is promised."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs beside the repository."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        absent("no real inputs at ../shared/data")
    return path


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """The folder of parity cases beside the repository."""
    path = REPOSITORY.parent / "shared" / "golden"
    if not path.is_dir():
        absent("no parity cases at ../shared/golden")
    return path


@pytest.fixture(scope="session")
def require_tool():
    """A function that returns a program's path, or skips (fails in CI) with the reason."""

    def require(name: str) -> str:
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if found is None:
            absent(f"{name} is not installed")
        return str(found)

    return require
