"""Cut the crops of a view, one read each: the clear version, which ``stream`` must equal to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stainscript.errors import DataContractError
from stainscript.patches.geometry import on_slide
from stainscript.patches.views import Crops, plan_crops
from stainscript.slides.base import LeveledSlide
from stainscript.types import ViewSpec

WHITE = 255
_NAMED = 5  # spots that an error names


def cut_patches(slide: LeveledSlide, *, crops: Crops) -> np.ndarray:
    """Every crop as uint8, in the order given: (S, y, x, 3), of a grid (S, C, y, x, 3).

    The whole output pixels that lie on the slide are read, the rest follows the view's edge policy; a crop that is not
    valid is black. All are held at once: take the spots of a block. Reads go in order of (y, x), so that neighbours
    share what the slide keeps in memory.
    """
    view, boxes = crops.view, crops.boxes.reshape(-1, 4)
    shown = on_slide(boxes, image_px=view.width_px, width_px=slide.width_px, height_px=slide.height_px)
    images = np.zeros((len(boxes), *crops.image_shape), dtype=np.uint8)
    wanted = np.flatnonzero(crops.valid.ravel())
    for crop in wanted[np.lexsort((boxes[wanted, 0], boxes[wanted, 1]))]:
        (left, top), (columns, rows) = shown.first[crop].tolist(), shown.count[crop].tolist()
        if columns and rows:
            box = tuple(shown.boxes[crop].tolist())
            images[crop, top : top + rows, left : left + columns] = slide.read_box(
                box_px=box, width_px=columns, height_px=rows, neighbours=view.corner != "hest"
            )
        fill_outside(images[crop], left=left, top=top, columns=columns, rows=rows, edge=view.edge)
    return images.reshape(*crops.valid.shape, *crops.image_shape) if view.grid > 1 else images


def fill_outside(image: np.ndarray, *, left: int, top: int, columns: int, rows: int, edge: str) -> None:
    """Fill a (y, x, 3) image around the part that shows the slide: white, or that part mirrored at its border."""
    height, width, _ = image.shape
    if not columns or not rows:
        image[:] = WHITE
    elif (columns, rows) == (width, height):
        return
    elif edge == "reflect":
        around = [(top, height - top - rows), (left, width - left - columns), (0, 0)]
        image[:] = np.pad(image[top : top + rows, left : left + columns], around, mode="symmetric")
    else:
        image[:top] = image[top + rows :] = WHITE
        image[:, :left] = image[:, left + columns :] = WHITE


def check_spots(
    slide: LeveledSlide,
    *,
    xy_px: np.ndarray,
    view: ViewSpec,
    slide_mpp: float | None,
    spot_id: Sequence[str] | None = None,
    path: str | Path = "spots",
) -> np.ndarray:
    """Share of each spot's image that lies outside the slide, (S,); of a grid, of the patch in its middle.

    Raises ``DataContractError`` for a view larger than the slide, and naming the spots whose centre is not on the
    slide and, where the view's edge policy is ``error``, those whose image leaves it. With ``corner: hest`` a centre
    may lie outside, as HEST-1k has it; there it is an error when no spot would be kept. path: the file of the spots.
    """
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    spot_id = list(spot_id) if spot_id is not None else [f"number {n}" for n in range(len(xy_px))]
    size = f"{slide.width_px} × {slide.height_px} px"
    planned = plan_crops(
        view,
        xy_px=np.nan_to_num(xy_px),
        slide_mpp=slide_mpp,
        slide_width_px=slide.width_px,
        slide_height_px=slide.height_px,
        path=slide.path,
    )
    known = np.isfinite(xy_px).all(axis=1)
    if view.corner == "hest":
        middle = planned.valid[:, planned.valid.shape[1] // 2]
        astray = np.flatnonzero(~known | ~middle.any())
    else:
        astray = np.flatnonzero(~(known & (xy_px >= 0).all(axis=1) & (xy_px < _size(slide)).all(axis=1)))
    if len(astray):
        raise DataContractError(
            path,
            "x_px, y_px",
            expected=f"centres on the slide ({size})",
            found=_named(astray, xy_px, spot_id),
            remedy="the positions belong to another image or another resolution of it; give the matching pair",
        )
    leaving = np.flatnonzero((planned.outside > 0) & planned.valid[:, planned.valid.shape[1] // 2])
    if view.edge == "error" and len(leaving):
        raise DataContractError(
            path,
            f"view {view.name}",
            expected=f"every patch inside the slide ({size}), as edge: error asks",
            found=_named(leaving, xy_px, spot_id),
            remedy="set the view's edge to white or reflect, or leave these spots out",
        )
    return planned.outside


def _size(slide: LeveledSlide) -> tuple[int, int]:
    return slide.width_px, slide.height_px


def _named(index: np.ndarray, xy_px: np.ndarray, spot_id: Sequence[str]) -> str:
    some = [f"spot {spot_id[n]} at ({xy_px[n, 0]:g}, {xy_px[n, 1]:g})" for n in index[:_NAMED]]
    rest = len(index) - len(some)
    return ", ".join(some) + (f" and {rest} more" if rest else "")
