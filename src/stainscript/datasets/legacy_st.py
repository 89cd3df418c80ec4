"""Legacy Spatial Transcriptomics: a counts table, a spot selection file and an image for each slide.

Folders as in the public repository almaan/her2st (Andersson et al. 2021). A slide may have a folder of its own,
``root/<slide>/data/ST-cnts/...``, or share the repository's, ``root/data/ST-cnts/...``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base

PLATFORM = "ST"
PITCH_UM = 200.0
SPOT_DIAMETER_UM = 100.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {}


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``counts``, ``selection`` and ``image`` that exist."""
    return {} if root is None else found_under(row, _folder(row, Path(root)))


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the slide cannot be used here, or ``None``."""
    return base.NO_ROOT if root is None else absent_under(row, _folder(row, Path(root)))


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the canonical layout puts the slide's files: in ``root/<slide>/``."""
    return expected_under(row, Path(root) / row["slide"])


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The slide's spots, those with counts, and its counts.

    The key of both files is ``<x>x<y>``, rounded. Selected spots without counts are left out and their number is
    logged; counted spots outside the selection, duplicates and damaged tables raise ``DataContractError``.
    """
    from stainscript.datasets import legacy_tables

    base.checked_options(sys.modules[__name__], options)
    return legacy_tables.read_slide(row, files, pitch_um=PITCH_UM, diameter_um=SPOT_DIAMETER_UM, platform=PLATFORM)


def found_under(row: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """The roles that exist in ``folder``, the one that has ``data/ST-cnts``."""
    slide = row["slide"]
    counts = [folder / "data" / "ST-cnts" / f"{slide}{suffix}" for suffix in (".tsv.gz", ".tsv")]
    selection = folder / "data" / "ST-spotfiles" / f"{slide}_selection.tsv"
    if row.get("image"):
        image = base.named_image(row, [folder])
    else:
        images = base.images_in(_image_folder(slide, folder))
        image = images[0] if len(images) == 1 else None
    roles = {
        "counts": next((p for p in counts if p.is_file()), None) if base.has_expression(row) else None,
        "selection": selection if selection.is_file() else None,
        "image": image,
    }
    return {role: path for role, path in roles.items() if path is not None}


def absent_under(row: Mapping[str, str], folder: Path) -> str | None:
    """What ``folder`` lacks of the slide, or ``None``."""
    slide, found = row["slide"], found_under(row, folder)
    if "counts" not in found and base.has_expression(row):
        return f"no counts at data/ST-cnts/{slide}.tsv.gz"
    if "selection" not in found:
        return f"no spots at data/ST-spotfiles/{slide}_selection.tsv"
    if "image" not in found:
        where = _image_folder(slide, folder)
        several = len(base.images_in(where))
        if row.get("image"):
            return f"no image at {row['image']}"
        if several > 1:
            return f"{several} images under {where.relative_to(folder)}: name one in the sheet's column image"
        return f"no image under {where.relative_to(folder)}"
    return None


def expected_under(row: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """Where the canonical layout puts the slide's files in ``folder``."""
    slide = row["slide"]
    image = folder / row["image"] if row.get("image") else _image_folder(slide, folder) / f"{slide}.jpg"
    paths = {
        "counts": folder / "data" / "ST-cnts" / f"{slide}.tsv.gz",
        "selection": folder / "data" / "ST-spotfiles" / f"{slide}_selection.tsv",
        "image": image,
    }
    return {role: path for role, path in paths.items() if role != "counts" or base.has_expression(row)}


def _folder(row: Mapping[str, str], root: Path) -> Path:
    own = root / row["slide"]
    return own if (own / "data" / "ST-spotfiles").is_dir() else root


def _image_folder(slide: str, folder: Path) -> Path:
    return folder / "data" / "ST-imgs" / slide[0] / slide
