"""The HEST-1k layout (mahmoodlab/HEST, release 1.1): ``root`` holds st/, wsis/, metadata/, patches/ and tissue_seg/.

The sheet's ``hest_id``, or else the slide's name, is the file name. Nuclei (cellvit_seg/), Xenium outlines
(xenium_seg/) and transcripts are not read: prediction needs none of them. The image is a TIFF whose own resolution is
ten times too small; the µm per pixel come from metadata/<id>.json and outrank it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.datasets import base
from stainscript.errors import DataContractError, unknown_name

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

PLATFORM = "Visium"  # unless the sheet or the metadata say otherwise
PITCH_UM = 100.0
SPOT_DIAMETER_UM = 55.0
HAS_EXPRESSION = True
KEEP = ("all", "patches", "tissue")
OPTIONS: dict[str, Any] = {
    "keep": "all",  # spots: all; patches: those in patches/<id>.h5; tissue: those whose patch is tissue to 15 % or more
    "field_um": 112.0,  # side of the patch that keep: tissue asks about
    "drop_outside": False,  # true: leave out spots whose centre is outside the image; false: an error
}
SIZES_UM = {"Visium": (100.0, 55.0), "Visium HD": (128.0, 128.0), "Xenium": (100.0, 100.0)}  # pitch; spot or pooled bin


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``counts``, ``metadata`` and ``image``, and of ``patches`` and ``tissue`` those that exist."""
    if root is None:
        return {}
    paths = expected_files(row, root)
    if row.get("image"):
        paths["image"] = base.named_image(row, [Path(root), Path(root) / "wsis"])
    pickled = Path(root) / "tissue_seg" / f"{_id(row)}_mask.pkl"  # of early releases; refused when it is needed
    if not paths["tissue"].is_file() and pickled.is_file():
        paths["tissue"] = pickled
    return {role: path for role, path in paths.items() if path is not None and path.is_file()}


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the slide cannot be used here, or ``None``."""
    if root is None:
        return base.NO_ROOT
    found, wanted = files(row, root), expected_files(row, root)
    for role in ("counts", "metadata", "image"):
        if role not in found:
            return f"no {role} at {wanted[role].relative_to(root)}"
    return None


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the release puts the slide's files."""
    root, name = Path(root), _id(row)
    return {
        "counts": root / "st" / f"{name}.h5ad",
        "metadata": root / "metadata" / f"{name}.json",
        "image": root / row["image"] if row.get("image") else root / "wsis" / f"{name}.tif",
        "patches": root / "patches" / f"{name}.h5",
        "tissue": root / "tissue_seg" / f"{name}_contours.geojson",
    }


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The slide's spots and counts; which spots stay is the option ``keep``.

    Raises ``DataContractError`` for metadata without the pixel size, faults of the counts file (``hest_counts``),
    centres outside the image unless ``drop_outside``, and, where asked for, patches or outlines that do not fit.
    """
    import numpy as np

    from stainscript.datasets import hest_counts, hest_grid, hest_release

    chosen = base.checked_options(sys.modules[__name__], options)
    if chosen["keep"] not in KEEP:
        raise unknown_name("config", "datasets.options.keep", chosen["keep"], KEEP)
    paths = base.require(files, ["counts", "metadata"], slide=row["slide"])
    metadata = hest_release.read_metadata(paths["metadata"])
    mpp = hest_release.pixel_size(metadata, path=paths["metadata"])
    counts = hest_counts.read_h5ad(paths["counts"])
    kept = _inside(counts.centres_px, metadata, paths["counts"], drop=chosen["drop_outside"])
    if chosen["keep"] == "patches":
        kept &= _with_patch(counts.adata.obs_names, base.require(files, ["patches"], slide=row["slide"]))
    if chosen["keep"] == "tissue":
        kept &= _on_tissue(counts.centres_px, paths.get("tissue"), side_px=chosen["field_um"] / mpp)
    if not kept.all():
        logger.info("%s: %d of %d spots left out (keep: %s)", row["slide"], (~kept).sum(), len(kept), chosen["keep"])
    if not kept.any():
        raise DataContractError(
            paths["counts"],
            "spots",
            expected=f"at least one that stays (keep: {chosen['keep']})",
            found="none",
            remedy="compare patches and outlines with this slide, or set the option keep to all",
        )
    platform = str(row.get("platform") or metadata.get("st_technology") or PLATFORM)
    pitch_um, diameter_um = _spot_size(platform, metadata)
    grid, grid_mpp = hest_grid.placed(counts.array, counts.centres_px, pitch_um=pitch_um, path=paths["counts"])
    rows = np.flatnonzero(kept)
    rows = rows[np.lexsort((grid[rows, 1], grid[rows, 0]))]
    return base.RawSlide(
        platform=platform,
        spot_diameter_um=diameter_um,
        spots=spots_frame(counts.adata.obs_names[rows], counts.centres_px[rows], grid[rows]),
        adata=counts.adata[rows].copy() if base.has_expression(row) else None,
        grid_mpp=grid_mpp,
        stated_mpp=mpp,
        stated_in=paths["metadata"],
    )


def spots_frame(spot_ids: Any, centres_px: np.ndarray, grid: np.ndarray) -> Any:
    """A spots frame as ``base.RawSlide`` describes it."""
    import numpy as np
    import pandas as pd

    grid = np.asarray(grid).astype(np.int64)
    columns = {"x_px": centres_px[:, 0], "y_px": centres_px[:, 1], "grid_row": grid[:, 0], "grid_col": grid[:, 1]}
    return pd.DataFrame({"spot_id": np.asarray(spot_ids, dtype=object), **columns})


def _id(row: Mapping[str, str]) -> str:
    return row.get("hest_id") or row["slide"]


def _spot_size(platform: str, metadata: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Pitch and diameter in µm: of the pooled bins for Xenium and Visium HD, whose entries speak of something else."""
    if platform in SIZES_UM:
        return SIZES_UM[platform]
    values = [metadata.get(name) for name in ("inter_spot_dist", "spot_diameter")]
    pitch_um, diameter_um = (float(value) if isinstance(value, int | float) and value > 0 else None for value in values)
    return pitch_um, diameter_um


def _inside(centres_px: np.ndarray, metadata: Mapping[str, Any], path: Path, *, drop: bool) -> np.ndarray:
    """Which centres (S,) lie in the image, whose size the metadata give; all where they do not."""
    import numpy as np

    sizes = [metadata.get(f"fullres_px_{side}") or metadata.get(f"fullres_{side}") for side in ("width", "height")]
    if not all(isinstance(size, int | float) for size in sizes):
        return np.ones(len(centres_px), dtype=bool)
    inside = ((centres_px >= 0) & (centres_px <= np.array(sizes))).all(axis=1)
    if not drop and not inside.all():
        first = centres_px[~inside][0]
        raise DataContractError(
            path,
            "obsm['spatial']",
            expected=f"centres inside 0..{sizes[0]:g} × 0..{sizes[1]:g} px, the size that the metadata give",
            found=f"{int((~inside).sum())} of {len(inside)} outside (first: {first[0]:g}, {first[1]:g})",
            remedy="take counts and metadata of one slide, or set the option drop_outside",
        )
    return inside


def _with_patch(barcodes: Any, paths: Mapping[str, Path]) -> np.ndarray:
    from stainscript.datasets.hest_files import PatchFile

    with PatchFile(paths["patches"]) as patches:
        unplaced = [barcode for barcode in patches.barcodes if barcode not in barcodes]
        if unplaced:
            raise DataContractError(
                paths["patches"],
                "barcode",
                expected=f"only spots of {paths['counts']}",
                found=f"{len(unplaced)} of {len(patches)} that match none (first: {unplaced[0]})",
                remedy="take patches and counts of one slide and release",
            )
        return barcodes.isin(patches.barcodes)


def _on_tissue(centres_px: np.ndarray, outlines: Path | None, *, side_px: float) -> np.ndarray:
    from stainscript.datasets import contours

    known = [] if outlines is None else contours.read_contours(outlines)
    if not known:
        logger.warning("no outlines of tissue in tissue_seg/: every spot stays")
    corners = contours.patch_corners(centres_px, side_px=side_px)
    return contours.on_tissue(corners, side_px=round(side_px), contours=known)
