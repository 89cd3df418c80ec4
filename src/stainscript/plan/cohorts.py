"""Which slides a dataset has here: sheet rows, raw files, and what is left out and why."""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path

from stainscript.config import Config
from stainscript.datasets.base import file_options, has_expression, layouts, read_sheet
from stainscript.errors import DataContractError, unknown_name
from stainscript.plan import paths
from stainscript.splits.hest_bench import task_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One slide of a sheet that can be used here, with its raw files by role."""

    dataset: str
    slide: str
    patient: str
    layout: str
    measured: bool  # has expression
    cells: dict[str, str]  # the sheet's row
    files: dict[str, str]
    generated: bool


def read_cohorts(config: Config, *, datasets: list[str], repository: Path) -> dict[str, dict[str, Row]]:
    """Slides of each dataset in use, by name, in sheet order. One without raw files is logged and left out."""
    found = {name: _read(config, name, repository) for name in datasets}
    _refuse_ambiguous(found)
    return found


def _read(config: Config, name: str, repository: Path) -> dict[str, Row]:
    dataset = config.datasets[name]
    sheet = locate(dataset.sheet, repository)
    rows: dict[str, Row] = {}
    reasons: list[str] = []
    listed = read_sheet(sheet)
    for column in dataset.only:
        if column not in listed[0]:
            raise unknown_name("config.yaml", f"datasets.{name}.only", column, listed[0])
    listed = [cells for cells in listed if all(cells[column] == cell for column, cell in dataset.only.items())]
    for slide in dataset.exclude:
        if slide not in {cells["slide"] for cells in listed}:
            raise unknown_name("config.yaml", f"datasets.{name}.exclude", slide, [cells["slide"] for cells in listed])
    for cells in listed:
        if cells["slide"] in dataset.exclude:
            logger.warning("%s %s is excluded: %s", name, cells["slide"], dataset.exclude[cells["slide"]])
            continue
        layout = cells["layout"]
        if layout not in layouts():
            raise unknown_name(sheet, f"{cells['slide']}.layout", layout, layouts())
        module = importlib.import_module(f"stainscript.datasets.{layout}")
        if dataset.generator is not None:
            files = module.expected_files(cells, Path(paths.path("raw", name)))
        else:
            root = _root(config, name)
            chosen = file_options(module, dataset.options)
            reason = module.missing(cells, root, **chosen)
            if reason is not None:
                logger.warning("%s %s is left out: %s", name, cells["slide"], reason)
                reasons.append(f"{cells['slide']}: {reason}")
                continue
            files = module.files(cells, root, **chosen)
        rows[cells["slide"]] = Row(
            dataset=name,
            slide=cells["slide"],
            patient=cells["patient"],
            layout=layout,
            measured=has_expression(cells),
            cells=cells,
            files={role: str(path) for role, path in files.items()},
            generated=dataset.generator is not None,
        )
    if not rows:
        raise DataContractError(
            sheet,
            "slide",
            expected=f"at least one slide with its files under {dataset.root}",
            found="none" + (f" ({reasons[0]}; {len(reasons)} left out)" if reasons else ""),
            remedy=f"set datasets.{name}.root to the folder of the raw files",
        )
    return rows


def locate(name: str, repository: Path) -> Path:
    """A path of the config: as given from the working folder, else from the repository."""
    for base in (Path(), repository):
        if (base / name).exists():
            return base / name
    raise DataContractError(
        name, "path", expected="an existing file", found="none", remedy="give a path from the working folder"
    )


def in_root(config: Config, dataset: str, name: str) -> Path:
    """A path of the config that starts at the dataset's root; ``{task}`` in it is its HEST-Bench task."""
    return _root(config, dataset) / with_task(name, dataset)


def with_task(text: str, dataset: str) -> str:
    """``text`` with ``{task}`` replaced by the HEST-Bench task that the dataset is."""
    return text.replace("{task}", task_of(dataset)) if "{task}" in text else text


def _root(config: Config, name: str) -> Path:
    root = config.datasets[name].root
    if root is None or not Path(root).expanduser().is_dir():
        raise DataContractError(
            "config.yaml",
            f"datasets.{name}.root",
            expected="the folder that holds the raw files",
            found=repr(root) if root is None else f"{root!r}, which is no folder",
            remedy=f"set it in config.yaml, or pass --config 'datasets={{{name}: {{root: /path}}}}'",
        )
    return Path(root).expanduser()


def _refuse_ambiguous(cohorts: dict[str, dict[str, Row]]) -> None:
    """A slide name is either measured or not: the two kinds have rules of their own, told apart by name."""
    kinds: dict[str, Row] = {}
    for rows in cohorts.values():
        for row in rows.values():
            other = kinds.setdefault(row.slide, row)
            if other.measured != row.measured:
                raise DataContractError(
                    f"sheet of {row.dataset}",
                    f"slide {row.slide}",
                    expected=f"a name of its own ({other.dataset} has a slide of this name)",
                    found="one with and one without expression",
                    remedy="rename one of the two",
                )
