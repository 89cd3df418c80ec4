"""Coordinates as networks take them: a slide's own extent brought to the unit square."""

from __future__ import annotations

import numpy as np

from stainscript.errors import DataContractError


def unit_positions(xy: np.ndarray, *, slide: str) -> np.ndarray:
    """Positions (S, 2) float32 in 0 … 1: each axis of one slide by its least and greatest value (GenAR, released code).

    xy: (S, 2) of all spots of the slide, in µm or pixels, which makes no difference; slide: its name. The arithmetic is
    float32, as the released code's is. Raises ``DataContractError`` for values that are not finite, and for an axis
    along which all spots have one value.
    """
    xy = np.asarray(xy, dtype=np.float32)
    if not np.isfinite(xy).all():
        raise _unlike(slide, "finite coordinates", f"{xy[~np.isfinite(xy)][0]}")
    least = xy.min(axis=0)
    extent = xy.max(axis=0) - least
    if (extent == 0).any():
        axis = int(np.argmin(extent))
        raise _unlike(slide, f"spots of different {'xy'[axis]}", f"{len(xy)} spots with {'xy'[axis]} = {least[axis]}")
    return (xy - least) / extent


def _unlike(slide: str, expected: str, found: str) -> DataContractError:
    remedy = "correct the slide's positions, or leave it out: its spots span no area"
    return DataContractError(f"slide {slide}", "xy", expected=expected, found=found, remedy=remedy)
