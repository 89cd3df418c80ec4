"""Which µm per pixel counts when sheet, metadata and spot grid each may name one. Not a layout."""

from __future__ import annotations

import logging
from pathlib import Path

from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

MPP_TOLERANCE = 0.05  # sheet and metadata may differ by this share


def settle_mpp(
    *, sheet: str, metadata: float | None, grid: float | None, image: str | Path, slide: str
) -> tuple[float, str]:
    """µm per level-0 pixel and its source: the sheet before the image's metadata before the spot grid.

    Raises ``DataContractError`` when there is none, and when sheet and metadata differ by more than 5 %.
    """
    stated = float(sheet) if sheet else None
    if stated is not None and metadata is not None and abs(stated - metadata) > MPP_TOLERANCE * metadata:
        raise DataContractError(
            image,
            "mpp",
            expected=f"{metadata:.4g} µm per pixel (the image's metadata) within {MPP_TOLERANCE:.0%}",
            found=f"{stated:.4g} in the sheet's column mpp of slide {slide}",
            remedy="correct the sheet's column mpp or empty it; if the metadata are wrong, remove them from the image",
        )
    for value, source in ((stated, "sheet"), (metadata, "metadata"), (grid, "spot grid")):
        if value is not None:
            if grid is not None and abs(value - grid) > MPP_TOLERANCE * grid:
                logger.warning("%s: mpp %.4g (%s), but the spot grid implies %.4g", slide, value, source, grid)
            return value, source
    raise DataContractError(
        image,
        "mpp",
        expected="µm per pixel from the sheet, the image's metadata or the spot grid",
        found="none of the three",
        remedy=f"fill the sheet's column mpp for slide {slide}",
    )
