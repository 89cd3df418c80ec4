"""Tables that users edit (TSV): known columns, one cell each, faults named with their line. Standard library only."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from stainscript.errors import DataContractError, unknown_name


def read_rows(
    path: str | Path, *, required: Sequence[str], optional: Sequence[str], what: str, remedy: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows as (line number, cells by column), all known columns present and absent ones ``""``; blank lines are passed.

    what: the table in a word; remedy: where a missing file is to be corrected. Raises ``DataContractError`` for a
    missing file, an unknown, missing or repeated column, and a line of another number of cells.
    """
    path = Path(path)
    if not path.is_file():
        raise DataContractError(path, what, expected="a TSV file", found="no such file", remedy=remedy)
    with path.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        lines = [(reader.line_num, line) for line in reader if line]
    header = [name.strip() for name in lines[0][1]] if lines else []
    _check_header(path, header, required=required, known=(*required, *optional))
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise DataContractError(
                path,
                f"line {number}",
                expected=f"{len(header)} cells",
                found=f"{len(cells)} cells",
                remedy="separate the cells by tabs, one for each column",
            )
        given = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        yield number, dict.fromkeys((*required, *optional), "") | given


def _check_header(path: Path, header: list[str], *, required: Sequence[str], known: Sequence[str]) -> None:
    for name in header:
        if name not in known:
            raise unknown_name(path, "columns", name, known)
    twice = sorted({name for name in header if header.count(name) > 1})
    absent = [name for name in required if name not in header]
    if twice or absent:
        found = f"{twice[0]} twice" if twice else f"no {absent[0]}"
        raise DataContractError(
            path, "columns", expected=f"{', '.join(known)}, each once", found=found, remedy="correct the first line"
        )
