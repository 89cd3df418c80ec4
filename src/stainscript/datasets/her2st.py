"""HER2+ breast tumours (Andersson et al. 2021): the public repository almaan/her2st; ``root`` is its top folder."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base, legacy_st

PLATFORM = legacy_st.PLATFORM
PITCH_UM = legacy_st.PITCH_UM
SPOT_DIAMETER_UM = legacy_st.SPOT_DIAMETER_UM
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {
    "a6_shift": False,  # A6's pixel columns lie one pitch right of and below the other sections' rule; true: undo that
}


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``counts``, ``selection`` and ``image`` that exist."""
    return {} if root is None else legacy_st.found_under(row, Path(root))


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the section cannot be used here, or ``None``."""
    return base.NO_ROOT if root is None else legacy_st.absent_under(row, Path(root))


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the repository puts the section's files (its images have other names: ``files`` finds them)."""
    return legacy_st.expected_under(row, Path(root))


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """As ``legacy_st.read``; with ``a6_shift`` the pixels of section A6 move one pitch left and up."""
    from stainscript.datasets import legacy_tables

    chosen = base.checked_options(sys.modules[__name__], options)
    raw = legacy_st.read(row, files, {})
    if not (chosen["a6_shift"] and row["slide"] == "A6"):
        return raw
    spots = raw.spots.copy()
    spots["x_px"] -= legacy_tables.pitch_px(spots["grid_col"], spots["x_px"])
    spots["y_px"] -= legacy_tables.pitch_px(spots["grid_row"], spots["y_px"])
    return dataclasses.replace(raw, spots=spots)
