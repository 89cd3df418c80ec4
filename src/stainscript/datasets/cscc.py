"""Cutaneous squamous cell carcinoma (Ji et al. 2020): the Spatial Transcriptomics files of GEO series GSE144240.

``root`` holds what GSE144240_RAW.tar unpacks to, in one folder, with or without the GSM prefix, gzipped or plain:
``GSM4284316_P2_ST_rep1_stdata.tsv.gz`` (counts of the whole array), the same with
``spot_data-selection-P2_ST_rep1.tsv.gz`` (spots under tissue) and ``P2_ST_rep1.jpg``. A gzipped image must be unpacked:
slides are read in place.

Pitch 150 µm and diameter 110 µm: HEST lists the two the other way round, by which spots would overlap. HEST's pixel
sizes (about 0.55 µm) rest on its pitch of 110 µm; the option ``pitch_um: 110.0`` gives them, the default about 0.75.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base

PLATFORM = "ST"
PITCH_UM = 150.0
SPOT_DIAMETER_UM = 110.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {
    "pitch_um": PITCH_UM,  # distance of spots that the scale is taken from where sheet and image name none
}
SECTIONS = tuple(f"{patient}_ST_rep{n}" for patient in ("P2", "P5", "P9", "P10") for n in (1, 2, 3))
PREFIX = re.compile(r"^GSM\d+_")
FIRST_ACCESSION = 4284316  # of P2_ST_rep1; the others follow in order


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``counts``, ``selection`` and ``image`` that exist."""
    if root is None:
        return {}
    root, slide = Path(root), row["slide"]
    patterns = {
        "counts": (f"{slide}_stdata.tsv.gz", f"{slide}_stdata.tsv") if base.has_expression(row) else (),
        "selection": (f"spot_data-selection-{slide}.tsv.gz", f"spot_data-selection-{slide}.tsv"),
        "image": tuple(f"{slide}{suffix}" for suffix in (".jpg", ".jpeg", ".tif", ".tiff")),
    }
    found = {role: next(iter(_matches(root, names)), None) for role, names in patterns.items()}
    if row.get("image"):
        found["image"] = base.named_image(row, _folders(root))
    return {role: path for role, path in found.items() if path is not None}


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the section cannot be used here, or ``None``."""
    if root is None:
        return base.NO_ROOT
    found = files(row, root)
    for role, path in expected_files(row, root).items():
        if role not in found:
            zipped = _matches(Path(root), (f"{row['slide']}.jpg.gz",)) if role == "image" else []
            if zipped:
                return f"the image {zipped[0].name} is compressed: unpack it with gunzip"
            return f"no {role} at {path.relative_to(root)}"
    return None


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the series' archive puts the section's files."""
    root, slide = Path(root), row["slide"]
    prefix = f"GSM{FIRST_ACCESSION + SECTIONS.index(slide)}_" if slide in SECTIONS else ""
    paths = {
        "counts": root / f"{prefix}{slide}_stdata.tsv.gz",
        "selection": root / f"{prefix}spot_data-selection-{slide}.tsv.gz",
        "image": root / (row.get("image") or f"{prefix}{slide}.jpg"),
    }
    return {role: path for role, path in paths.items() if role != "counts" or base.has_expression(row)}


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The spots under tissue that have counts, and these counts.

    Counted spots off the tissue, and selected spots without counts, are left out and their numbers logged; damaged
    tables, duplicates and files of two sections raise ``DataContractError``.
    """
    from stainscript.datasets import legacy_tables

    chosen = base.checked_options(sys.modules[__name__], options)
    return legacy_tables.read_slide(
        row,
        files,
        pitch_um=chosen["pitch_um"],
        diameter_um=SPOT_DIAMETER_UM,
        platform=PLATFORM,
        whole_array=True,
    )


def _folders(root: Path) -> list[Path]:
    return [root, root / "GSE144240_RAW"]


def _matches(root: Path, names: tuple[str, ...]) -> list[Path]:
    """Files of these names, without or with a GSM prefix, the first name first."""
    return [
        path
        for name in names
        for folder in _folders(root)
        for path in (folder / name, *sorted(folder.glob(f"GSM*_{name}")))
        if path.is_file() and PREFIX.sub("", path.name) == name
    ]
