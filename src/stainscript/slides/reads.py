"""Which pixels of which level make a box: decided for many boxes at once, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

FINER = 1.01  # a level may be coarser than asked by this much: downsamples are seldom whole numbers


@dataclass(frozen=True, kw_only=True)
class Reads:
    """How n boxes are read; rows are (left, top, right, bottom)."""

    level: np.ndarray  # (n,) int64
    source: np.ndarray  # (n, 4) int64: whole pixels of that level, inside it
    inner: np.ndarray  # (n, 4) float64: the box itself, counted from the source's corner
    exact: np.ndarray  # (n,) bool: the source is the result as it is


def plan_reads(
    level_sizes: Sequence[tuple[int, int]],
    boxes_px: np.ndarray,
    *,
    width_px: np.ndarray,
    height_px: np.ndarray,
    neighbours: bool = True,
) -> Reads:
    """How boxes inside a slide become images of ``width_px`` × ``height_px`` pixels, (n,) each.

    level_sizes: (width, height), full resolution first; boxes_px: (n, 4) level-0 (left, top, right, bottom), fractions
    allowed. A box of whole pixels and of the result's size is copied. Every other is resampled from the coarsest level
    that is at least as fine as the result; with ``neighbours`` the filter also sees the pixels around the box.
    """
    boxes_px = np.asarray(boxes_px, dtype=np.float64).reshape(-1, 4)
    size_px = np.stack([width_px, height_px], axis=1)  # (n, 2)
    corner, extent = boxes_px[:, :2], boxes_px[:, 2:] - boxes_px[:, :2]
    exact = (extent == size_px).all(axis=1) & (corner == np.floor(corner)).all(axis=1)
    sizes = np.asarray(level_sizes, dtype=np.int64)  # (L, 2)
    fine = sizes[0, 0] / sizes[None, :, 0] <= ((extent / size_px).max(axis=1) * FINER)[:, None]
    level = np.where(exact, 0, np.where(fine, np.arange(len(sizes)), 0).max(axis=1))
    zoom = sizes[level] / sizes[0]
    low, high = corner * zoom, boxes_px[:, 2:] * zoom
    reach = np.ceil(np.maximum((high - low) / size_px, 1.0)) + 1 if neighbours else np.zeros_like(low)
    reach[exact] = 0
    first = np.maximum(0, np.floor(low) - reach).astype(np.int64)
    last = np.minimum(sizes[level], np.ceil(high) + reach).astype(np.int64)
    inner = np.concatenate([low - first, np.minimum(high, sizes[level]) - first], axis=1)
    return Reads(level=level, source=np.concatenate([first, last], axis=1), inner=inner, exact=exact)


def resampled(source: np.ndarray, *, inner: tuple[float, ...], width_px: int, height_px: int) -> np.ndarray:
    """``inner`` of uint8 (y, x, 3) pixels as (height_px, width_px, 3): bilinear, antialiased where it reduces."""
    image = Image.fromarray(source)
    return np.asarray(image.resize((width_px, height_px), Image.Resampling.BILINEAR, box=inner))
