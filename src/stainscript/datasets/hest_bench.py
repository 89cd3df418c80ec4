"""HEST-Bench (MahmoodLab/hest-bench): ``root/<task>/`` holds adata/<id>.h5ad, patches/<id>.h5, splits/ and gene lists.

The sheet's column ``condition`` is the task's folder. There is no slide image: the stored patches are the pictures.
They come from an older tissue mask than HEST-1k's, so that the spots differ from those of its ``patches/``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

PLATFORM = "Visium"  # unless the sheet says otherwise
PITCH_UM = 100.0
SPOT_DIAMETER_UM = 55.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {}
TASKS = ("IDC", "PRAD", "PAAD", "SKCM", "COAD", "READ", "CCRCC", "HCC", "LUNG", "LYMPH_IDC")  # folders


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``counts`` and ``patches`` that exist."""
    return {} if root is None else {role: path for role, path in expected_files(row, root).items() if path.is_file()}


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the slide cannot be used here, or ``None``."""
    if root is None:
        return base.NO_ROOT
    if row.get("condition", "") not in TASKS:
        return f"no task {row.get('condition', '')!r}: name one of {', '.join(TASKS)} in the sheet's column condition"
    found = files(row, root)
    for role, path in expected_files(row, root).items():
        if role not in found:
            return f"no {role} at {path.relative_to(root)}"
    return None


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the benchmark puts the slide's files."""
    task, name = Path(root) / row.get("condition", ""), row.get("hest_id") or row["slide"]
    return {"counts": task / "adata" / f"{name}.h5ad", "patches": task / "patches" / f"{name}.h5"}


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The spots that have a patch, joined by barcode, and their counts; spots without a patch are counted in the log.

    ``stated_mpp`` is the pixel size of the slide that the patches were cut from, where their file gives it. Raises
    ``DataContractError`` for faults of either file and for a patch whose barcode has no counts.
    """
    import numpy as np

    from stainscript.datasets import hest, hest_counts, hest_grid, hest_release
    from stainscript.datasets.hest_files import PatchFile

    base.checked_options(sys.modules[__name__], options)
    paths = base.require(files, ["counts", "patches"], slide=row["slide"])
    counts = hest_counts.read_h5ad(paths["counts"])
    with PatchFile(paths["patches"]) as patches:
        barcodes, attributes = patches.barcodes, patches.attributes
        if patches.width_px is None:
            raise DataContractError(
                paths["patches"],
                "img",
                expected="images: the benchmark has no slide to cut them from",
                found="coordinates only",
                remedy="download the benchmark's own patches/",
            )
    place = counts.adata.obs_names.get_indexer(barcodes)
    if (place < 0).any():
        raise DataContractError(
            paths["patches"],
            "barcode",
            expected=f"only spots of {paths['counts']}",
            found=f"{int((place < 0).sum())} of {len(place)} that match none (first: {barcodes[place < 0][0]})",
            remedy="take patches and counts of one slide and release",
        )
    left_out = counts.adata.n_obs - len(place)
    if left_out:
        logger.info("%s: %d of %d spots have no patch and are left out", row["slide"], left_out, counts.adata.n_obs)
    platform = row.get("platform") or PLATFORM
    pitch_um, diameter_um = hest.SIZES_UM.get(platform, (None, None))
    grid, grid_mpp = hest_grid.placed(counts.array, counts.centres_px, pitch_um=pitch_um, path=paths["counts"])
    rows = np.sort(place)
    rows = rows[np.lexsort((grid[rows, 1], grid[rows, 0]))]
    mpp = None
    if "pixel_size" in attributes:
        mpp = hest_release.pixel_size({hest_release.PIXEL_SIZE: attributes["pixel_size"]}, path=paths["patches"])
    return base.RawSlide(
        platform=platform,
        spot_diameter_um=diameter_um,
        spots=hest.spots_frame(counts.adata.obs_names[rows], counts.centres_px[rows], grid[rows]),
        adata=counts.adata[rows].copy() if base.has_expression(row) else None,
        grid_mpp=grid_mpp,
        stated_mpp=mpp,
        stated_in=None if mpp is None else paths["patches"],
    )
