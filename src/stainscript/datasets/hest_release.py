"""What HEST-1k says of its slides: the release table and a JSON file each. Not a layout: it defines no ``files``."""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError, unknown_name

PIXEL_SIZE = "pixel_size_um_estimated"
TABLE_COLUMNS = ("id", "dataset_title", "organ", "disease_state", "oncotree_code", "patient", "st_technology")
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
AGAIN = "download the file again"


def read_metadata(path: str | Path) -> dict[str, Any]:
    """A slide's metadata; Python's literals ``NaN`` and ``Infinity``, which the release contains, become ``None``."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except FileNotFoundError as error:
        raise _error(path, "metadata", "a JSON file", "no such file", "copy the release's folder metadata/") from error
    except (OSError, ValueError) as error:
        raise _error(path, "metadata", "a JSON object", error, AGAIN) from error
    if not isinstance(content, dict):
        raise _error(path, "metadata", "a JSON object", type(content).__name__, AGAIN)
    return content


def pixel_size(metadata: Mapping[str, Any], *, path: str | Path) -> float:
    """µm per level-0 pixel. The image's own tags are never asked: HEST's writer makes them ten times too small."""
    value = metadata.get(PIXEL_SIZE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100:
        found = "no such key" if PIXEL_SIZE not in metadata else repr(value)
        remedy = "download the slide's metadata again: the TIFF's own resolution is wrong and not used"
        raise _error(path, PIXEL_SIZE, "µm per pixel, a number above 0 and below 100", found, remedy)
    return float(value)


def read_release(path: str | Path) -> list[dict[str, str]]:
    """Rows of the release table (``HEST_v1_1_0.csv``, UTF-8 with or without byte-order mark), cells as text."""
    path = Path(path)
    if not path.is_file():
        raise _error(path, "release table", "a CSV file", "no such file", "download HEST_v1_1_0.csv")
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = [dict(row) for row in csv.DictReader(handle, strict=True)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise _error(path, "release table", "a complete CSV table", error, AGAIN) from error
    absent = [name for name in TABLE_COLUMNS if rows and name not in rows[0]]
    if not rows or absent:
        found = f"no column {absent[0]}" if absent else "no row"
        raise _error(path, "columns", ", ".join(TABLE_COLUMNS), found, AGAIN)
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values() or not row["id"]:
            raise _error(path, f"row {number}", f"{len(rows[0])} cells and an id", "another number, or no id", AGAIN)
    twice = [name for name, count in Counter(row["id"] for row in rows).items() if count > 1]
    if twice:
        raise _error(path, "id", "every slide once", f"{twice[0]!r} more than once", AGAIN)
    return rows


def sheet_from_release(csv: str | Path, *, where: Callable[[Mapping[str, str]], bool]) -> list[dict[str, str]]:
    """Rows of a sheet of layout ``hest`` for the slides of the release table ``csv`` that ``where(row)`` chooses.

    Slide and HEST id are the table's id. Patients are numbered anew in each publication, so the name here joins the
    two; without a patient, all slides of one publication count as one donor, as in HEST's own splits: folds then keep
    together what may be several donors, and never the reverse. Raises ``DataContractError`` when none is chosen.
    """
    chosen = [row for row in read_release(csv) if where(row)]
    if not chosen:
        raise _error(csv, "rows", "at least one slide that meets the condition", "none", "correct the condition")
    return [
        {
            "slide": row["id"],
            "patient": f"{_name(row['patient']) or 'patient-1'}-of-{_short(row['dataset_title'])}",
            "layout": "hest",
            "platform": row["st_technology"],
            "condition": row["oncotree_code"] or row["disease_state"],
            "hest_id": row["id"],
            "note": " ".join(f"{row['organ']}; {row['dataset_title']}".split()),
        }
        for row in chosen
    ]


def write_sheet(release: str | Path, *, where: str, out: str | Path) -> None:
    """Write the sheet of the release table's slides that meet ``where``: ``column=value`` parts joined by commas.

    Raises ``DataContractError`` for a column that the table does not have and when no slide is chosen.
    """
    wanted = dict(part.split("=", 1) for part in where.split(",") if "=" in part)
    known = read_release(release)[0]
    for column in wanted:
        if column not in known:
            raise unknown_name(release, "columns", column, known)
    rows = sheet_from_release(release, where=lambda row: all(row[name] == value for name, value in wanted.items()))
    with complete_file(out) as path, path.open("w", newline="", encoding="utf-8") as handle:
        lines = csv.writer(handle, delimiter="\t", lineterminator="\n")
        lines.writerow(rows[0])
        lines.writerows(row.values() for row in rows)


def _name(text: str) -> str:
    """``Patient 1``, ``patient 1`` and ``patient1`` as one name."""
    return NOT_IN_NAMES.sub("-", re.sub(r"(?<=[a-z])(?=\d)", " ", text.strip().lower())).strip("-")


def _short(title: str) -> str:
    """The beginning of a title and a checksum of the whole, so that no two titles share a name."""
    return f"{_name(title)[:24].strip('-')}-{zlib.crc32(title.encode()):08x}"


def _error(path: str | Path, field: str, expected: str, found: object, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
