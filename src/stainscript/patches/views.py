"""Plan every crop of a view before a pixel is read: boxes, validity, and the cell of a field."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stainscript import seeds
from stainscript.errors import DataContractError
from stainscript.patches.geometry import cells_on_slide, field_boxes, grid_boxes, inside, outside_shares, own_patches
from stainscript.types import ViewSpec

NO_CELL = -1


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Every crop of one view on one slide: S spots × C cells; C is 1 but for a grid (k²).

    boxes: level-0 (left, top, right, bottom); each becomes one image of ``view.width_px`` pixels. valid: cells that
    count; where it is false the image is black (all bytes 0), for the user to replace. cell: of a field, where the
    spot's patch lies (row-major, 0 upper left), −1 where no cell keeps the image on the slide. outside: share of each
    spot's own image beyond the slide (of a grid, of the patch in its middle).
    """

    view: ViewSpec
    boxes: np.ndarray  # (S, C, 4) float64
    valid: np.ndarray  # (S, C) bool
    cell: np.ndarray  # (S,) int64
    outside: np.ndarray  # (S,) float64

    def __len__(self) -> int:
        """Crops in all, S · C."""
        return self.valid.size

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """One crop as (y, x, rgb)."""
        return self.view.width_px, self.view.width_px, 3

    def take(self, spots: np.ndarray | slice) -> Crops:
        """The crops of some spots, in the order given."""
        parts = {name: getattr(self, name)[spots] for name in ("boxes", "valid", "cell", "outside")}
        return replace(self, **parts)


def plan_crops(
    view: ViewSpec,
    *,
    xy_px: np.ndarray,
    slide_mpp: float | None,
    slide_width_px: int,
    slide_height_px: int,
    path: str | Path = "slide",
) -> Crops:
    """The crops of ``view`` around (S, 2) centres (x, y) in level-0 pixels.

    A spot's draw of a field's cell depends on the view's seed and the spot's own position alone: other spots, their
    number and their order change nothing. A field with a stated cell, and a patch, may leave the slide; ``view.edge``
    fills them. ``corner: hest`` keeps what HEST-1k keeps: corners from −side up to the slide's size; other spots are
    not valid. Raises ``DataContractError`` for an image that is larger than the slide. path:
    the slide, for the message.
    """
    size = {"width_px": slide_width_px, "height_px": slide_height_px}
    corners, side = own_patches(view, xy_px=xy_px, slide_mpp=slide_mpp)
    _fits(view, side=side * view.field, path=path, **size)
    own = grid_boxes(corners, side=side, grid=1)
    spots = np.arange(len(corners))
    cell = np.zeros(len(corners), dtype=np.int64)
    if view.field > 1:
        native = view.mpp is None and view.corner != "hest"
        every = field_boxes(corners, side=side, field=view.field, whole_px=native)
        cell = (
            np.full(len(corners), view.cell, dtype=np.int64)
            if view.cell is not None
            else draw_cells(inside(every, **size), xy_px=xy_px, seed=view.seed)
        )
        shown = np.where(cell == NO_CELL, view.field**2 // 2, cell)
        boxes, valid = every[spots, shown][:, None], (cell != NO_CELL)[:, None]
    else:
        boxes = grid_boxes(corners, side=side, grid=view.grid)
        valid = cells_on_slide(boxes, grid=view.grid, **size)
    if view.corner == "hest":
        valid = valid & kept_by_hest(own[:, 0], **size)[:, None]
    middle = boxes[:, boxes.shape[1] // 2]
    return Crops(view=view, boxes=boxes, valid=valid, cell=cell, outside=outside_shares(middle, **size))


def draw_cells(possible: np.ndarray, *, xy_px: np.ndarray, seed: int) -> np.ndarray:
    """One of each spot's possible cells, all equally likely: (S, C) bool → (S,); −1 where none is.

    The draw is a number mixed from the seed and the bits of the spot's position, so it is the spot's own.
    """
    bits = np.ascontiguousarray(np.asarray(xy_px, dtype=np.float64).reshape(-1, 2) + 0.0).view(np.uint64)
    state = np.uint64(seeds.stream_seed(seed, "cell of a field"))
    mixed = _mix(_mix(bits[:, 0] ^ state) + bits[:, 1])
    uniform = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [0, 1)
    count = possible.sum(axis=1)
    nth = np.floor(uniform * count).astype(np.int64)
    chosen = (np.cumsum(possible, axis=1) > nth[:, None]).argmax(axis=1)
    return np.where(count > 0, chosen, NO_CELL)


def kept_by_hest(boxes: np.ndarray, *, width_px: int, height_px: int) -> np.ndarray:
    """Patches that HEST-1k keeps, (S, 4) → (S,): −side ≤ left < width and −side ≤ top < height (section 1.5)."""
    low, side = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    return ((low >= -side) & (low < [width_px, height_px])).all(axis=1)


def _fits(view: ViewSpec, *, side: float, path: str | Path, width_px: int, height_px: int) -> None:
    if side > min(width_px, height_px) + 1e-6 * side:
        raise DataContractError(
            path,
            f"view {view.name}",
            expected=f"at most the slide's {width_px} × {height_px} px",
            found=f"{side:.6g} × {side:.6g} px of the slide",
            remedy="give a smaller width_px or mpp, or leave this slide out; check the slide's µm per pixel",
        )


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread every bit over all 64, a bijection (finaliser of SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)  # wraps around, as it should
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
