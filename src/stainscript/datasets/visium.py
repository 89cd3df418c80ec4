"""Visium: the output folder of Space Ranger 1 to 4, and the full-resolution image that it was run on.

``root/<slide>/outs/`` or ``root/<slide>/`` holds the matrix and ``spatial/``; what versions and assays (direct, probes,
CytAssist with or without antibodies) write differs in the names and kinds of files, not in their meaning. Space
Ranger does not copy the full-resolution image: the sheet's column ``image`` names it, or it is the only image beside
the output. Without it, ``image: hires`` takes ``tissue_hires_image.png``, which is several times coarser.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stainscript.datasets import base, hires

logger = logging.getLogger(__name__)

PLATFORM = "Visium"
PITCH_UM = 100.0
SPOT_DIAMETER_UM = 55.0
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {
    "drop_uncounted": False,  # true: leave out in-tissue barcodes that the matrix lacks; false: an error
    "genome": "",  # which genome of a mixed reference; empty: the only one
    "image": "fullres",  # hires: tissue_hires_image.png in the place of the full-resolution image
}
FILE_OPTIONS = ("image",)  # options that decide which files are used

MATRIX = "filtered_feature_bc_matrix"
POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv")  # Space Ranger 2 and later; 1


def files(row: Mapping[str, str], root: str | Path | None, *, image: str = "fullres") -> dict[str, Path]:
    """Roles that exist: ``matrix`` (.h5, or .mtx with ``barcodes``, ``features``), ``positions``, ``scalefactors``,
    ``image``, and ``hires``, the downsampled one."""
    if root is None:
        return {}
    folder = output_folder(row, Path(root))
    spatial = folder / "spatial"
    small = only([spatial, folder], [hires.IMAGE])
    roles = {
        **(matrix_files(folder) if base.has_expression(row) else {}),
        "positions": only([spatial, folder], POSITIONS),
        "scalefactors": only([spatial, folder], [hires.SCALEFACTORS]),
        "hires": small,
        "image": small if image == "hires" else fullres_image(row, Path(root), folder),
    }
    return {role: path for role, path in roles.items() if path is not None and path.is_file()}


def missing(row: Mapping[str, str], root: str | Path | None, *, image: str = "fullres") -> str | None:
    """Why the slide cannot be used here, or ``None``; no image is opened."""
    if root is None:
        return base.NO_ROOT
    hires.check_choice(image)
    found = files(row, root, image=image)
    name = output_folder(row, Path(root)).relative_to(root)
    if base.has_expression(row) and "matrix" not in found:
        return f"no {MATRIX}.h5 and no {MATRIX}/matrix.mtx.gz under {name}"
    if found.get("matrix", Path("x.h5")).suffix != ".h5":
        for role in ("barcodes", "features"):
            if role not in found:
                return f"no {role}.tsv.gz beside {found['matrix'].relative_to(root)}"
    if "positions" not in found:
        return f"no tissue_positions.csv and no tissue_positions_list.csv under {name}/spatial"
    return no_image(row, found, where=str(name), image=image)


def no_image(row: Mapping[str, str], found: Mapping[str, Path], *, where: str, image: str) -> str | None:
    """Why the slide has no image to read, or ``None``."""
    if image == "hires":
        lacks = [role for role in ("hires", "scalefactors") if role not in found]
        return f"no {hires.IMAGE} with its {hires.SCALEFACTORS} under {where}" if lacks else None
    if "image" in found:
        return None
    return f"no image at {row['image']}" if row.get("image") else hires.no_fullres(found, where=where)


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
    """The spots in tissue and their counts; with ``image: hires`` their positions in pixels of the downsampled image.

    Raises ``DataContractError`` for a barcode of the matrix without a position, for an in-tissue barcode without
    counts unless ``drop_uncounted`` (their number is then logged), and without the full-resolution image unless
    ``image: hires``.
    """
    from stainscript.datasets import positions, spaceranger

    chosen = base.checked_options(sys.modules[__name__], options)
    paths = {role: Path(path) for role, path in files.items()}
    if "positions" in paths and not paths["positions"].is_file():
        paths["positions"] = _positions(paths["positions"].parent)  # a generated slide's version is known only now
    base.require(paths, ["positions", *(["matrix"] if base.has_expression(row) else [])], slide=row["slide"])
    scale = image_scale(paths, chosen["image"], slide=row["slide"])
    table = positions.read_positions(paths["positions"])
    adata = spaceranger.read_matrix(paths, genome=chosen["genome"]) if base.has_expression(row) else None
    inside = positions.placed(table, adata, path=paths["positions"], drop_uncounted=chosen["drop_uncounted"])
    spots = positions.spots_of(inside)
    grid_mpp = positions.grid_mpp(table, pitch_um=PITCH_UM)
    return base.RawSlide(
        platform=PLATFORM if scale == 1 else f"{PLATFORM}, image {1 / scale:.3g} times coarser",
        spot_diameter_um=SPOT_DIAMETER_UM,
        spots=spots.assign(x_px=spots["x_px"] * scale, y_px=spots["y_px"] * scale),
        adata=None if adata is None else adata[spots["spot_id"].to_numpy()].copy(),
        grid_mpp=None if grid_mpp is None else grid_mpp / scale,
        image_scale=scale,
    )


def image_scale(paths: Mapping[str, Path], image: str, *, slide: str) -> float:
    """Pixels of the image that is read for one of the full-resolution image: 1, or hires' scale factor, logged."""
    hires.check_choice(image)
    if image == "fullres":
        hires.require_fullres(paths, slide=slide)
        return 1.0
    base.require(paths, ["scalefactors"], slide=slide)
    scale = hires.scalefactors(paths["scalefactors"], ("tissue_hires_scalef",))["tissue_hires_scalef"]
    logger.warning("%s: the full-resolution image is replaced by %s", slide, hires.cost(paths) or hires.IMAGE)
    return scale


def only(folders: Iterable[Path], names: Iterable[str]) -> Path | None:
    """The first of ``names`` in ``folders``, as it is or after a prefix (``V1_<name>``, as archives have it).

    ``None`` when there is none, or several with a prefix.
    """
    for folder, name in itertools.product(folders, names):
        if (folder / name).is_file():
            return folder / name
        found = sorted(folder.glob(f"*_{name}"))
        if found:
            return found[0] if len(found) == 1 else None
    return None


def matrix_files(folder: Path) -> dict[str, Path]:
    """The matrix below ``folder``: ``matrix`` alone (.h5, its name may have a prefix), or with barcodes, features."""
    whole = only([folder], [f"{MATRIX}.h5"])
    if whole is not None:
        return {"matrix": whole}
    parts = folder / MATRIX
    names = {
        "matrix": ("matrix.mtx.gz", "matrix.mtx"),
        "barcodes": ("barcodes.tsv.gz", "barcodes.tsv"),
        "features": ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv"),
    }
    found = {role: next((parts / n for n in known if (parts / n).is_file()), None) for role, known in names.items()}
    return {role: path for role, path in found.items() if path is not None}


def fullres_image(row: Mapping[str, str], root: Path, folder: Path) -> Path | None:
    """The image that the sheet names, or the only one in the output's folder, the slide's, or of its name in root."""
    own = root / row["slide"]
    if row.get("image"):
        return base.named_image(row, [own, folder, root])
    for place in dict.fromkeys((folder, own)):
        images = [path for path in base.images_in(place) if not hires.is_own_picture(path)]
        if images:
            return images[0] if len(images) == 1 else None
    beside = [p for p in base.images_in(root) if p.stem == row["slide"]]  # root serves several slides: the name decides
    return beside[0] if len(beside) == 1 else None


def output_folder(row: Mapping[str, str], root: Path) -> Path:
    """``root/<slide>/outs`` where there is one, else ``root/<slide>``."""
    own = root / row["slide"]
    return own / "outs" if (own / "outs").is_dir() else own


def _positions(spatial: Path) -> Path:
    """The positions file: Space Ranger 2's name, or version 1's where only that one exists."""
    first, second = (spatial / name for name in POSITIONS)
    return second if second.is_file() and not first.is_file() else first
