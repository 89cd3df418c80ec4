"""A whole-slide image without expression: spots are a square grid over the tissue."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base
from stainscript.errors import DataContractError

PLATFORM = "image only"
PITCH_UM = None
SPOT_DIAMETER_UM = None
HAS_EXPRESSION = False
TISSUE_SHARE = 0.5  # of a grid cell, for its spot to be kept
CELL_PX = 8  # width of a grid cell on the picture that tissue is found on
OPTIONS: dict[str, Any] = {
    # distance of grid centres in µm. 112: one default patch (224 px at 0.5 µm/px) after another;
    # 128: tiles of 256 px at 20× (0.5 µm/px), as slide-level models are fed
    "pitch_um": 112.0,
    # how tissue is found: saturation, entropy (keeps pale fat too) or hed; see slides/tissue.py
    "mask": "saturation",
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


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """Spots ``<col>x<row>`` at the centres of the square cells that hold tissue; cells lie wholly on the slide.

    Raises ``DataContractError`` without a known scale, on a slide smaller than a cell, and on one without tissue.
    """
    import numpy as np
    import pandas as pd
    from PIL import Image

    from stainscript.datasets.scale import settle_mpp
    from stainscript.slides.open import open_slide
    from stainscript.slides.tissue import tissue_mask

    chosen = base.checked_options(sys.modules[__name__], options)
    if not 0 < chosen["pitch_um"] < float("inf"):
        raise DataContractError(
            "config",
            "datasets.options.pitch_um",
            expected="µm above 0",
            found=chosen["pitch_um"],
            remedy="112 for patches of 224 px, 128 for tiles of 256 px, both at 0.5 µm per pixel",
        )
    image = base.require(files, ["image"], slide=row["slide"])["image"]
    with open_slide(image) as slide:
        mpp, _ = settle_mpp(sheet=row.get("mpp", ""), metadata=slide.mpp, grid=None, image=image, slide=row["slide"])
        pitch_px = chosen["pitch_um"] / mpp
        columns, rows = int(slide.width_px / pitch_px), int(slide.height_px / pitch_px)
        if not columns or not rows:
            raise DataContractError(
                image,
                "size",
                expected=f"at least {pitch_px:.0f} px ({chosen['pitch_um']:g} µm) in both directions",
                found=f"{slide.width_px} × {slide.height_px} px",
                remedy="correct the sheet's column mpp, or set a smaller option pitch_um",
            )
        picture = slide.thumbnail(long_side_px=CELL_PX * (max(columns, rows) + 1))
        zoom_x, zoom_y = picture.shape[1] / slide.width_px, picture.shape[0] / slide.height_px
    mask = Image.fromarray(tissue_mask(picture, method=chosen["mask"], mpp=mpp / zoom_x).astype(np.float32))
    cells = (0, 0, columns * pitch_px * zoom_x, rows * pitch_px * zoom_y)
    share = np.asarray(mask.resize((columns, rows), Image.Resampling.BOX, box=cells))
    row_index, column_index = np.nonzero(share >= TISSUE_SHARE)
    if not len(row_index):
        raise DataContractError(
            image,
            "tissue",
            expected="stained tissue on a pale ground",
            found="no grid cell half full of it",
            remedy="check that the image is the stained slide",
        )
    spots = pd.DataFrame(
        {
            "spot_id": np.array([f"{x}x{y}" for x, y in zip(column_index, row_index, strict=True)], dtype=object),
            "x_px": (column_index + 0.5) * pitch_px,
            "y_px": (row_index + 0.5) * pitch_px,
            "grid_row": row_index.astype(np.int64),
            "grid_col": column_index.astype(np.int64),
        }
    )
    return base.RawSlide(platform=PLATFORM, spot_diameter_um=SPOT_DIAMETER_UM, spots=spots, adata=None, grid_mpp=None)


def _image(row: Mapping[str, str], root: Path) -> Path | None:
    own = root / row["slide"]
    if row.get("image"):
        return base.named_image(row, [own, root])
    images = base.images_in(own) or [p for p in base.images_in(root) if p.stem == row["slide"]]
    return images[0] if len(images) == 1 else None
