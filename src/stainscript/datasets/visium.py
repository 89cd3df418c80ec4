"""Visium: the output folder of Space Ranger 1.x, 2.x or later, and the full-resolution image that it was run on.

``root/<slide>/outs/`` or ``root/<slide>/`` holds the matrix and ``spatial/``. Space Ranger does not copy the
full-resolution image: the sheet's column ``image`` names it, or it is the only image beside the output.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base

PLATFORM = "Visium"
PITCH_UM = 100.0
SPOT_DIAMETER_UM = 55.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {
    "drop_uncounted": False,  # true: leave out in-tissue barcodes that the matrix lacks; false: an error
}

MATRIX = "filtered_feature_bc_matrix"
POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv")  # Space Ranger 2 and later; 1


def files(row: Mapping[str, str], root: str | Path | None) -> dict[str, Path]:
    """Roles ``matrix`` (.h5, or .mtx with ``barcodes``, ``features``), ``positions``, ``scalefactors``, ``image``."""
    if root is None:
        return {}
    folder = _folder(row, Path(root))
    spatial = folder / "spatial"
    roles = {
        **(_matrix_files(folder) if base.has_expression(row) else {}),
        "positions": _positions(spatial),
        "scalefactors": spatial / "scalefactors_json.json",
        "image": _image(row, Path(root), folder),
    }
    return {role: path for role, path in roles.items() if path is not None and path.is_file()}


def missing(row: Mapping[str, str], root: str | Path | None) -> str | None:
    """Why the slide cannot be used here, or ``None``."""
    if root is None:
        return base.NO_ROOT
    found = files(row, root)
    name = _folder(row, Path(root)).relative_to(root)
    if base.has_expression(row) and "matrix" not in found:
        return f"no {MATRIX}.h5 and no {MATRIX}/matrix.mtx.gz under {name}"
    if found.get("matrix", Path("x.h5")).suffix != ".h5":
        for role in ("barcodes", "features"):
            if role not in found:
                return f"no {role}.tsv.gz beside {found['matrix'].relative_to(root)}"
    if "positions" not in found:
        return f"no tissue_positions.csv and no tissue_positions_list.csv under {name}/spatial"
    if "image" not in found:
        if row.get("image"):
            return f"no image at {row['image']}"
        return f"no full-resolution image, or several, under {name}: name it in the sheet's column image"
    return None


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the canonical layout puts the slide's files: in ``root/<slide>/outs/``."""
    outs = Path(root) / row["slide"] / "outs"
    paths = {
        "matrix": outs / f"{MATRIX}.h5",
        "positions": outs / "spatial" / "tissue_positions.csv",
        "scalefactors": outs / "spatial" / "scalefactors_json.json",
        "image": Path(root) / row["slide"] / row["image"] if row.get("image") else outs / f"{row['slide']}.tif",
    }
    return {role: path for role, path in paths.items() if role != "matrix" or base.has_expression(row)}


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """The spots in tissue and their counts.

    Raises ``DataContractError`` for a barcode of the matrix without a position, and for an in-tissue barcode without
    counts unless ``drop_uncounted`` (their number is then logged).
    """
    from stainscript.datasets import spaceranger

    chosen = base.checked_options(sys.modules[__name__], options)
    paths = {role: Path(path) for role, path in files.items()}
    if "positions" in paths and not paths["positions"].is_file():
        paths["positions"] = _positions(paths["positions"].parent)  # a generated slide's version is known only now
    base.require(paths, ["positions", *(["matrix"] if base.has_expression(row) else [])], slide=row["slide"])
    positions = spaceranger.read_positions(paths["positions"])
    grid_mpp = spaceranger.grid_mpp(positions, pitch_um=PITCH_UM)
    if grid_mpp is None and "scalefactors" in paths and paths["scalefactors"].is_file():
        grid_mpp = spaceranger.diameter_mpp(paths["scalefactors"], diameter_um=SPOT_DIAMETER_UM)
    adata = spaceranger.read_matrix(paths) if base.has_expression(row) else None
    spots = spaceranger.spots_in_tissue(
        positions, adata, path=paths["positions"], drop_uncounted=chosen["drop_uncounted"]
    )
    return base.RawSlide(
        platform=PLATFORM,
        spot_diameter_um=SPOT_DIAMETER_UM,
        spots=spots,
        adata=None if adata is None else adata[spots["spot_id"].to_numpy()].copy(),
        grid_mpp=grid_mpp,
    )


def _folder(row: Mapping[str, str], root: Path) -> Path:
    own = root / row["slide"]
    return own / "outs" if (own / "outs").is_dir() else own


def _positions(spatial: Path) -> Path:
    """The positions file: Space Ranger 2's name, or version 1's where only that one exists."""
    first, second = (spatial / name for name in POSITIONS)
    return second if second.is_file() and not first.is_file() else first


def _matrix_files(folder: Path) -> dict[str, Path]:
    whole = folder / f"{MATRIX}.h5"
    if whole.is_file():
        return {"matrix": whole}
    parts = folder / MATRIX
    names = {
        "matrix": ("matrix.mtx.gz", "matrix.mtx"),
        "barcodes": ("barcodes.tsv.gz", "barcodes.tsv"),
        "features": ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv"),
    }
    found = {role: next((parts / n for n in known if (parts / n).is_file()), None) for role, known in names.items()}
    return {role: path for role, path in found.items() if path is not None}


def _image(row: Mapping[str, str], root: Path, folder: Path) -> Path | None:
    own = root / row["slide"]
    if row.get("image"):
        return base.named_image(row, [own, folder, root])
    for place in dict.fromkeys((folder, own)):
        images = base.images_in(place)
        if len(images) == 1:
            return images[0]
        if images:
            return None
    beside = [p for p in base.images_in(root) if p.stem == row["slide"]]  # root serves several slides: the name decides
    return beside[0] if len(beside) == 1 else None
