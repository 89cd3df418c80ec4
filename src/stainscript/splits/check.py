"""Folds that leak are refused: nobody is on both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stainscript.errors import DataContractError, unknown_name
from stainscript.types import Fold


def check_folds(
    folds: Sequence[Fold],
    *,
    patients: Mapping[str, str],
    name: str,
    allow_shared_patients: bool = False,
    path: str | Path = "config.yaml",
) -> None:
    """Raise ``DataContractError`` unless every fold is a partition without leaks.

    patients: slide → patient of every slide that may be used; name: the split, for messages. A slide on both sides is
    always an error; a patient on both sides is one unless ``allow_shared_patients``. Validation counts as training.
    """
    check_partitions(folds, name=name, path=path)
    for fold in folds:
        where = f"splits.{name}, fold {fold.index}"
        for slide in (*fold.train, *fold.val, *fold.test):
            if slide not in patients:
                raise unknown_name(path, where, slide, patients)
        if not allow_shared_patients:
            _refuse_shared(fold, patients, where=where, path=path)


def check_partitions(folds: Sequence[Fold], *, name: str, path: str | Path = "config.yaml") -> None:
    """Raise unless each fold has training and test slides, and no slide stands in two places of a fold."""
    if not folds:
        raise DataContractError(
            path, f"splits.{name}", expected="at least 1 fold", found="none", remedy="list slides or test slides"
        )
    for position, fold in enumerate(folds):
        where = f"splits.{name}, fold {fold.index}"
        if fold.index != position:
            raise DataContractError(
                path, where, expected=f"index {position}", found=fold.index, remedy="number the folds from 0"
            )
        for side, listed in (("train", fold.train), ("test", fold.test)):
            if not listed:
                raise DataContractError(
                    path,
                    f"{where}, {side}",
                    expected="at least 1 slide",
                    found="none",
                    remedy="give the split more slides or patients, or hold out fewer",
                )
        placed: dict[str, str] = {}
        for side, listed in (("train", fold.train), ("val", fold.val), ("test", fold.test)):
            for slide in listed:
                if slide in placed:
                    raise DataContractError(
                        path,
                        where,
                        expected="each slide once",
                        found=f"{slide} in {placed[slide]} and again in {side}",
                        remedy="list it once",
                    )
                placed[slide] = side


def _refuse_shared(fold: Fold, patients: Mapping[str, str], *, where: str, path: str | Path) -> None:
    learned = (*fold.train, *fold.val)
    for patient in dict.fromkeys(patients[slide] for slide in fold.test):
        seen = [slide for slide in learned if patients[slide] == patient]
        tested = [slide for slide in fold.test if patients[slide] == patient]
        if seen:
            raise DataContractError(
                path,
                where,
                expected="each patient on one side",
                found=f"patient {patient} in train ({', '.join(seen)}) and in test ({', '.join(tested)})",
                remedy="use leave_one_patient_out or kfold_by_patient, or set allow_shared_patients: true where the "
                "protocol means it (leave_one_slide_out of several slides of a patient always shares the patient)",
            )
