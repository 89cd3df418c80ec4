"""Write down a split, so that results say which slides were on which side."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import write_json
from stainscript.splits.check import check_partitions
from stainscript.types import Fold

logger = logging.getLogger(__name__)
SIDES = ("train", "val", "test")


def make_split(
    *, dataset: str, split: str, scheme: str, seed: int, folds: Sequence[Mapping[str, Any]], out: str | Path
) -> None:
    """Write ``splits/{dataset}/{split}.json``; folds: ``Fold`` records as dicts. Raises where a fold is no partition.

    Patients were compared when the workflow was planned, from the sheet (``splits.check.check_folds``).
    """
    made = [Fold(**{**fold, **{side: tuple(fold[side]) for side in SIDES}}) for fold in folds]
    check_partitions(made, name=f"{dataset}.{split}", path=out)
    records = [{**vars(fold), **{side: list(getattr(fold, side)) for side in SIDES}} for fold in made]
    write_json(out, {"dataset": dataset, "split": split, "scheme": scheme, "seed": seed, "folds": records})
    logger.info("split %s of %s: %d folds", split, dataset, len(made))
