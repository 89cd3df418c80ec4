"""Space Ranger's downsampled image and what it would cost. Not a layout: it has no ``files``.

Only the standard library: the cost is asked while Snakemake parses, from two small text files and without an image.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

from stainscript.errors import DataContractError, unknown_name

IMAGE = "tissue_hires_image.png"  # long side 2,000 px, 4,000 of an 11 mm area, 6,000 of Visium HD
SCALEFACTORS = "scalefactors_json.json"
CHOICES = ("fullres", "hires")  # of the option image
OWN_PICTURES = (  # Space Ranger's, none of them the image that it was run on
    IMAGE,
    "tissue_lowres_image.png",
    "aligned_fiducials.jpg",
    "aligned_tissue_image.jpg",
    "detected_tissue_image.jpg",
    "cytassist_image.tiff",
)
PATCH_UM = 112.0  # the usual patch: 224 px at 0.5 µm per pixel
COLUMN_UM = 50.0  # one array_col of Visium's hexagonal array


def check_choice(value: str) -> None:
    """Raise ``DataContractError`` unless ``value`` is a legal value of the option ``image``."""
    if value not in CHOICES:
        raise unknown_name("config", "datasets.options.image", value, CHOICES)


def is_own_picture(path: Path) -> bool:
    """Whether the file's name ends in that of a picture that Space Ranger writes (``V1_tissue_hires_image.png``)."""
    return path.name.endswith(OWN_PICTURES)


def scalefactors(path: str | Path, names: tuple[str, ...]) -> dict[str, float]:
    """The named numbers of ``scalefactors_json.json``; raises ``DataContractError`` for one that is no positive one."""
    factors: dict[str, float] = {}
    try:
        read = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _scale_error(path, "scale factors", "a JSON file", error) from error
    for name in names:
        value = read.get(name) if isinstance(read, Mapping) else None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
            raise _scale_error(path, name, "a number above 0", "no such entry" if value is None else repr(value))
        factors[name] = float(value)
    return factors


def cost(found: Mapping[str, Path]) -> str | None:
    """What taking ``tissue_hires_image.png`` would mean, in a phrase; ``None`` where it or its scale is missing.

    found: the slide's files, ``hires`` and ``scalefactors`` among them; ``positions`` where there are any.
    """
    if "hires" not in found or "scalefactors" not in found:
        return None
    try:
        scale = scalefactors(found["scalefactors"], ("tissue_hires_scalef",))["tissue_hires_scalef"]
        mpp = fullres_mpp(found)
    except DataContractError:
        return None
    name = found["hires"].name
    if mpp is None:
        return f"{name}, {1 / scale:.3g} times coarser than the full-resolution image"
    return (
        f"{name}, {mpp / scale:.3g} µm per pixel against {mpp:.3g} of the full-resolution image: a patch of "
        f"{PATCH_UM:g} µm has {PATCH_UM * scale / mpp:.0f} px there instead of {PATCH_UM / mpp:.0f}"
    )


def fullres_mpp(found: Mapping[str, Path]) -> float | None:
    """µm per pixel of the full-resolution image: Visium HD's own figure, or Visium's longest row of spots."""
    positions = found.get("positions")
    if positions is None or positions.suffix == ".parquet":
        return scalefactors(found["scalefactors"], ("microns_per_pixel",))["microns_per_pixel"]
    ends: dict[int, list[tuple[int, float, float]]] = {}  # row → its spots of lowest and highest column
    try:
        with positions.open(newline="", encoding="utf-8") as handle:
            for cells in csv.reader(handle):
                if cells and cells[0] != "barcode":
                    row, spot = int(cells[2]), (int(cells[3]), float(cells[5]), float(cells[4]))
                    ends[row] = [min(ends.get(row, [spot])[0], spot), max(ends.get(row, [spot])[-1], spot)]
    except (OSError, ValueError, IndexError):
        return None  # the reader says what is wrong with the table
    first, last = max(ends.values(), key=lambda pair: pair[1][0] - pair[0][0], default=[(0, 0.0, 0.0)] * 2)
    length_px = math.dist(first[1:], last[1:])
    return COLUMN_UM * (last[0] - first[0]) / length_px if length_px else None


def no_fullres(found: Mapping[str, Path], *, where: str) -> str:
    """Why a slide without its full-resolution image is left out, with both remedies."""
    price = cost(found)
    choice = f"; or set the option image: hires and take {price}" if price else f"; nor is there a {IMAGE}"
    return f"no full-resolution image, or several, under {where}: name it in the sheet's column image{choice}"


def require_fullres(found: Mapping[str, Path], *, slide: str) -> None:
    """Raise ``DataContractError`` when ``image`` is absent, or a downsampled picture of Space Ranger's."""
    image = found.get("image")
    if image is not None and image.is_file() and not image.name.endswith(OWN_PICTURES[:2]):
        return
    present = {role: path for role, path in found.items() if path.is_file()}
    price = cost(present)
    downsampled = image is not None and image.is_file()
    raise DataContractError(
        image if image is not None else found.get("positions", slide),
        f"image of slide {slide}",
        expected="the full-resolution image that Space Ranger was run on",
        found="a downsampled one" if downsampled else "no such file" if image is not None else "none",
        remedy="name the full-resolution image in the sheet's column image"
        + (f"; or set the option image: hires and take {price}" if price else ""),
    )


def _scale_error(path: str | Path, field: str, expected: str, found: object) -> DataContractError:
    return DataContractError(
        path, field, expected=expected, found=found, remedy="copy spatial/ of Space Ranger's output again"
    )
