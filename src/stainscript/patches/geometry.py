"""Where a view's square lies on a slide: µm to level-0 pixels, and how much of it lies outside.

A point (x, y) is continuous: pixel (column c, row r) covers [c, c + 1) × [r, r + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in level-0 pixels, fractions allowed; (x_px, y_px) is its upper left corner."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float


def side_px(*, width_px: int, mpp: float | None, slide_mpp: float | None) -> float:
    """Side in level-0 pixels of a view of ``width_px`` pixels of ``mpp`` µm; native pixels where ``mpp`` is None."""
    if mpp is None:
        return float(width_px)
    if slide_mpp is None or not slide_mpp > 0:
        raise ValueError(f"a view in µm needs the slide's µm per pixel, and it is {slide_mpp}")
    return width_px * mpp / slide_mpp


def crop_box(*, center_px: tuple[float, float], width_px: int, mpp: float | None, slide_mpp: float | None) -> Box:
    """The square of ``width_px`` output pixels of ``mpp`` µm around a spot, in level-0 pixels.

    center_px: (x, y) at level 0. With ``mpp`` the square is centred on the point itself and may begin between
    pixels: its side is ``width_px · mpp`` µm on every slide. ``mpp=None`` means native pixels: the centre is
    floored and the box is x − width//2 … x − width//2 + width (classic protocol, section 5).
    """
    x, y = center_px
    if mpp is None:
        corner_x, corner_y = math.floor(x) - width_px // 2, math.floor(y) - width_px // 2
        return Box(x_px=corner_x, y_px=corner_y, width_px=width_px, height_px=width_px)
    side = side_px(width_px=width_px, mpp=mpp, slide_mpp=slide_mpp)
    return Box(x_px=x - side / 2, y_px=y - side / 2, width_px=side, height_px=side)


def outside_shares(
    *,
    xy_px: np.ndarray,
    width_px: int,
    mpp: float | None,
    slide_mpp: float | None,
    slide_width_px: int,
    slide_height_px: int,
) -> np.ndarray:
    """Share of each spot's square that lies outside the slide: (S, 2) centres (x, y) → (S,) in [0, 1]."""
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    side = side_px(width_px=width_px, mpp=mpp, slide_mpp=slide_mpp)
    low = xy_px - side / 2 if mpp is not None else np.floor(xy_px) - width_px // 2
    size = np.array([slide_width_px, slide_height_px], dtype=np.float64)
    inside = np.clip(np.minimum(low + side, size) - np.maximum(low, 0), 0, side) / side  # (S, 2), each axis alone
    share = 1 - inside.prod(axis=1)
    share[(low >= 0).all(axis=1) & (low + side <= size).all(axis=1)] = 0  # no rounding dust where all is inside
    return share
