"""Names that must be there once. Not a layout: it has no ``files``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stainscript.errors import DataContractError


def check_unique(names: Sequence[str], *, path: str | Path, field: str, remedy: str) -> None:
    """Raise ``DataContractError`` when a name is empty or occurs twice."""
    counts = Counter(names)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        found = f"{twice[0]!r} more than once ({len(twice)} such name(s))"
    elif "" in counts:
        found = f"an empty name at position {list(names).index('') + 1}"
    else:
        return
    raise DataContractError(path, field, expected="every name once", found=found, remedy=remedy)
