"""Slides that are one: files of the same content under two names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import file_sha256
from stainscript.doctor.findings import Finding
from stainscript.plan.cohorts import Row

PROBE_BYTES = 2**16  # of each end of a file: what differs there need not be read whole
ROLES = {"image": "the same image", "patches": "the same patches", "counts": "the same counts"}


def copies(cohorts: Mapping[str, Mapping[str, Row]]) -> list[Finding]:
    """Slides that share an image, patches or counts: by size, then by both ends, then by the whole content."""
    findings, looked_at = [], 0
    for role, found in ROLES.items():
        files = [
            (row, Path(row.files[role]))
            for rows in cohorts.values()
            for row in rows.values()
            if role in row.files and not row.generated
        ]
        looked_at += len(files)
        for alike in _parted(_parted([files], key=_size), key=_ends):
            findings += [_finding(same, found) for same in _same_content(alike)]
    if findings or not cohorts:
        return findings
    drawn = sum(row.generated for rows in cohorts.values() for row in rows.values())
    found = f"none among {looked_at} images, patch files and counts" + (f"; {drawn} slides are drawn" if drawn else "")
    return [Finding(level="ok", subject="same files", found=found)]


def _finding(same: list[tuple[Row, Path]], found: str) -> Finding:
    """Missing where one dataset has the slide twice, so that it stands in train and in test; else a note."""
    rows = [row for row, _ in same]
    subject = ", ".join(f"{row.dataset} {row.slide}" for row in rows)
    if any(first.dataset == second.dataset for first, second in combinations(rows, 2)):
        last = rows[-1]
        remedy = (
            "one slide under two names leaks from train to test: put all but one on the dataset's exclude list, e.g. "
            f"datasets.{last.dataset}.exclude: {{{last.slide}: copy of {rows[0].slide}}}, or correct the files"
        )
        return Finding(level="missing", subject=subject, found=found, remedy=remedy)
    remedy = "never train on one of these datasets and test on the other with this slide in both"
    return Finding(level="note", subject=subject, found=found, remedy=remedy)


def _parted(groups: Iterable[list[Any]], *, key: Callable[[Any], Any]) -> list[list[Any]]:
    """Each group parted by ``key``; parts of one member are dropped."""
    found = []
    for group in groups:
        parts: dict[Any, list[Any]] = {}
        for item in group:
            parts.setdefault(key(item), []).append(item)
        found += [part for part in parts.values() if len(part) > 1]
    return found


def _size(item: tuple[Row, Path]) -> int:
    return item[1].stat().st_size


def _ends(item: tuple[Row, Path]) -> str:
    with item[1].open("rb") as handle:
        first = handle.read(PROBE_BYTES)
        handle.seek(max(0, _size(item) - PROBE_BYTES))
        return hashlib.sha256(first + handle.read(PROBE_BYTES)).hexdigest()


def _same_content(alike: list[tuple[Row, Path]]) -> list[list[tuple[Row, Path]]]:
    """Parts of equal content; one file that several slides name is not read."""
    files = {path.resolve() for _, path in alike}
    digests = {file: file_sha256(file) for file in files} if len(files) > 1 else dict.fromkeys(files, "")
    return _parted([alike], key=lambda item: digests[item[1].resolve()])
