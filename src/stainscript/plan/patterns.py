"""Patterns of wildcards."""

from __future__ import annotations

import re
from collections.abc import Iterable


def one_of(names: Iterable[str]) -> str:
    """A pattern of exactly these names; of none, one that nothing matches."""
    return "|".join(map(re.escape, names)) or "$none"
