"""The options of gene groups: which order, and what each order reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal, get_args

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.groups.order import Axis

Order = Literal["two_stage", "random", "capped", "pathway", "printed", "panel"]


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """How a panel's genes are ordered and grouped. Fields are those of the config's section; no defaults here.

    ``two_stage`` is GenAR's k-means (``groups/order.py``: ``major``, ``target_size``, ``n_init``, ``zscore_axis``),
    ``random`` its control, a shuffle of that order; ``capped`` k-means under sizes (``groups/capped.py``: ``clusters``,
    ``min_size``, ``max_size``, ``n_init``, ``zscore_axis``); ``pathway`` shared pathways and co-expression
    (``groups/pathway.py``: ``weight`` of pathways, cut into ``clusters``, ``zscore_axis``); ``printed`` the groups that
    a paper prints (``genes/panels/printed.py``: name of the list); ``panel`` keeps the panel's order, each gene alone.
    ``seed``: of k-means and of the shuffle. ``scales``: groups at each scale, coarse to fine, or the name of a preset.
    """

    order: Order
    seed: int
    major: int
    target_size: int
    n_init: int
    zscore_axis: Axis
    clusters: int
    min_size: int
    max_size: int
    weight: float
    printed: str | None
    scales: str | tuple[int, ...]


LEAST: Mapping[str, int] = MappingProxyType(
    {"seed": 0, "major": 1, "target_size": 1, "n_init": 1, "clusters": 1, "min_size": 0, "max_size": 1}
)
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType({"order": get_args(Order), "zscore_axis": get_args(Axis)})


def rule_of(options: Mapping[str, Any]) -> GroupRule:
    """A rule from the plain dict that a stage is given; every key must be there and no other.

    Raises ``DataContractError`` for an unknown or a missing option, and for values out of range.
    """
    known = [field.name for field in fields(GroupRule)]
    for key in options:
        if key not in known:
            raise unknown_name("groups", "options", key, known)
    absent = [key for key in known if key not in options]
    if absent:
        raise _wrong("options", ", ".join(known), f"no {', '.join(absent)}", "state every option")
    for key, choices in CHOICES.items():
        if options[key] not in choices:
            raise unknown_name("groups", key, str(options[key]), choices)
    for key, least in LEAST.items():
        if not isinstance(options[key], int) or options[key] < least:
            raise _wrong(key, f"a whole number from {least}", options[key], f"correct {key} of the groups")
    if (options["printed"] is not None) != (options["order"] == "printed"):
        expected = "the name of a list for order printed, and none for any other"
        raise _wrong("printed", expected, options["printed"], "correct order or printed of the groups")
    scales = options["scales"]
    return GroupRule(**{**options, "scales": scales if isinstance(scales, str) else tuple(scales)})


def _wrong(field: str, expected: str, found: object, remedy: str) -> DataContractError:
    return DataContractError("groups", field, expected=expected, found=found, remedy=remedy)
