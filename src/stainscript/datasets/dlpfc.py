"""Human dorsolateral prefrontal cortex (Maynard et al. 2021): 12 Visium sections of 3 donors with layer labels.

The files lie where the authors publish them: counts and images under ``h5/`` and ``images/`` (bucket spatial-dlpfc),
positions, scale factors and labels under ``10X/`` (repository LieberInstitute/HumanPilot, which calls the positions
``.txt``); or all of a section in ``root/<slide>/``. Counts are of the in-tissue spots; 352 of 47,681 have no label.
"""

from __future__ import annotations

import csv
import dataclasses
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.datasets import base, hires, visium
from stainscript.errors import DataContractError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

PLATFORM = visium.PLATFORM
PITCH_UM = visium.PITCH_UM
SPOT_DIAMETER_UM = visium.SPOT_DIAMETER_UM
HAS_EXPRESSION = True
OPTIONS: dict[str, Any] = {name: visium.OPTIONS[name] for name in ("drop_uncounted", "image")}
FILE_OPTIONS = visium.FILE_OPTIONS

LAYERS = ("L1", "L2", "L3", "L4", "L5", "L6", "WM")  # cortical layers from the surface, white matter
LABELS = "barcode_level_layer_map.tsv"  # barcode, section, layer; one file for all sections, no header
UNLABELLED = ("", "NA")


def files(row: Mapping[str, str], root: str | Path | None, *, image: str = "fullres") -> dict[str, Path]:
    """Roles that exist: ``matrix``, ``positions``, ``scalefactors``, ``labels``, ``image``, and ``hires``."""
    if root is None:
        return {}
    found = _paths(row, Path(root))
    if image == "hires":
        found["image"] = found["hires"]
    return {role: path for role, path in found.items() if path is not None and path.is_file()}


def missing(row: Mapping[str, str], root: str | Path | None, *, image: str = "fullres") -> str | None:
    """Why the section cannot be used here, or ``None``; no image is opened."""
    if root is None:
        return base.NO_ROOT
    hires.check_choice(image)
    found, expected = files(row, root, image=image), expected_files(row, root)
    for role in ("matrix", "positions", "scalefactors", "labels"):
        if role in expected and role not in found:
            return f"no {role} at {expected[role].relative_to(root)}"
    return visium.no_image(row, found, where=expected["image"].parent.relative_to(root).as_posix(), image=image)


def expected_files(row: Mapping[str, str], root: str | Path) -> dict[str, Path]:
    """Where the authors' own folders have the section's files."""
    slide, root = row["slide"], Path(root)
    paths = {
        "matrix": root / "h5" / f"{slide}_{visium.MATRIX}.h5",
        "positions": root / "10X" / slide / "tissue_positions_list.txt",
        "scalefactors": root / "10X" / slide / hires.SCALEFACTORS,
        "labels": root / "10X" / LABELS,
        "image": root / row["image"] if row.get("image") else root / "images" / f"{slide}_full_image.tif",
    }
    return {role: path for role, path in paths.items() if role != "matrix" or base.has_expression(row)}


def read(row: Mapping[str, str], files: Mapping[str, str | Path], options: Mapping[str, Any]) -> base.RawSlide:
    """As ``visium.read``, and the layer of each spot as its label, "" where the authors gave none.

    Raises ``DataContractError`` besides for a damaged label table, a layer that is none, a barcode labelled twice,
    and labels none of which is of a spot of this section.
    """
    chosen = base.checked_options(sys.modules[__name__], options)
    labels = base.require(files, ["labels"], slide=row["slide"])["labels"]
    raw = visium.read(row, files, chosen)
    return dataclasses.replace(raw, labels=_labels_of(raw.spots, read_layers(labels, row["slide"]), labels))


def read_layers(path: Path, slide: str) -> dict[str, str]:
    """Barcode → layer of one section."""
    layers: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            for number, cells in enumerate(csv.reader(handle, delimiter="\t"), start=1):
                if len(cells) != 3:
                    raise _label_error(path, f"line {number}", "barcode, section and layer", f"{len(cells)} cells")
                barcode, section, layer = cells
                if section != slide:
                    continue
                if barcode in layers:
                    raise _label_error(path, "barcodes", f"every barcode of section {slide} once", f"{barcode!r} twice")
                if layer not in (*LAYERS, *UNLABELLED):
                    raise unknown_name(path, f"layer, line {number}", layer, LAYERS)
                layers[barcode] = "" if layer in UNLABELLED else layer
    except (UnicodeDecodeError, csv.Error) as error:
        raise _label_error(path, "text", "a UTF-8 table", error) from error
    if not layers:
        raise _label_error(path, "section", f"rows of section {slide}", "none")
    return layers


def _labels_of(spots: pd.DataFrame, layers: Mapping[str, str], path: Path) -> pd.Series:
    import pandas as pd

    labels = spots["spot_id"].map(layers).fillna("").to_numpy(dtype=object)
    strangers = set(layers) - set(spots["spot_id"])
    if len(strangers) == len(layers):
        found = f"{len(strangers)} barcodes, none of them a spot in tissue (first: {min(strangers)})"
        raise _label_error(path, "barcodes", "labels of this section's spots", found)
    if strangers:
        logger.info("%s: %d labelled barcodes are no spots here (first: %s)", path, len(strangers), min(strangers))
    logger.info("%s: %d of %d spots have no layer", path, int((labels == "").sum()), len(spots))
    return pd.Series(labels, index=pd.Index(spots["spot_id"]), name="label")


def _paths(row: Mapping[str, str], root: Path) -> dict[str, Path | None]:
    """The published place of each file, or the section's own folder."""
    slide = row["slide"]
    own = [root / slide, root / slide / "spatial"]
    found = expected_files(row, root)
    near = {
        "matrix": [f"{visium.MATRIX}.h5"],
        "positions": ["tissue_positions_list.txt", "tissue_positions_list.csv", "tissue_positions.csv"],
        "scalefactors": [hires.SCALEFACTORS],
        "labels": [LABELS],
        "image": ["full_image.tif"],
    }
    paths: dict[str, Path | None] = {
        role: path if path.is_file() else visium.only(own, near[role]) for role, path in found.items()
    }
    if row.get("image"):
        paths["image"] = base.named_image(row, [root / slide, root])
    published = root / "images" / f"{slide}_{hires.IMAGE}"
    paths["hires"] = published if published.is_file() else visium.only(own, [hires.IMAGE])
    return paths


def _label_error(path: Path, field: str, expected: str, found: object) -> DataContractError:
    return DataContractError(
        path, field, expected=expected, found=found, remedy="download the layer labels of the publication again"
    )
