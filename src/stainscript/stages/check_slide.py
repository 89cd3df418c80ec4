"""Stage ``check_slide``: do a slide's spots lie on its tissue? Numbers, a verdict and a picture."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from stainscript.artifacts.files import complete_file, write_json
from stainscript.errors import DataContractError
from stainscript.patches.quality import (
    Alignment,
    alignment_score,
    pitch_px,
    sharpness,
    spots_on_tissue,
    stain_means,
    verdict,
)
from stainscript.report.figures.slide_quality import slide_quality
from stainscript.slides.base import LeveledSlide
from stainscript.slides.open import open_slide
from stainscript.slides.tissue import tissue_mask
from stainscript.types import SlideInfo

logger = logging.getLogger(__name__)

THUMBNAIL_PX = 2000
SPOT_SHARE = 0.5  # of its disc on tissue, for a spot to count as on tissue
BLUR_MPP, FIELD_PX, FIELDS = 1.0, 256, 16  # sharpness is measured on fields of one scale, spread over the spots
PICTURE_QUALITY = 88


def check_slide(
    *,
    info: str | Path,
    spots: str | Path,
    image: str | Path,
    options: Mapping[str, Any],
    out_json: str | Path,
    out_picture: str | Path,
    kept: str | Path,
) -> None:
    """Measure how one ingested slide's spots and tissue fit; write the numbers as JSON and a picture (JPEG).

    info: ``SlideInfo`` as JSON; spots: Parquet with ``x_px``, ``y_px``; options: ``mask`` (a method of
    ``tissue_mask``), ``min_on_tissue`` (share of spots, each at least half on tissue), ``min_alignment`` (score) and
    ``on_fail``: ``error`` or ``warn``; kept: folder that gets copies of both files when the verdict is an error,
    because Snakemake removes the outputs of a failed job. Tiles of a slide without spots are not aligned: they were
    laid where the tissue is. Raises ``DataContractError`` under ``on_fail: error`` when the verdict is ``fail``.
    """
    about = SlideInfo(**json.loads(Path(info).read_text()))
    table = pyarrow.parquet.read_table(spots, columns=["x_px", "y_px"])
    xy_px = np.stack([table["x_px"].to_numpy(), table["y_px"].to_numpy()], axis=1).astype(np.float64)
    tiles = about.spot_diameter_um is None
    diameter_px = pitch_px(xy_px) if tiles else about.spot_diameter_um / about.mpp
    diameter_px = diameter_px if diameter_px > 0 else FIELD_PX * BLUR_MPP / about.mpp  # one tile alone has no pitch
    with open_slide(image, mpp=about.mpp) as slide:
        thumbnail = slide.thumbnail(long_side_px=THUMBNAIL_PX)
        scale = (thumbnail.shape[1] / slide.width_px, thumbnail.shape[0] / slide.height_px)
        mask = tissue_mask(thumbnail, method=options["mask"], mpp=about.mpp / scale[0])
        shares = spots_on_tissue(mask, xy_px, diameter_px=diameter_px, scale=scale, square=tiles)
        on_tissue = shares >= SPOT_SHARE
        blur = _blur(slide, xy_px[on_tissue], mpp=about.mpp)
    alignment = None if tiles else alignment_score(mask, xy_px, scale=scale)
    share = float(on_tissue.mean()) if len(on_tissue) else 0.0
    limits = {name: options[name] for name in ("min_on_tissue", "min_alignment")}
    word, reasons = verdict(on_tissue=share, alignment=alignment, **limits)
    numbers = {
        "dataset": about.dataset,
        "slide": about.slide,
        "mask": options["mask"],
        "verdict": word,
        "reasons": reasons,
        "thresholds": limits | {"spot_share": SPOT_SHARE},
        "n_spots": len(on_tissue),
        "n_on_tissue": int(on_tissue.sum()),
        "n_off_tissue": int((~on_tissue).sum()),
        "share_on_tissue": round(share, 6),
        "mean_spot_share": round(float(shares.mean()), 6) if len(shares) else 0.0,
        "tiles": _grid(about, xy_px) if tiles else None,
        "alignment": alignment and _alignment(alignment, mpp=about.mpp),
        "tissue_share": round(float(mask.mean()), 6),
        "tissue_mm2": round(float(mask.sum()) * (about.mpp / 1000) ** 2 / (scale[0] * scale[1]), 4),
        "blur": blur,
        "stain": stain_means(thumbnail, mask),
    }
    picture = slide_quality(
        thumbnail,
        mask,
        xy_px=xy_px,
        on_tissue=on_tissue,
        diameter_px=diameter_px,
        width_px=about.width_px,
        mpp=about.mpp,
        title=f"{about.dataset} {about.slide}: {word}",
        lines=_lines(numbers),
        square=tiles,
    )
    with complete_file(out_picture) as path:
        picture.save(path, format="JPEG", quality=PICTURE_QUALITY)
    write_json(out_json, numbers)
    logger.info("%s: %s, %.1f %% of %d spots on tissue", about.slide, word, 100 * share, len(on_tissue))
    if word == "fail" and options["on_fail"] == "error":
        raise _failure(spots, numbers, _copied(out_json, out_picture, Path(kept)), about.slide)
    for path in (Path(out_json), Path(out_picture)):
        (Path(kept) / path.name).unlink(missing_ok=True)  # of an earlier failure
    for reason in reasons:
        logger.warning("%s: %s", about.slide, reason)


def _blur(slide: LeveledSlide, xy_px: np.ndarray, *, mpp: float) -> dict[str, Any]:
    """Variance of the Laplacian over fields around spots on tissue, wholly on the slide."""
    side = FIELD_PX * BLUR_MPP / mpp
    reason = ""
    if mpp > BLUR_MPP * 1.05:
        reason = f"the slide has {mpp:.3g} µm per pixel, coarser than {BLUR_MPP:g}"
    elif side > min(slide.width_px, slide.height_px):
        reason = f"the slide is smaller than a field of {FIELD_PX * BLUR_MPP:g} µm"
    elif not len(xy_px):
        reason = "no spot lies on tissue"
    if reason:
        return {"variance_of_laplacian": None, "mpp": BLUR_MPP, "fields": 0, "reason": reason}
    chosen = xy_px[np.unique(np.linspace(0, len(xy_px) - 1, FIELDS).round().astype(int))]
    corners = np.clip(np.round(chosen - side / 2), 0, np.array([slide.width_px, slide.height_px]) - side)
    box = {"width_px": FIELD_PX, "height_px": FIELD_PX}
    fields = np.stack([slide.read_box(box_px=(x, y, x + side, y + side), **box) for x, y in corners])
    value = round(sharpness(fields), 3)
    return {"variance_of_laplacian": value, "mpp": BLUR_MPP, "fields": len(fields), "reason": ""}


def _grid(about: SlideInfo, xy_px: np.ndarray) -> dict[str, int] | None:
    """How many cells of the tiles' grid the slide has, how many were kept and how many dropped."""
    pitch = pitch_px(xy_px)
    if not pitch > 0:
        return None
    cells = math.floor(about.width_px / pitch + 1e-6) * math.floor(about.height_px / pitch + 1e-6)
    return {"cells": cells, "kept": len(xy_px), "dropped": cells - len(xy_px)}


def _alignment(found: Alignment, *, mpp: float) -> dict[str, Any]:
    """As JSON holds it: no NaN, lengths in both units."""
    number = {name: getattr(found, name) for name in ("score", "fit", "best_fit")}
    return {name: None if math.isnan(value) else round(value, 4) for name, value in number.items()} | {
        "move": found.move,
        "shift_px": [round(value, 1) for value in found.shift_px],
        "shift_um": [round(value * mpp, 1) for value in found.shift_px],
        "hint": found.hint,
        "reason": found.reason,
    }


def _lines(numbers: Mapping[str, Any]) -> list[str]:
    least, found, tiles = numbers["thresholds"], numbers["alignment"], numbers["tiles"]
    noun = "spots" if tiles is None else "tiles"
    lines = [
        f"{numbers['share_on_tissue']:.1%} of {numbers['n_spots']} {noun} at least half on tissue "
        f"(least: {least['min_on_tissue']:.0%})",
        f"tissue by {numbers['mask']}: {numbers['tissue_mm2']:.3g} mm², {numbers['tissue_share']:.0%} of the slide",
    ]
    if tiles:
        lines.append(f"grid of {tiles['cells']} tiles: {tiles['kept']} kept, {tiles['dropped']} dropped")
    if found is not None and found["score"] is None:
        lines.append(f"alignment undefined: {found['reason']}")
    elif found is not None:
        lines.append(f"alignment {found['score']:.2f} (least: {least['min_alignment']:g}), fit {found['fit']:.2f}")
    return [*lines, *numbers["reasons"]]


def _copied(out_json: str | Path, out_picture: str | Path, kept: Path) -> Path:
    kept.mkdir(parents=True, exist_ok=True)
    for path in (Path(out_json), Path(out_picture)):
        shutil.copyfile(path, kept / path.name)
    return kept / Path(out_picture).name


def _failure(spots: str | Path, numbers: Mapping[str, Any], picture: Path, slide: str) -> DataContractError:
    least, found = numbers["thresholds"], numbers["alignment"]
    expected = f"at least {least['min_on_tissue']:.0%} of the spots on tissue"
    if found is not None:
        expected += f" and an alignment of at least {least['min_alignment']:g}"
    return DataContractError(
        spots,
        "spots on tissue",
        expected=expected,
        found="; ".join(numbers["reasons"]),
        remedy=f"look at {picture}; correct the positions, put {slide} on the dataset's exclude list with a reason, "
        "or lower quality.min_on_tissue or quality.min_alignment",
    )
