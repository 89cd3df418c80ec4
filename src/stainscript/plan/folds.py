"""The folds of a split on a dataset's slides, as the config names them."""

from __future__ import annotations

from collections.abc import Mapping

from stainscript.config import Config
from stainscript.plan.cohorts import in_root, with_task
from stainscript.splits.check import check_folds
from stainscript.splits.schemes import make_folds
from stainscript.types import Fold


def folds_of(config: Config, *, dataset: str, split: str, patients: Mapping[str, str]) -> list[Fold]:
    """Checked folds. patients: slide → patient of every slide with expression, in the sheet's order.

    Raises ``DataContractError`` for a scheme that cannot be met, and for a patient on both sides where that is not
    allowed.
    """
    chosen = config.splits[split]
    folds = make_folds(
        scheme=chosen.scheme,
        slides=list(patients.items()),
        only=chosen.slides,
        n_folds=chosen.n_folds,
        test=chosen.test,
        folder=None if chosen.folder is None else in_root(config, dataset, chosen.folder),
        task=None if chosen.task is None else with_task(chosen.task, dataset),
        validation=chosen.validation.model_dump(),
        seed=chosen.seed,
    )
    check_folds(
        folds,
        patients=dict(patients),
        name=f"{dataset}.{split}",
        allow_shared_patients=chosen.allow_shared_patients,
    )
    return folds
