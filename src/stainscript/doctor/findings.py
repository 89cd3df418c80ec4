"""What the doctor says: one line a check, with the remedy where something is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stainscript.errors import DataContractError, StainscriptError

Level = Literal["ok", "note", "missing"]
MARKS: dict[Level, str] = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}
SHOWN = 5  # names listed before the rest is counted


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's outcome. ``missing`` stops a run or spoils its results; ``note`` is worth knowing before one."""

    level: Level
    subject: str  # what was looked at
    found: str
    remedy: str = ""


Chapters = list[tuple[str, list[Finding]]]


def from_error(error: StainscriptError, *, subject: str) -> Finding:
    """What would stop the run, as something missing: its remedy on a line of its own."""
    if not isinstance(error, DataContractError):
        return Finding(level="missing", subject=subject, found=str(error))
    found = f"{error.path}: {error.field}: expected {error.expected}; found {error.found}"
    return Finding(level="missing", subject=subject, found=found, remedy=error.remedy)


def few(names: Sequence[str], *, shown: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """``1 slide``, ``4 slides``."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def size(n_bytes: float) -> str:
    """Bytes as a person reads them: ``3.1 GB``, decimal units."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"


def missing_in(chapters: Chapters) -> list[Finding]:
    """Everything that is missing."""
    return [finding for _, findings in chapters for finding in findings if finding.level == "missing"]


def as_text(chapters: Iterable[tuple[str, list[Finding]]]) -> str:
    """The whole examination as plain text, chapter by chapter, with a last line that counts."""
    lines: list[str] = []
    counts = dict.fromkeys(MARKS, 0)
    for title, findings in chapters:
        lines += ["", title]
        for finding in findings:
            counts[finding.level] += 1
            lines.append(f"  {MARKS[finding.level]} {finding.subject}: {finding.found}")
            if finding.remedy:
                lines.append(f"          -> {finding.remedy}")
    lines += ["", f"{counts['missing']} missing, {counted(counts['note'], 'note')}, {counts['ok']} ok"]
    return "\n".join(lines[1:]) + "\n"
