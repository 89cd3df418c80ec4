"""A whole-slide image without expression: spots are a square grid over the tissue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base

PLATFORM = "image only"
PITCH_UM = None
SPOT_DIAMETER_UM = None
HAS_EXPRESSION = False
OPTIONS: dict[str, Any] = {
    "pitch_um": 112.0,  # distance of grid centres: one default patch (224 px at 0.5 µm/px) after another
}


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Role ``image``, if it exists."""
    image = None if root is None else _image(row, Path(root))
    return {} if image is None else {"image": image}


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the slide cannot be used here, or ``None``."""
    if root is None:
        return base.NO_ROOT
    if files(row, root):
        return None
    if row.get("image"):
        return f"no image at {row['image']}"
    return f"no image, or several, at {row['slide']}/ or {row['slide']}.*: name it in the sheet's column image"


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the canonical layout puts the image: in ``root/<slide>/``."""
    return {"image": Path(root) / row["slide"] / (row.get("image") or f"{row['slide']}.tif")}


def _image(row: Mapping[str, str], root: Path) -> Path | None:
    own = root / row["slide"]
    if row.get("image"):
        return base.named_image(row, [own, root])
    images = base.images_in(own) or [p for p in base.images_in(root) if p.stem == row["slide"]]
    return images[0] if len(images) == 1 else None
