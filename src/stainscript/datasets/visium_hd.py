"""Visium HD: the output folder of Space Ranger 3 or 4, bins of 2, 8 or 16 µm, pooled into squares of a spot's size.

``root/<slide>/outs/`` or ``root/<slide>/`` holds ``binned_outputs/square_016um/`` and the like; version 4's
``segmented_outputs`` (cells) are not read. The image is found, and replaced on request, as for ``visium``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base, hires, visium
from stainscript.datasets.scale import MPP_TOLERANCE
from stainscript.errors import DataContractError

PLATFORM = "Visium HD"
PITCH_UM = 128.0  # of the pooled squares, as of HEST-1k's
SPOT_DIAMETER_UM = 128.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {
    "bin_um": 16,  # width of the bins that are read: Space Ranger writes 2, 8 and 16
    "pool_um": 128.0,  # width of the squares that bins are summed into, a multiple of bin_um; null: bins as they are
    "genome": "",  # which genome of a mixed reference; empty: the only one
    "image": "fullres",  # hires: tissue_hires_image.png in the place of the full-resolution image
}
FILE_OPTIONS = ("bin_um", "image")
NULL_OPTIONS = ("pool_um",)


def files(
    row: Mapping[str, str], root: str | Path | None, *, bin_um: int = 16, image: str = "fullres"
) -> dict[str, Path]:
    """Roles that exist: ``matrix`` (.h5, or .mtx with ``barcodes``, ``features``), ``positions``, ``scalefactors``,
    ``image``, and ``hires``, the downsampled one."""
    if root is None:
        return {}
    outs, square = visium.output_folder(row, Path(root)), _square(row, Path(root), bin_um)
    small = visium.only([square / "spatial", outs / "spatial"], [hires.IMAGE])
    roles = {
        **(visium.matrix_files(square) if base.has_expression(row) else {}),
        "positions": square / "spatial" / "tissue_positions.parquet",
        "scalefactors": square / "spatial" / hires.SCALEFACTORS,
        "hires": small,
        "image": small if image == "hires" else visium.fullres_image(row, Path(root), outs),
    }
    return {role: path for role, path in roles.items() if path is not None and path.is_file()}


def missing(row: Mapping[str, str], root: str | Path | None, *, bin_um: int = 16, image: str = "fullres") -> str | None:
    """Why the slide cannot be used here, or ``None``; no image is opened."""
    if root is None:
        return base.NO_ROOT
    hires.check_choice(image)
    found = files(row, root, bin_um=bin_um, image=image)
    square = _square(row, Path(root), bin_um)
    name = square.relative_to(root)
    if not square.is_dir():
        others = sorted(path.name for path in square.parent.glob("square_*um"))
        return f"no {name}" + (f", only {', '.join(others)}: see the option bin_um" if others else "")
    if base.has_expression(row) and "matrix" not in found:
        return f"no {visium.MATRIX}.h5 and no {visium.MATRIX}/matrix.mtx.gz under {name}"
    if found.get("matrix", Path("x.h5")).suffix != ".h5":
        for role in ("barcodes", "features"):
            if role not in found:
                return f"no {role}.tsv.gz beside {found['matrix'].relative_to(root)}"
    for role, file in (("positions", "tissue_positions.parquet"), ("scalefactors", hires.SCALEFACTORS)):
        if role not in found:
            return f"no {file} under {name}/spatial"
    return visium.no_image(row, found, where=str(visium.output_folder(row, Path(root)).relative_to(root)), image=image)


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the canonical layout puts the slide's files: in ``root/<slide>/outs/``, bins of 16 µm."""
    own = Path(root) / row["slide"]
    square = own / "outs" / "binned_outputs" / "square_016um"
    paths = {
        "matrix": square / f"{visium.MATRIX}.h5",
        "positions": square / "spatial" / "tissue_positions.parquet",
        "scalefactors": square / "spatial" / hires.SCALEFACTORS,
        "image": own / row["image"] if row.get("image") else own / "outs" / f"{row['slide']}.tif",
    }
    return {role: path for role, path in paths.items() if role != "matrix" or base.has_expression(row)}


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The squares that hold tissue and the sums of their bins' counts; a bin in tissue without counts adds none.

    Raises ``DataContractError`` for options that do not fit, for bins of another width than ``bin_um``, for a
    ``microns_per_pixel`` that the bins' pitch contradicts by more than 5 %, for a barcode of the matrix without a
    position, and without the full-resolution image unless ``image: hires``.
    """
    from stainscript.datasets import pooling, positions, spaceranger

    chosen = base.checked_options(sys.modules[__name__], options)
    bin_um = chosen["bin_um"]
    side = _bins_a_side(bin_um, chosen["pool_um"])
    paths = {role: Path(path) for role, path in files.items()}
    wanted = ["positions", "scalefactors", *(["matrix"] if base.has_expression(row) else [])]
    base.require(paths, wanted, slide=row["slide"])
    scale = visium.image_scale(paths, chosen["image"], slide=row["slide"])
    table = positions.read_positions(paths["positions"])
    mpp = positions.grid_mpp(table, pitch_um=bin_um, packing=positions.SQUARE)
    _check_scale(paths["scalefactors"], bin_um=bin_um, mpp=mpp)
    adata = spaceranger.read_matrix(paths, genome=chosen["genome"]) if base.has_expression(row) else None
    inside = positions.placed(table, adata, path=paths["positions"], drop_uncounted=True)
    if side > 1:
        name = f"s_{bin_um * side:03d}um_{{row:05d}}_{{col:05d}}-1"  # as Space Ranger names bins
        path = paths.get("matrix", paths["positions"])
        spots, adata = pooling.pool_bins(table, adata, side=side, name=name, path=path)
    else:
        spots = positions.spots_of(inside)
        adata = None if adata is None else adata[spots["spot_id"].to_numpy()].copy()
    return base.RawSlide(
        platform=PLATFORM if scale == 1 else f"{PLATFORM}, image {1 / scale:.3g} times coarser",
        spot_diameter_um=float(bin_um * side),
        spots=spots.assign(x_px=spots["x_px"] * scale, y_px=spots["y_px"] * scale),
        adata=adata,
        grid_mpp=None if mpp is None else mpp / scale,
        image_scale=scale,
    )


def _bins_a_side(bin_um: int, pool_um: float | None) -> int:
    """Bins along the side of a pooled square; 1 without pooling."""
    width = bin_um if pool_um is None else pool_um
    if bin_um < 1 or width < bin_um or width % bin_um:
        raise DataContractError(
            "config",
            "datasets.options.pool_um",
            expected=f"a multiple of bin_um ({bin_um}), or null",
            found=pool_um,
            remedy="choose a pool_um that whole bins fill: 128 with bins of 2, 8 or 16",
        )
    return int(width) // bin_um


def _check_scale(path: Path, *, bin_um: int, mpp: float | None) -> None:
    factors = hires.scalefactors(path, ("bin_size_um", "microns_per_pixel"))
    wrong = None
    if factors["bin_size_um"] != bin_um:
        wrong = ("bin_size_um", f"{bin_um}, as the option bin_um says", factors["bin_size_um"])
    elif mpp is not None and abs(factors["microns_per_pixel"] - mpp) > MPP_TOLERANCE * mpp:
        expected = f"{mpp:.4g}, as the bins' positions imply, within {MPP_TOLERANCE:.0%}"
        wrong = ("microns_per_pixel", expected, factors["microns_per_pixel"])
    if wrong is not None:
        raise DataContractError(
            path,
            wrong[0],
            expected=wrong[1],
            found=wrong[2],
            remedy="take positions and scale factors from one square_*um folder of one run",
        )


def _square(row: Mapping[str, str], root: Path, bin_um: int) -> Path:
    outs, name = visium.output_folder(row, root), f"square_{bin_um:03d}um"
    return outs / name if (outs / name).is_dir() else outs / "binned_outputs" / name
