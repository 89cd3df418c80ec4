"""Gene lists that papers print, in their order and with their groups: ``data/printed_panels.tsv`` says from where."""

from __future__ import annotations

import csv
import functools
from importlib import resources

from stainscript.errors import unknown_name

FILE = "printed_panels.tsv"


def names() -> tuple[str, ...]:
    """The lists there are, as ``paper/list``: ``genar/her2st``, ``dkan/stnet_hvg50``, …"""
    return tuple(_rows())


def panel(name: str) -> tuple[str, ...]:
    """The symbols of a list as printed, old ones included, whole (GenAR's may hold more than the 200 it uses).

    Raises ``DataContractError`` for an unknown list and names those there are.
    """
    return tuple(symbol for symbol, _ in _of(name))


def groups(name: str) -> tuple[tuple[str, ...], ...]:
    """The printed gene groups of a list, in their order; a gene without one is in none. ``()``: none is printed."""
    found: dict[int, list[str]] = {}
    for symbol, group in _of(name):
        if group is not None:
            found.setdefault(group, []).append(symbol)
    return tuple(tuple(found[group]) for group in sorted(found))


def _of(name: str) -> tuple[tuple[str, int | None], ...]:
    lists = _rows()
    if name not in lists:
        raise unknown_name("panels", "printed", name, lists)
    return lists[name]


@functools.cache
def _rows() -> dict[str, tuple[tuple[str, int | None], ...]]:
    """``paper/list`` → (symbol, group or None) in the order of the file."""
    text = (resources.files("stainscript.genes") / "data" / FILE).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    lists: dict[str, list[tuple[str, int | None]]] = {}
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        group = int(row["group"]) if row["group"] else None
        lists.setdefault(f"{row['paper']}/{row['list']}", []).append((row["symbol"], group))
    return {name: tuple(rows) for name, rows in lists.items()}
