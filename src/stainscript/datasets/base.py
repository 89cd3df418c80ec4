"""What every raw layout offers, and the sheet that lists a cohort's slides.

A layout is a module file of this package that defines ``files``. It has

- ``files(row, root)``          role → path of the raw files that exist; raises nothing
- ``missing(row, root)``        why the slide cannot be used here, or ``None``
- ``expected_files(row, root)`` role → path where the canonical layout puts them, existing or not
- ``read(row, files, options)`` → ``RawSlide``; the only one of the four that opens a file
- ``OPTIONS``, ``PLATFORM``, ``PITCH_UM``, ``SPOT_DIAMETER_UM``, ``HAS_EXPRESSION``
- where needed, ``FILE_OPTIONS``: the options that ``files`` and ``missing`` take as keywords (see ``file_options``),
  and ``NULL_OPTIONS``: those that may be null

Snakemake calls the first three while it parses, so layouts import NumPy, pandas and anndata inside ``read``.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stainscript.artifacts.tables import read_rows
from stainscript.errors import DataContractError, unknown_name

if TYPE_CHECKING:
    import anndata
    import pandas as pd

REQUIRED_COLUMNS = ("slide", "patient", "layout")
OPTIONAL_COLUMNS = ("mpp", "image", "platform", "condition", "hest_id", "has_expression", "note")
IMAGE_SUFFIXES = (".tif", ".tiff", ".svs", ".jpg", ".jpeg", ".png")
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
NO_ROOT = "the dataset's root is not set"


@dataclass(frozen=True, kw_only=True)
class RawSlide:
    """What a layout reads: S spots and, where measured, their counts.

    spots: columns spot_id, x_px, y_px (level-0 pixels), grid_row, grid_col, sorted by (grid_row, grid_col);
    adata: counts (S, G) CSR int32 in the same order with ``var["symbol"]``, or ``None``;
    grid_mpp: µm per pixel implied by the spot grid, or ``None``;
    stated_mpp: µm per pixel that the file ``stated_in`` gives for the image and that outranks the image's own metadata;
    labels: (S,) category text of each spot, indexed by spot_id in the order of ``spots``, "" for none; or ``None``;
    image_scale: pixels of the image that is read for one pixel of the image that the sheet's mpp speaks of.
    """

    platform: str
    spot_diameter_um: float | None
    spots: pd.DataFrame
    adata: anndata.AnnData | None
    grid_mpp: float | None
    stated_mpp: float | None = None
    stated_in: Path | None = None
    labels: pd.Series | None = None
    image_scale: float = 1.0


def layouts() -> list[str]:
    """Names of the raw layouts: the modules of this package that define ``files``. Nothing is imported."""
    return list(_layouts())


def load(name: str, *, path: str | Path = "sheet") -> ModuleType:
    """The layout's module; ``path`` is the file blamed for an unknown name."""
    if name not in layouts():
        raise unknown_name(path, "layout", name, layouts())
    return importlib.import_module(f"stainscript.datasets.{name}")


def read_sheet(path: str | Path) -> list[dict[str, str]]:
    """Rows of a dataset's sheet (TSV), every known column present, absent ones as ``""``.

    Raises ``DataContractError`` for an unknown or missing column, an empty or malformed cell, a slide listed twice
    and an unknown layout.
    """
    path = Path(path)
    given = {"required": REQUIRED_COLUMNS, "optional": OPTIONAL_COLUMNS, "what": "sheet"}
    rows: list[dict[str, str]] = []
    line_of: dict[str, int] = {}
    for number, row in read_rows(path, **given, remedy="correct the dataset's sheet path"):
        _check_row(path, number, row)
        first = line_of.setdefault(row["slide"], number)
        if first != number:
            raise DataContractError(
                path,
                "slide",
                expected="every slide once",
                found=f"{row['slide']!r} in lines {first} and {number}",
                remedy="remove one of the two lines",
            )
        rows.append(row)
    if not rows:
        raise DataContractError(path, "rows", expected="at least one slide", found="none", remedy="list the slides")
    return rows


def has_expression(row: Mapping[str, str]) -> bool:
    """Whether the slide brings counts: the sheet may say ``false``, and some layouts never do."""
    return load(row["layout"]).HAS_EXPRESSION and row.get("has_expression", "") != "false"


def checked_options(layout: ModuleType, options: Mapping[str, Any]) -> dict[str, Any]:
    """The layout's options over its defaults; raises for an unknown name or a value of another type."""
    name = layout.__name__.rsplit(".", 1)[-1]
    for key, value in options.items():
        if key not in layout.OPTIONS:
            raise unknown_name("config", f"datasets.options of {name}", key, layout.OPTIONS)
        if value is None and key in vars(layout).get("NULL_OPTIONS", ()):
            continue
        default = layout.OPTIONS[key]
        kinds = (int, float) if isinstance(default, float) else (type(default),)
        if not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(default, bool)):
            raise DataContractError(
                "config",
                f"datasets.options.{key}",
                expected=f"a value like {default!r}",
                found=repr(value),
                remedy="correct the option",
            )
    return {**layout.OPTIONS, **options}


def file_options(layout: ModuleType, options: Mapping[str, Any]) -> dict[str, Any]:
    """The checked options that ``files`` and ``missing`` of this layout take as keywords; most layouts have none."""
    names = vars(layout).get("FILE_OPTIONS", ())
    return {name: value for name, value in checked_options(layout, options).items() if name in names} if names else {}


def require(files: Mapping[str, str | Path], roles: Iterable[str], *, slide: str) -> dict[str, Path]:
    """``files`` as paths; raises ``DataContractError`` when one of ``roles`` is absent from it or from the disk."""
    paths = {role: Path(path) for role, path in files.items()}
    for role in roles:
        if role not in paths or not paths[role].is_file():
            raise DataContractError(
                paths.get(role, slide),
                f"{role} of slide {slide}",
                expected="a file",
                found="no such file" if role in paths else "no path",
                remedy="put the raw file there, or drop the slide from the sheet",
            )
    return paths


def named_image(row: Mapping[str, str], folders: Iterable[Path]) -> Path | None:
    """The sheet's ``image``: absolute, or relative to the first of ``folders`` that has it; ``None`` if absent."""
    candidates = [folder / row["image"] for folder in folders]  # an absolute name replaces the folder
    return next((path for path in candidates if path.is_file()), None)


def images_in(folder: Path) -> list[Path]:
    """Image files directly in ``folder``, sorted."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


@functools.cache  # a sheet asks for every one of its rows
def _layouts() -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if _defines_files(p)))


def _defines_files(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "files" for node in tree.body)


def _check_row(path: Path, number: int, row: Mapping[str, str]) -> None:
    def refuse(column: str, expected: str, remedy: str) -> DataContractError:
        found = repr(row[column]) if row[column] else "an empty cell"
        return DataContractError(path, f"{column}, line {number}", expected=expected, found=found, remedy=remedy)

    if not NAME.match(row["slide"]):
        raise refuse("slide", "letters, digits, _ and -", "give the slide a name that can stand in a path")
    if not row["patient"]:
        raise refuse("patient", "the donor's name", "name the patient: folds keep patients apart by it")
    if row["layout"] not in layouts():
        raise unknown_name(path, f"layout, line {number}", row["layout"], layouts())
    if row["mpp"]:
        try:
            plausible = 0 < float(row["mpp"]) < 100
        except ValueError:
            plausible = False
        if not plausible:
            raise refuse("mpp", "µm per pixel, a number above 0 and below 100", "correct the cell or empty it")
    if row["has_expression"] not in ("", "true", "false"):
        raise refuse("has_expression", "true, false or empty", "correct the cell")
