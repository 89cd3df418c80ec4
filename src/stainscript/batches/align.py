"""Joins go by identity: two stores may be combined only where their ids agree, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stainscript.errors import DataContractError


def align(
    reference_ids: Sequence[str] | np.ndarray,
    ids: Sequence[str] | np.ndarray,
    *,
    path: str | Path,
    against: str | Path,
    field: str = "spot_id",
) -> None:
    """Raise unless ``ids`` (of the file ``path``) equal ``reference_ids`` (of ``against``) at every position.

    reference_ids, ids: (S,) strings. Raises ``DataContractError`` that names the first position where they differ
    and both ids there, and says whether the two hold the same set in another order. Equal length proves nothing.
    """
    reference, found = np.asarray(reference_ids).astype(object), np.asarray(ids).astype(object)
    shared = min(len(reference), len(found))
    different = np.flatnonzero(reference[:shared] != found[:shared])
    if len(reference) == len(found) and not different.size:
        return
    first = int(different[0]) if different.size else shared
    if sorted(reference.tolist()) == sorted(found.tolist()):
        how = f"the same {len(found)} ids in another order"
    else:
        missing = len(set(reference.tolist()) - set(found.tolist()))
        extra = len(set(found.tolist()) - set(reference.tolist()))
        how = f"{len(found)} ids instead of {len(reference)}, {missing} of them missing and {extra} unknown"
    raise DataContractError(
        path,
        field,
        expected=f"{_id_at(reference, first)} at position {first}, as in {against}",
        found=f"{_id_at(found, first)} ({how})",
        remedy=f"both files must be made from the same spots: delete {path} and let the workflow make it again",
    )


def _id_at(ids: np.ndarray, position: int) -> str:
    return repr(str(ids[position])) if position < len(ids) else "no id"
