"""From slides and patients to folds: who is tested when, and what of the training side validates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stainscript import seeds
from stainscript.datasets.hest_tasks import read_split
from stainscript.errors import DataContractError, unknown_name
from stainscript.splits.hest_bench import check_task, folds_by_group, stated_tests
from stainscript.types import Fold

PATH = "config.yaml"
SCHEMES = (
    *("leave_one_slide_out", "leave_one_patient_out", "kfold_by_patient", "fixed"),
    *("files", "hest_task", "hest_groups"),
)
VALIDATION = ("none", "spots", "slide", "patient")
Slides = Sequence[tuple[str, str]]


def make_folds(
    *,
    scheme: str,
    slides: Slides,
    only: Sequence[str] | None = None,
    n_folds: int | None = None,
    test: Sequence[Sequence[str]] | None = None,
    folder: str | Path | None = None,
    task: str | None = None,
    validation: Mapping[str, Any],
    seed: int,
) -> list[Fold]:
    """Partition slides into folds, numbered from 0; every fold trains on what it does not test.

    slides: (slide, patient) pairs in the order of the sheet, which is the order inside every fold; only: use these
    slides alone; n_folds: for ``kfold_by_patient`` and, perhaps, ``hest_groups``; test: the test slides of each fold,
    for ``fixed``; folder: of a HEST-Bench task, for ``files``, which train on what its csv files list, in their order;
    task: its name, for ``hest_task``, and for ``files`` that are to be checked against it; validation: ``by`` (none,
    spots, slide, patient) and ``fraction``. ``kfold_by_patient`` shuffles patients as scikit-learn's
    ``KFold(n_folds, shuffle=True, random_state=seed)`` does, so published folds are reproduced.
    Raises ``DataContractError``. Who may be on both sides is for ``splits.check`` to say.
    """
    names = [slide for slide, _ in slides]
    _known(names, only or (), "slides")
    chosen = [(slide, patient) for slide, patient in slides if only is None or slide in set(only)]
    _check_keys(scheme, n_folds=n_folds, test=test, folder=folder, task=task)
    if scheme == "files":
        sides = _listed_sides(Path(str(folder)), chosen, task=task)
    else:
        tests = _tests(scheme, chosen, n_folds=n_folds, test=test, task=task, seed=seed)
        if scheme == "hest_task":  # a sheet may list more slides than the task has
            chosen = [pair for pair in chosen if any(pair[0] in tested for tested in tests)]
        sides = [([pair for pair in chosen if pair[0] not in set(tested)], tested) for tested in tests]
    folds = []
    for index, (train, tested) in enumerate(sides):
        val = _validation_slides(train, validation=validation, seed=seed, index=index)
        folds.append(
            Fold(
                index=index,
                train=tuple(slide for slide, _ in train if slide not in val),
                val=tuple(slide for slide, _ in train if slide in val),
                test=tuple(tested),
                val_spot_fraction=float(validation["fraction"]) if validation["by"] == "spots" else 0.0,
            )
        )
    return folds


def _check_keys(
    scheme: str,
    *,
    n_folds: int | None,
    test: Sequence[Sequence[str]] | None,
    folder: str | Path | None,
    task: str | None,
) -> None:
    """Refuse a scheme that does not exist, one that lacks what it reads, and what it would not read."""
    if scheme not in SCHEMES:
        raise unknown_name(PATH, "splits.scheme", scheme, SCHEMES)
    if (n_folds is not None) != (scheme == "kfold_by_patient") and not (n_folds and scheme == "hest_groups"):
        raise _wrong("n_folds", "a number of folds for kfold_by_patient (or hest_groups), none for others", n_folds)
    if (test is not None) != (scheme == "fixed"):
        raise _wrong("test", "lists of test slides for the scheme fixed, none for any other scheme", test)
    if (folder is not None) != (scheme == "files"):
        raise _wrong("folder", "a task's folder for the scheme files, none for any other scheme", folder)
    if (task is not None) != (scheme == "hest_task") and not (task and scheme == "files"):
        raise _wrong("task", "a task of HEST-Bench for hest_task (or files), none for any other scheme", task)


def _tests(
    scheme: str,
    slides: Slides,
    *,
    n_folds: int | None,
    test: Sequence[Sequence[str]] | None,
    task: str | None,
    seed: int,
) -> list[list[str]]:
    """The test slides of each fold."""
    names = [slide for slide, _ in slides]
    if scheme == "leave_one_slide_out":
        return [[slide] for slide in names]
    if scheme in ("fixed", "hest_task"):
        stated = stated_tests(task or "") if scheme == "hest_task" else test or ()
        for listed in stated:
            _known(names, listed, "test")
        return [list(listed) for listed in stated]
    if scheme == "hest_groups":
        return folds_by_group(dict(slides), n_folds=n_folds)
    patients = list(dict.fromkeys(patient for _, patient in slides))
    if scheme == "leave_one_patient_out":
        groups = [[patient] for patient in patients]
    else:
        groups = _shuffled_groups(patients, n_folds=n_folds or 0, seed=seed)
    return [[slide for slide, patient in slides if patient in set(group)] for group in groups]


def _listed_sides(folder: Path, slides: Slides, *, task: str | None) -> list[tuple[Slides, list[str]]]:
    """Training pairs and test slides of each fold as the files list them; every slide must be on the sheet."""
    patients = dict(slides)
    found = read_split(folder)
    for index, fold in enumerate(found):
        for side, listed in (("train", fold.train), ("test", fold.test)):
            for slide in listed:
                if slide not in patients:
                    raise unknown_name(folder / "splits" / f"{side}_{index}.csv", "sample_id", slide, patients)
    if task is not None:
        check_task(task, [fold.test for fold in found], path=folder / "splits")
    return [([(slide, patients[slide]) for slide in fold.train], list(fold.test)) for fold in found]


def _shuffled_groups(patients: Sequence[str], *, n_folds: int, seed: int) -> list[list[str]]:
    if not 2 <= n_folds <= len(patients):
        raise _wrong("n_folds", f"2 to {len(patients)} folds for {len(patients)} patients", n_folds)
    if seed >= 2**32:
        raise _wrong("seed", "less than 2**32 for kfold_by_patient", seed)
    order = np.arange(len(patients))
    np.random.RandomState(seed).shuffle(order)  # the legacy stream, which published folds were drawn from
    return [[patients[n] for n in sorted(part)] for part in np.array_split(order, n_folds)]


def _validation_slides(train: Slides, *, validation: Mapping[str, Any], seed: int, index: int) -> set[str]:
    """Whole validation slides, drawn from the training side by slide or by patient: at least one, never all."""
    by, fraction = validation["by"], validation["fraction"]
    if by not in VALIDATION:
        raise unknown_name(PATH, "splits.validation.by", by, VALIDATION)
    if by != "none" and not 0 < fraction < 1:
        raise _wrong("validation.fraction", f"between 0 and 1 for validation by {by}", fraction)
    if by in ("none", "spots"):
        return set()
    units = list(dict.fromkeys(slide if by == "slide" else patient for slide, patient in train))
    if len(units) < 2:
        raise _wrong("validation.by", f"at least 2 training {by}s in fold {index} to hold one out", len(units))
    n_val = max(1, min(round(fraction * len(units)), len(units) - 1))
    drawn = seeds.generator(seed, "validation", by, index).permutation(len(units))[:n_val]
    held = {units[n] for n in drawn}
    return {slide for slide, patient in train if (slide if by == "slide" else patient) in held}


def _known(names: Sequence[str], wanted: Sequence[str], field: str) -> None:
    for name in wanted:
        if name not in names:
            raise unknown_name(PATH, f"splits.{field}", name, names)


def _wrong(field: str, expected: object, found: object) -> DataContractError:
    return DataContractError(PATH, f"splits.{field}", expected=expected, found=found, remedy="correct this split")
