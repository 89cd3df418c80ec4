"""Where a view's squares lie on a slide: µm to level-0 pixels, corners, cells of a region, shares outside.

A point (x, y) is continuous: pixel (column c, row r) covers [c, c + 1) × [r, r + 1). A box is (left, top, right,
bottom) in level-0 pixels, fractions allowed. All functions take all spots at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stainscript.types import ViewSpec

DUST_PX = 1e-6  # rounding of µm: a square that passes the slide's edge by less touches it


def side_px(*, width_px: int, mpp: float | None, slide_mpp: float | None) -> float:
    """Side in level-0 pixels of a view of ``width_px`` pixels of ``mpp`` µm; native pixels where ``mpp`` is None."""
    if mpp is None:
        return float(width_px)
    if slide_mpp is None or not slide_mpp > 0:
        raise ValueError(f"a view in µm needs the slide's µm per pixel, and it is {slide_mpp}")
    return width_px * mpp / slide_mpp


def own_patches(view: ViewSpec, *, xy_px: np.ndarray, slide_mpp: float | None) -> tuple[np.ndarray, float]:
    """Upper left corner (S, 2) of each spot's own patch, and the patch's side: both in level-0 pixels.

    xy_px: (S, 2) centres (x, y). The patch is the whole image, or one cell of a field. Three ways to place it:

    - with ``mpp`` it is centred on the point itself and may begin between pixels, so that its side is the same in µm on
      every slide;
    - native pixels (``mpp`` None): the centre is floored and the patch begins at x − width // 2 (classic protocol,
      section 5);
    - ``corner: hest``: it begins at trunc(x − ⌊side / 2⌋) and has round(side) pixels (HEST-1k, section 1.5).
    """
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    side = side_px(width_px=view.width_px, mpp=view.mpp, slide_mpp=slide_mpp) / view.field
    if view.corner == "hest":
        return np.trunc(xy_px - side // 2), float(round(side))
    if view.mpp is None:
        return np.floor(xy_px) - side // 2, side
    return xy_px - side / 2, side


def grid_boxes(corners: np.ndarray, *, side: float, grid: int) -> np.ndarray:
    """Boxes (S, grid², 4) of grid × grid adjacent patches, row-major, the one at ``corners`` (S, 2) in the middle."""
    steps = np.arange(grid) - grid // 2
    rows, columns = (offset.ravel() for offset in np.meshgrid(steps, steps, indexing="ij"))
    low = corners[:, None, :] + side * np.stack([columns, rows], axis=1)  # (S, C, 2)
    return np.concatenate([low, low + side], axis=2)


def cells_on_slide(boxes: np.ndarray, *, grid: int, width_px: int, height_px: int) -> np.ndarray:
    """Which cells (S, C) of ``grid_boxes`` count: (S, C, 4) → bool.

    A row or column is blank where its outer edge passes the slide's border; one that touches it counts. The middle row
    and column always count (classic protocol, section 5).
    """
    square = boxes.reshape(len(boxes), grid, grid, 4)
    left, right = square[:, 0, :, 0], square[:, 0, :, 2]  # (S, columns)
    top, bottom = square[:, :, 0, 1], square[:, :, 0, 3]  # (S, rows)
    near, far = np.arange(grid) < grid // 2, np.arange(grid) > grid // 2
    columns = ~((near & (left < -DUST_PX)) | (far & (right > width_px + DUST_PX)))
    rows = ~((near & (top < -DUST_PX)) | (far & (bottom > height_px + DUST_PX)))
    return (rows[:, :, None] & columns[:, None, :]).reshape(len(boxes), grid**2)


def field_boxes(corners: np.ndarray, *, side: float, field: int, whole_px: bool) -> np.ndarray:
    """Boxes (S, field², 4) of the image of field × field patches, one for each cell that the patch may lie in.

    corners: (S, 2) of the patch. Cell ``field · row + column`` puts it at that row and column of the image (STAMP,
    section 5). whole_px: native pixels, where a patch may be a fraction of a pixel wide but the image may not.
    """
    rows, columns = (offset.ravel() for offset in np.indices((field, field)))
    low, width = corners[:, None, :] - side * np.stack([columns, rows], axis=1), side * field
    if whole_px:
        low, width = np.floor(low), round(width)
    return np.concatenate([low, low + width], axis=2)


def inside(boxes: np.ndarray, *, width_px: int, height_px: int) -> np.ndarray:
    """Which boxes (..., 4) lie on the slide as a whole; one that touches the border does."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return ((low >= -DUST_PX) & (high <= np.array([width_px, height_px]) + DUST_PX)).all(axis=-1)


def outside_shares(boxes: np.ndarray, *, width_px: int, height_px: int) -> np.ndarray:
    """Share of each box's area beyond the slide: (..., 4) → (...) in [0, 1]; exactly 0 where all is inside."""
    low, high = boxes[..., :2], boxes[..., 2:]
    size = np.array([width_px, height_px], dtype=np.float64)
    shared = np.clip(np.minimum(high, size) - np.maximum(low, 0), 0, None) / (high - low)  # each axis alone
    share = 1 - shared.prod(axis=-1)
    return np.where(inside(boxes, width_px=width_px, height_px=height_px), 0.0, np.clip(share, 0, 1))


@dataclass(frozen=True, kw_only=True)
class OnSlide:
    """Of n square images, the whole output pixels that lie on the slide; the rest is filled."""

    boxes: np.ndarray  # (n, 4) float64: their box at level 0
    first: np.ndarray  # (n, 2) int64: column and row where they begin
    count: np.ndarray  # (n, 2) int64: columns and rows of them; 0 where nothing shows

    @property
    def empty(self) -> np.ndarray:
        """Images that show nothing of the slide, (n,)."""
        return (self.count == 0).any(axis=1)


def on_slide(boxes: np.ndarray, *, image_px: int, width_px: int, height_px: int) -> OnSlide:
    """What of images of ``image_px`` pixels a side, over ``boxes`` (n, 4), lies on a slide of this size."""
    low, high = boxes[:, :2], boxes[:, 2:]
    size = np.array([width_px, height_px], dtype=np.float64)
    scale = (high - low) / image_px  # level-0 pixels an output pixel
    first = np.maximum(0, np.ceil(-low / scale - DUST_PX)).astype(np.int64)
    end = np.minimum(image_px, np.floor((size - low) / scale + DUST_PX)).astype(np.int64)
    begin_px = np.where(first > 0, low + first * scale, low)
    end_px = np.where(end < image_px, low + end * scale, high)
    return OnSlide(
        boxes=np.concatenate([np.maximum(begin_px, 0), np.minimum(end_px, size)], axis=1),
        first=first,
        count=np.maximum(0, end - first),
    )
