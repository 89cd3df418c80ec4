"""Array positions of a HEST-1k slide and the scale that they imply. Not a layout: it has no ``files``.

The columns array_row and array_col are not grid positions for every sample (for pooled Visium HD they were numbered
after the empty bins had been removed). They are used where they explain the pixels; otherwise the pixels give the grid.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

logger = logging.getLogger(__name__)

MISFIT = 0.25  # of the distance between neighbours that an array may miss its pixels by (root mean square)
ROWS_LOOKED_AT = 4


def placed(
    array: np.ndarray | None, centres_px: np.ndarray, *, pitch_um: float | None, path: Path
) -> tuple[np.ndarray, float | None]:
    """Grid positions (S, 2) int64 as (row, column), and the µm per pixel that they imply at this pitch.

    The scale is ``None`` where the positions come from the pixels: a lattice with gaps does not tell its pitch.
    """
    if not is_grid(array, centres_px):
        logger.info("%s: array_row and array_col are no grid of the pixels; positions come from these", path)
        return from_pixels(centres_px), None
    estimate = None if pitch_um is None else row_mpp(array, centres_px, pitch_um=pitch_um)
    return array.astype(np.int64), None if estimate is None else estimate[0]


def is_grid(array: np.ndarray | None, centres_px: np.ndarray) -> bool:
    """Whether (row, column) positions (S, 2) are whole, differ, and lie on one affine map of the centres (S, 2)."""
    if array is None or not np.isfinite(array).all() or (array != np.rint(array)).any():
        return False
    if len(np.unique(array, axis=0)) < len(array):
        return False
    design = np.column_stack([array, np.ones(len(array))])
    fit, *_ = np.linalg.lstsq(design, centres_px, rcond=None)
    misfit = np.sqrt(((design @ fit - centres_px) ** 2).sum(axis=1).mean())
    return bool(misfit <= MISFIT * neighbour_px(centres_px))


def neighbour_px(centres_px: np.ndarray) -> float:
    """Median distance of a spot to its nearest neighbour; infinite for one spot alone."""
    if len(centres_px) < 2:
        return float("inf")
    return float(np.median(cKDTree(centres_px).query(centres_px, k=2)[0][:, 1]))


def from_pixels(centres_px: np.ndarray) -> np.ndarray:
    """(row, column) positions (S, 2) int64 counted in steps of the pitch; half steps where spots would coincide."""
    step = neighbour_px(centres_px)
    if not np.isfinite(step) or step <= 0:
        return np.stack([np.arange(len(centres_px)), np.zeros(len(centres_px))], axis=1).astype(np.int64)
    offset = (centres_px - centres_px.min(axis=0))[:, ::-1]
    for division in (1, 2, 4, 8):
        grid = np.rint(offset / (step / division)).astype(np.int64)
        if len(np.unique(grid, axis=0)) == len(grid):
            break
    return grid


def row_mpp(array: np.ndarray, centres_px: np.ndarray, *, pitch_um: float) -> tuple[float, float] | None:
    """µm per pixel and the span, in pitches, that it was taken from; ``None`` without two spots in a row.

    HEST's own estimate: of up to four rows of more than one spot the widest counts. On a staggered array, where row +
    column is even throughout or odd throughout, neighbours are two columns apart.
    """
    staggered = len(np.unique(array.sum(axis=1) % 2)) == 1
    widest, best = 0.0, None
    rows, sizes = np.unique(array[:, 0], return_counts=True)
    for row in rows[sizes > 1][:ROWS_LOOKED_AT]:
        inside = array[:, 0] == row
        columns, pixels = array[inside, 1], centres_px[inside]
        left, right = int(columns.argmin()), int(columns.argmax())
        span = float(columns[right] - columns[left]) / (2 if staggered else 1)
        distance = float(np.hypot(*(pixels[right] - pixels[left])))
        if span > widest and distance > 0:
            widest, best = span, (pitch_um * span / distance, span)
    return best
