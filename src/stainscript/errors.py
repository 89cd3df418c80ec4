"""Errors that a user can act on: file, field, expected, found, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class StainscriptError(Exception):
    """Base of every error this package raises on purpose."""


class DataContractError(StainscriptError):
    """A file does not hold what its place in the workflow requires.

    The message is one line in a fixed order, so that it reads the same in a log, on a cluster and in a test.
    """

    def __init__(self, path: str | Path, field: str, *, expected: object, found: object, remedy: str) -> None:
        self.path, self.field = str(path), field
        self.expected, self.found, self.remedy = str(expected), str(found), remedy
        super().__init__(f"{path}: {field}: expected {expected}; found {found}. Remedy: {remedy}")

    def __reduce__(self) -> tuple:  # survives a process boundary, keyword arguments included
        return _rebuild, (self.path, self.field, self.expected, self.found, self.remedy)


def _rebuild(path: str, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)


def unknown_name(path: str | Path, field: str, name: str, known: Iterable[str]) -> DataContractError:
    """The error for a misspelt name; it lists the alternatives and, where one is near, guesses it."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "use one of the names listed"
    return DataContractError(path, field, expected=f"one of {', '.join(known)}", found=repr(name), remedy=remedy)
