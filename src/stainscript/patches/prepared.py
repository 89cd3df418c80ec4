"""Patches that a data set brings ready-made (HEST-Bench has no slides): the same blocks as from a slide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stainscript.datasets.hest_files import PatchFile
from stainscript.errors import DataContractError
from stainscript.patches.stream import CropBlock
from stainscript.patches.views import Crops
from stainscript.types import ViewSpec

READER = "patches"  # of a slide record whose image is a file of patches
MPP_TOLERANCE = 0.05


def plan_prepared(file: PatchFile, *, view: ViewSpec, spot_id: Sequence[str]) -> Crops:
    """The stored patches of ``spot_id`` as a view's crops, in that order; joined by barcode.

    Raises ``DataContractError`` for a spot without a patch, and unless the view is a plain patch of the stored size
    and, where the file says it, of the stored µm per pixel: nothing can be cut anew.
    """
    stored = {"width_px": file.width_px, "mpp": _stored_mpp(file.attributes)}
    other = view.grid > 1 or view.field > 1 or view.width_px != stored["width_px"]
    scale = stored["mpp"] is not None and view.mpp is not None
    if other or (scale and abs(view.mpp - stored["mpp"]) > MPP_TOLERANCE * stored["mpp"]):
        raise DataContractError(
            file.path,
            f"view {view.name}",
            expected=f"a plain patch of {stored['width_px']} px"
            + (f" of {stored['mpp']:.4g} µm" if stored["mpp"] is not None else ""),
            found=f"width_px {view.width_px}, mpp {view.mpp}, grid {view.grid}, field {view.field}",
            remedy="these patches are stored and there is no slide to cut others from: choose the view hest_patch",
        )
    rows = file.rows_of(spot_id)
    side = float(file.attributes.get("patch_size_src", view.width_px))
    corners = file.coords[rows].astype(np.float64)
    return Crops(
        view=view,
        boxes=np.concatenate([corners, corners + side], axis=1)[:, None],
        valid=np.ones((len(rows), 1), bool),
        cell=np.zeros(len(rows), np.int64),
        outside=np.zeros(len(rows)),
    )


def stream_prepared(file: PatchFile, *, view: str, spot_id: Sequence[str], block: int) -> Iterator[CropBlock]:
    """The patches in blocks of at most ``block``, in the order of ``spot_id``."""
    start = 0
    for images in file.blocks(file.rows_of(spot_id), size=block):
        yield CropBlock(view=view, index=np.arange(start, start + len(images)), images=images)
        start += len(images)


def extent_px(file: PatchFile) -> tuple[int, int]:
    """Width and height in level-0 pixels of the smallest slide that holds all patches."""
    side = int(file.attributes.get("patch_size_src", file.width_px or 0))
    width, height = (file.coords.max(axis=0) + side).tolist()
    return int(width), int(height)


def mosaic(file: PatchFile, *, long_side_px: int) -> np.ndarray:
    """A picture of the slide from its patches, (y, x, 3) uint8, white where there is none."""
    width, height = extent_px(file)
    scale = min(1.0, long_side_px / max(width, height))
    picture = np.full((max(1, round(height * scale)), max(1, round(width * scale)), 3), 255, np.uint8)
    side = float(file.attributes.get("patch_size_src", file.width_px or 1))
    tile = max(1, round(side * scale))
    inner = (np.arange(tile) + 0.5) * file.width_px / tile  # the stored pixel under each pixel of the picture
    inner = inner.astype(int)
    corners = np.floor(file.coords * scale).astype(int)
    row = 0
    for images in file.blocks(np.arange(len(file)), size=256):
        for image in images[:, inner][:, :, inner]:
            x, y = np.maximum(corners[row], 0)
            target = picture[y : y + tile, x : x + tile]
            target[:] = image[: target.shape[0], : target.shape[1]]
            row += 1
    return picture


def _stored_mpp(attributes: dict[str, Any]) -> float | None:
    """µm per pixel of the stored images."""
    if not {"pixel_size", "patch_size_src", "patch_size_target"} <= set(attributes):
        return None
    return float(attributes["pixel_size"]) * attributes["patch_size_src"] / attributes["patch_size_target"]
