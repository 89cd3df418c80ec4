"""From slides and patients to folds: who is tested when, and what of the training side validates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stainscript import seeds
from stainscript.errors import DataContractError, unknown_name
from stainscript.types import Fold

PATH = "config.yaml"
SCHEMES = ("leave_one_slide_out", "leave_one_patient_out", "kfold_by_patient", "fixed")
VALIDATION = ("none", "spots", "slide", "patient")
Slides = Sequence[tuple[str, str]]


def make_folds(
    *,
    scheme: str,
    slides: Slides,
    only: Sequence[str] | None = None,
    n_folds: int | None = None,
    test: Sequence[Sequence[str]] | None = None,
    validation: Mapping[str, Any],
    seed: int,
) -> list[Fold]:
    """Partition slides into folds, numbered from 0; every fold trains on what it does not test.

    slides: (slide, patient) pairs in the order of the sheet, which is the order inside every fold; only: use these
    slides alone; n_folds: for ``kfold_by_patient``; test: the test slides of each fold, for ``fixed``; validation:
    ``by`` (none, spots, slide, patient) and ``fraction``. ``kfold_by_patient`` shuffles patients as scikit-learn's
    ``KFold(n_folds, shuffle=True, random_state=seed)`` does, so published folds are reproduced.
    Raises ``DataContractError``. Who may be on both sides is for ``splits.check`` to say.
    """
    names = [slide for slide, _ in slides]
    _known(names, only or (), "slides")
    chosen = [(slide, patient) for slide, patient in slides if only is None or slide in set(only)]
    tests = _tests(scheme, chosen, n_folds=n_folds, test=test, seed=seed)
    folds = []
    for index, tested in enumerate(tests):
        train = [(slide, patient) for slide, patient in chosen if slide not in set(tested)]
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


def _tests(
    scheme: str, slides: Slides, *, n_folds: int | None, test: Sequence[Sequence[str]] | None, seed: int
) -> list[list[str]]:
    """The test slides of each fold."""
    if (n_folds is not None) != (scheme == "kfold_by_patient"):
        raise _wrong("n_folds", "a number of folds for kfold_by_patient, none for any other scheme", n_folds)
    if (test is not None) != (scheme == "fixed"):
        raise _wrong("test", "lists of test slides for the scheme fixed, none for any other scheme", test)
    if scheme == "leave_one_slide_out":
        return [[slide] for slide, _ in slides]
    if scheme == "fixed":
        names = [slide for slide, _ in slides]
        for listed in test or ():
            _known(names, listed, "test")
        return [list(listed) for listed in test or ()]
    patients = list(dict.fromkeys(patient for _, patient in slides))
    if scheme == "leave_one_patient_out":
        groups = [[patient] for patient in patients]
    elif scheme == "kfold_by_patient":
        groups = _shuffled_groups(patients, n_folds=n_folds or 0, seed=seed)
    else:
        raise unknown_name(PATH, "splits.scheme", scheme, SCHEMES)
    return [[slide for slide, patient in slides if patient in set(group)] for group in groups]


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
