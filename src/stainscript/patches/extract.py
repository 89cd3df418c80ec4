"""Cut the patches of a slide for a view: µm-true, centred on the spot, edges by the view's policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stainscript.errors import DataContractError
from stainscript.patches.geometry import crop_box, outside_shares
from stainscript.slides.base import Slide
from stainscript.types import ViewSpec

WHITE = 255
_NAMED = 5  # spots that an error names
_DUST = 1e-6  # rounding of µm, in output pixels; readers allow more


def cut_patches(
    slide: Slide,
    *,
    xy_px: np.ndarray,
    view: ViewSpec,
    slide_mpp: float,
    spot_id: Sequence[str] | None = None,
    path: str | Path = "spots",
) -> np.ndarray:
    """Patches around (S, 2) centres (x, y) in level-0 pixels → (S, y, x, 3) uint8, in the order given.

    One read a spot, in order of (y, x), so that neighbours share what a reader keeps in memory. The result is
    held at once: pass the spots of a block. Raises what ``check_spots`` raises.
    """
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    check_spots(slide, xy_px=xy_px, view=view, slide_mpp=slide_mpp, spot_id=spot_id, path=path)
    patches = np.empty((len(xy_px), view.width_px, view.width_px, 3), dtype=np.uint8)
    for spot in np.lexsort((xy_px[:, 0], xy_px[:, 1])):
        patches[spot] = _cut(slide, center_px=tuple(xy_px[spot].tolist()), view=view, slide_mpp=slide_mpp)
    return patches


def check_spots(
    slide: Slide,
    *,
    xy_px: np.ndarray,
    view: ViewSpec,
    slide_mpp: float,
    spot_id: Sequence[str] | None = None,
    path: str | Path = "spots",
) -> np.ndarray:
    """Share of each spot's patch that lies outside the slide, (S,).

    Raises ``DataContractError`` naming the spots whose centre is not on the slide and, where the view's edge
    policy is ``error``, those whose patch leaves it. path: the file of the spots, for the message.
    """
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    spot_id = list(spot_id) if spot_id is not None else [f"number {n}" for n in range(len(xy_px))]
    size = f"{slide.width_px} × {slide.height_px} px"
    astray = np.flatnonzero(~((xy_px >= 0) & (xy_px < [slide.width_px, slide.height_px])).all(axis=1))
    if len(astray):
        raise DataContractError(
            path,
            "x_px, y_px",
            expected=f"centres on the slide ({size})",
            found=_named(astray, xy_px, spot_id),
            remedy="the positions belong to another image or another resolution of it; give the matching pair",
        )
    shares = outside_shares(
        xy_px=xy_px,
        width_px=view.width_px,
        mpp=view.mpp,
        slide_mpp=slide_mpp,
        slide_width_px=slide.width_px,
        slide_height_px=slide.height_px,
    )
    leaving = np.flatnonzero(shares > 0)
    if view.edge == "error" and len(leaving):
        raise DataContractError(
            path,
            f"view {view.name}",
            expected=f"every patch inside the slide ({size}), as edge: error asks",
            found=_named(leaving, xy_px, spot_id),
            remedy="set the view's edge to white or reflect, or leave these spots out",
        )
    return shares


def _named(index: np.ndarray, xy_px: np.ndarray, spot_id: Sequence[str]) -> str:
    some = [f"spot {spot_id[n]} at ({xy_px[n, 0]:g}, {xy_px[n, 1]:g})" for n in index[:_NAMED]]
    rest = len(index) - len(some)
    return ", ".join(some) + (f" and {rest} more" if rest else "")


def _cut(slide: Slide, *, center_px: tuple[float, float], view: ViewSpec, slide_mpp: float) -> np.ndarray:
    """One patch: the whole output pixels that lie on the slide are read, the rest is filled."""
    box = crop_box(center_px=center_px, width_px=view.width_px, mpp=view.mpp, slide_mpp=slide_mpp)
    scale = box.width_px / view.width_px  # level-0 pixels an output pixel
    left, columns = _span(start=box.x_px, scale=scale, size=view.width_px, limit=slide.width_px)
    top, rows = _span(start=box.y_px, scale=scale, size=view.width_px, limit=slide.height_px)
    x, y = box.x_px + left * scale, box.y_px + top * scale
    pixels = slide.read(x_px=x, y_px=y, width_px=columns, height_px=rows, mpp=view.mpp)
    return _fill(pixels, before=(top, left), width_px=view.width_px, edge=view.edge)


def _span(*, start: float, scale: float, size: int, limit: int) -> tuple[int, int]:
    """Along one axis: output pixels missing before the slide begins, and those that lie wholly on it."""
    missing = max(0, math.ceil(-start / scale - _DUST))
    return missing, min(size, math.floor((limit - start) / scale + _DUST)) - missing


def _fill(pixels: np.ndarray, *, before: tuple[int, int], width_px: int, edge: str) -> np.ndarray:
    """Pad (y, x, 3) pixels to a square of ``width_px``: white, or mirrored at the slide's border."""
    widths = [(n, width_px - pixels.shape[axis] - n) for axis, n in enumerate(before)]
    if not any(map(any, widths)):
        return pixels
    if edge == "reflect":
        return np.pad(pixels, [*widths, (0, 0)], mode="symmetric")
    return np.pad(pixels, [*widths, (0, 0)], mode="constant", constant_values=WHITE)
