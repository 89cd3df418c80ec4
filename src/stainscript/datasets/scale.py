"""Which µm per pixel counts when sheet, dataset, image metadata and spot grid each may name one. Not a layout."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

MPP_TOLERANCE = 0.05  # two sources agree when they differ by at most this share


@dataclass(frozen=True)
class _Claim:
    mpp: float
    source: str
    where: str

    def agrees(self, other: _Claim | None) -> bool:
        return other is not None and abs(self.mpp - other.mpp) <= MPP_TOLERANCE * other.mpp


def settle_mpp(
    *,
    sheet: str,
    metadata: float | None,
    grid: float | None,
    image: str | Path,
    slide: str,
    stated: float | None = None,
    stated_in: str | Path | None = None,
    image_scale: float = 1.0,
) -> tuple[float, str]:
    """µm per level-0 pixel of ``image``, and its source: sheet, dataset metadata, metadata or spot grid.

    sheet: the cell of column mpp, "" for none; it speaks of the full-resolution image, of which ``image`` has
    ``image_scale`` pixels for each; stated: what the dataset's own file ``stated_in`` says of the image, and outranks
    the image's metadata (HEST's TIFFs state a tenth of the truth); metadata: of the image; grid: the spots' pixels
    against the array's pitch, the one source that was measured.

    The first that is there counts, and 5 % is agreement:

    ======  ========  ====  =========================================================
    sheet   metadata  grid  result
    ======  ========  ====  =========================================================
    –       –         –     error: none
    a       –         –     sheet
    –       a         –     metadata
    –       –         a     spot grid
    a       a         –     sheet
    a       b         –     error: sheet against metadata, nothing to tell who is right
    a       –         a     sheet
    a       –         b     error: sheet against grid
    –       a         a     metadata
    –       a         b     error: metadata against grid; the sheet can overrule them
    a       a         a     sheet
    a       b         a     sheet; the metadata are wrong, logged
    a       a or b    b     error: sheet against grid
    a       b         c     error: sheet against grid
    ======  ========  ====  =========================================================

    ``stated`` stands in the sheet's place where the sheet is silent, but needs no grid to overrule the metadata; where
    the sheet speaks, it must agree with it or the grid must bear the sheet out. Raises ``DataContractError`` in the
    cases marked error, naming both values.
    """
    claims = [
        _claim(float(sheet) / image_scale if sheet else None, "sheet", f"the sheet's column mpp of slide {slide}"),
        _claim(stated, "dataset metadata", str(stated_in)),
        _claim(metadata, "metadata", "the image's metadata"),
    ]
    measured = _claim(grid, "spot grid", "the spot grid")
    present = [claim for claim in claims if claim is not None]
    chosen = present[0] if present else measured
    if chosen is None:
        raise DataContractError(
            image,
            "mpp",
            expected="µm per pixel from the sheet, the image's metadata or the spot grid",
            found="none of the three",
            remedy=f"fill the sheet's column mpp for slide {slide}",
        )
    if measured is not None and not chosen.agrees(measured):
        raise _contradiction(image, chosen, measured, remedy=_against_grid(chosen, slide))
    borne_out = chosen.agrees(measured) or chosen.source == "dataset metadata"
    for other in present[1:]:
        if chosen.agrees(other):
            borne_out = True
        elif borne_out:
            wrong = f"{other.where} ({other.mpp:.4g} µm per pixel)"
            logger.warning("%s: %s contradict %s (%.4g) and are not used", slide, wrong, chosen.where, chosen.mpp)
        else:
            remedy = "correct the sheet's column mpp or empty it; if the metadata are wrong, remove them from the image"
            raise _contradiction(image, chosen, other, remedy=remedy)
    return chosen.mpp, chosen.source


def _claim(mpp: float | None, source: str, where: str) -> _Claim | None:
    return None if mpp is None else _Claim(mpp, source, where)


def _against_grid(chosen: _Claim, slide: str) -> str:
    if chosen.source == "sheet":
        return "correct the sheet's column mpp or empty it, or take the image that the positions refer to"
    return (
        f"take the image that the positions refer to; if it is that one, its {chosen.source} are wrong: "
        f"fill the sheet's column mpp for slide {slide}"
    )


def _contradiction(image: str | Path, chosen: _Claim, other: _Claim, *, remedy: str) -> DataContractError:
    return DataContractError(
        image,
        "mpp",
        expected=f"{other.mpp:.4g} µm per pixel ({other.where}) within {MPP_TOLERANCE:.0%}",
        found=f"{chosen.mpp:.4g} in {chosen.where}",
        remedy=remedy,
    )
