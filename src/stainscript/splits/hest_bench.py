"""The tasks of HEST-Bench, and who is tested when: facts of the benchmark (HEST v1.1.1, arXiv 2406.16192).

Eight tasks are stated slide by slide. Of PRAD and CCRCC only the sizes of the folds are stated: their slides come from
the csv files of the user's own copy of the benchmark (scheme ``files``), which are checked against these sizes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stainscript.errors import DataContractError, unknown_name

logger = logging.getLogger(__name__)

NO_PATIENT = "Patient 1"  # stands for a patient that the release table leaves empty


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task. sizes: test slides of each fold; tests: their names, or ``None`` where they are not stated here.

    averaged: whether the published overall score counts the task. display: what the published table calls it.
    """

    sizes: tuple[int, ...]
    tests: tuple[tuple[str, ...], ...] | None
    platform: str
    display: str
    averaged: bool = True


def _stated(*tests: tuple[str, ...], platform: str, display: str, averaged: bool = True) -> Task:
    sizes = tuple(len(part) for part in tests)
    return Task(sizes=sizes, tests=tests, platform=platform, display=display, averaged=averaged)


TASKS: dict[str, Task] = {
    "IDC": _stated(("TENX99",), ("TENX95",), ("NCBI785",), ("NCBI783",), platform="Xenium", display="IDC"),
    "PRAD": Task(sizes=(8, 15), tests=None, platform="Visium", display="PRAD"),
    "PAAD": _stated(("TENX116",), ("TENX140",), ("TENX126",), platform="Xenium", display="PAAD"),
    "SKCM": _stated(("TENX117",), ("TENX115",), platform="Xenium", display="SKCM"),
    "COAD": _stated(("TENX147", "TENX148", "TENX149"), ("TENX111",), platform="Xenium", display="COAD"),
    "READ": _stated(("ZEN48", "ZEN49"), ("ZEN36", "ZEN40"), platform="Visium", display="READ"),
    "CCRCC": Task(sizes=(4,) * 6, tests=None, platform="Visium", display="ccRCC"),
    "HCC": _stated(("NCBI643",), ("NCBI642",), platform="Visium", display="HCC", averaged=False),
    "LUNG": _stated(("TENX141",), ("TENX118",), platform="Xenium", display="LUAD"),
    "LYMPH_IDC": _stated(("NCBI684",), ("NCBI683",), ("NCBI682",), ("NCBI681",), platform="Visium", display="LYMPH"),
}
AVERAGED = tuple(name for name, task in TASKS.items() if task.averaged)


def task_of(dataset: str) -> str:
    """The task that a dataset of the config is: its name in capitals, without ``hest_`` in front."""
    if not is_task(dataset):
        raise unknown_name("config.yaml", f"datasets.{dataset}", _bare(dataset), TASKS)
    return _bare(dataset)


def is_task(dataset: str) -> bool:
    """Whether a dataset of the config is a task by its name."""
    return _bare(dataset) in TASKS


def task_named(name: str, *, path: str | Path = "config.yaml") -> Task:
    """The task by the name of its folder; raises ``DataContractError`` and lists the ten."""
    if name not in TASKS:
        raise unknown_name(path, "splits.task", name, TASKS)
    return TASKS[name]


def stated_tests(name: str, *, path: str | Path = "config.yaml") -> tuple[tuple[str, ...], ...]:
    """Test slides of each fold; raises for a task whose slides are not stated here."""
    task = task_named(name, path=path)
    if task.tests is None:
        raise DataContractError(
            path,
            "splits.scheme",
            expected=f"the scheme files for {name}, whose slides are known from the benchmark's own csv files alone",
            found="hest_task",
            remedy="set scheme: files and folder: the task's folder of your copy of the benchmark",
        )
    return task.tests


def check_task(name: str, tests: Sequence[Sequence[str]], *, path: str | Path) -> None:
    """Raise unless ``tests``, the test slides of each fold, are the task's: by name, or by number where not stated."""
    task = task_named(name, path=path)
    sizes = tuple(len(part) for part in tests)
    same = sizes == task.sizes if task.tests is None else [set(p) for p in tests] == [set(p) for p in task.tests]
    if not same:
        wanted = "folds of " + ", ".join(map(str, task.sizes)) if task.tests is None else _listed(task.tests)
        found = "folds of " + ", ".join(map(str, sizes)) if task.tests is None else _listed(tests)
        raise DataContractError(
            path,
            f"test slides of {name}",
            expected=f"{wanted} test slides, as published" if task.tests is None else wanted,
            found=found,
            remedy="take the splits of the same task, unchanged, or leave task out: scores are then not comparable",
        )


def folds_by_group(patients: Mapping[str, str], *, n_folds: int | None) -> list[list[str]]:
    """Test slides of each fold by the benchmark's own rule.

    patients: slide → patient, unique over publications (the benchmark groups by publication and patient; empty counts
    as ``NO_PATIENT``). Groups come in sorted order, one a fold; where ``n_folds`` is another number K than that of the
    groups, they fill folds in order until each holds ⌊slides / K⌋, and what is left makes one fold more, as in the
    released code.
    """
    groups: dict[str, list[str]] = {}
    for slide, patient in patients.items():
        groups.setdefault(patient or NO_PATIENT, []).append(slide)
    ordered = [groups[patient] for patient in sorted(groups)]
    if n_folds is None or n_folds == len(ordered):
        return ordered
    enough = len(patients) // n_folds
    folds: list[list[str]] = [[]]
    for group in ordered:
        if folds[-1] and len(folds[-1]) >= enough:
            folds.append([])
        folds[-1] += group
    if len(folds) != n_folds:
        logger.warning("%d groups of slides make %d folds, not the %d asked for", len(ordered), len(folds), n_folds)
    return folds


def _listed(tests: Sequence[Sequence[str]]) -> str:
    return "; ".join(" ".join(part) for part in tests)


def _bare(dataset: str) -> str:
    return re.sub(r"^HEST(BENCH)?_", "", dataset.upper().replace("-", "_"))
