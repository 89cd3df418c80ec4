"""The folds and gene lists of HEST-Bench's tasks. Not a layout: it defines no ``files``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stainscript.datasets.hest_release import read_metadata
from stainscript.errors import DataContractError

SPLIT_COLUMNS = ("sample_id", "patches_path", "expr_path")
AGAIN = "download the file again"


@dataclass(frozen=True, kw_only=True)
class TaskFold:
    """One fold of a benchmark task: slide ids, in the order of the file."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def read_split(task_folder: str | Path) -> list[TaskFold]:
    """The folds of a HEST-Bench task from ``splits/{train,test}_<fold>.csv``.

    Raises ``DataContractError`` when a file is absent or empty, names no patch or expression file that exists, a
    slide is in both sets of one fold, or the test sets together leave a slide of the task out.
    """
    folder = Path(task_folder) / "splits"
    numbers = sorted(int(p.stem.split("_")[1]) for p in folder.glob("test_*.csv") if p.stem.split("_")[1].isdigit())
    if not numbers or numbers != list(range(len(numbers))):
        found = f"folds {numbers}" if numbers else "none"
        raise _error(folder, "folds", "test_0.csv, test_1.csv and so on", found, "copy the task's folder splits/")
    folds = [
        TaskFold(train=_slides(folder / f"train_{n}.csv"), test=_slides(folder / f"test_{n}.csv")) for n in numbers
    ]
    for number, fold in enumerate(folds):
        both = sorted(set(fold.train) & set(fold.test))
        if both:
            path = folder / f"test_{number}.csv"
            raise _error(path, "sample_id", f"no slide of train_{number}.csv", ", ".join(both), AGAIN)
    tested = {slide for fold in folds for slide in fold.test}
    untested = sorted({slide for fold in folds for slide in fold.train} - tested)
    if untested:
        raise _error(folder, "folds", "every slide in a test set", f"{', '.join(untested)} in none", AGAIN)
    return folds


def read_genes(path: str | Path) -> list[str]:
    """A task's gene list in its own order, which is alphabetical and not by rank (``var_50genes.json``)."""
    path = Path(path)
    genes = read_metadata(path).get("genes")
    if not isinstance(genes, list) or not genes or not all(isinstance(gene, str) and gene for gene in genes):
        raise _error(path, "genes", "a list of gene names", repr(genes)[:80], AGAIN)
    _check_once(genes, path=path, field="genes")
    return genes


def _slides(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        raise _error(path, "split", "a CSV file", "no such file", "copy the task's folder splits/")
    with path.open(newline="", encoding="utf-8-sig") as handle:
        rows = list(csv.DictReader(handle))
    absent = [name for name in SPLIT_COLUMNS if rows and rows[0].get(name) is None]
    if not rows or absent:
        found = f"no column {absent[0]}" if absent else "no row"
        raise _error(path, "columns", ", ".join(SPLIT_COLUMNS), found, AGAIN)
    task = path.parent.parent
    for row in rows:
        for column in SPLIT_COLUMNS[1:]:
            if not (task / row[column]).is_file():
                raise _error(path, column, f"a file of {task}", f"{row[column]} is not there", "copy the whole task")
    slides = tuple(row["sample_id"] for row in rows)
    _check_once(slides, path=path, field="sample_id")
    return slides


def _check_once(names: Sequence[str], *, path: Path, field: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _error(path, field, "every name once", f"{twice[0]!r} more than once", AGAIN)


def _error(path: str | Path, field: str, expected: str, found: object, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
