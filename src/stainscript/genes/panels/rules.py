"""The options of a panel: what they mean, and which contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from stainscript.errors import DataContractError, unknown_name
from stainscript.types import PanelKind, Space

OF_A_LIST = ("fixed", "printed")
OF_COUNTS = ("top_total", "hest_hvg", "hest_mean")
PRESELECTING = ("hmhvg", "top_mean", "heg", "top_variance", "top_total")
MASKING = (*OF_A_LIST, "all")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a panel is chosen. Fields and meaning are those of the config's panel section; no defaults here.

    ``top_total`` ranks sums of raw counts (the classic 250); ``top_mean`` and ``top_variance`` rank in ``space``;
    ``heg`` is ``top_mean`` whose own space is log1p_cp10k. ``hmhvg`` keeps the genes within the first M by mean and by
    variance (by standard deviation is the same order): M is ``n``, or with ``exactly`` the smallest that leaves ``n``
    genes. ``hvg_v3`` takes the first ``n`` of the "seurat_v3" flavour over all spots (STAMP 5,000: ``space`` counts, or
    log1p_cp10k as the paper's words have it). ``hest_hvg``, ``hest_mean``: HEST-Bench's (``genes/panels/hest.py``).
    ``fixed`` takes ``genes`` as they are, ``printed`` the published list of that name (``genes/panels/printed.py``),
    ``all`` every gene that at least ``min_slides`` of the slides measure (HistoPrism). ``take_first`` then keeps the
    first genes of the panel (GenAR's loader: 200). ``missing: mask`` allows genes that some of the slides do not
    measure.
    """

    rule: PanelKind
    n: int | None  # None: the whole list (fixed, printed), or all
    exactly: bool
    take_first: int | None
    space: Space
    exclude_prefixes: tuple[str, ...]
    preselect_hvg: int | None
    min_spot_share: float
    min_slides: int | None  # None: every slide
    missing: Literal["error", "mask"]
    scope: Literal["train", "dataset"]
    genes: tuple[str, ...] | None
    printed: str | None


def rule_of(options: Mapping[str, Any]) -> Rule:
    """A rule from the plain dict that a stage is given; every key must be there.

    ``space: None`` is the rule's own: log1p_cp10k for ``heg``, counts for every other.
    """
    known = [field.name for field in fields(Rule)]
    for key in options:
        if key not in known:
            raise unknown_name("panel", "options", key, known)
    own = Space.LOG1P_CP10K if options["rule"] == "heg" else Space.COUNTS
    space = own if options["space"] is None else Space(options["space"])
    genes = None if options["genes"] is None else tuple(options["genes"])
    return Rule(
        **{**options, "exclude_prefixes": tuple(options["exclude_prefixes"]), "space": space, "genes": genes},
    )


def check_rule(name: str, rule: Rule) -> None:
    """Refuse options that the rule would not read, or that it lacks; name: the panel, for the message."""
    kind = rule.rule
    if kind not in get_args(PanelKind):
        raise unknown_name(f"panel {name}", "rule", str(kind), get_args(PanelKind))
    wrong: list[tuple[str, str, object]] = []
    for key, owner, value in (("genes", "fixed", rule.genes), ("printed", "printed", rule.printed)):
        if (value is not None) != (kind == owner):
            wrong.append((key, f"one for rule {owner} and none for any other", value))
    if kind == "all" and rule.n is not None:
        wrong.append(("n", "none for rule all, which takes every gene", rule.n))
    if kind not in MASKING and rule.n is None:
        wrong.append(("n", f"a number for rule {kind}", None))
    if rule.exactly and kind != "hmhvg":
        wrong.append(("exactly", "false for any rule but hmhvg", True))
    if kind in OF_COUNTS and rule.space != Space.COUNTS:
        wrong.append(("space", f"counts, which {kind} ranks", rule.space.value))
    if rule.preselect_hvg is not None and kind not in PRESELECTING:
        wrong.append(("preselect_hvg", f"none for rule {kind}", rule.preselect_hvg))
    if kind in OF_A_LIST and rule.exclude_prefixes:
        wrong.append(
            ("exclude_prefixes", f"none for rule {kind}, which takes its list as it is", rule.exclude_prefixes)
        )
    if kind in OF_A_LIST and rule.min_spot_share:
        wrong.append(("min_spot_share", f"0 for rule {kind}, which takes its list as it is", rule.min_spot_share))
    if rule.min_slides is not None and kind != "all":
        wrong.append(
            ("min_slides", "none for any rule but all: candidates are measured by every slide", rule.min_slides)
        )
    if rule.missing == "mask" and kind not in MASKING:
        wrong.append(("missing", f"error for rule {kind}, whose candidates are measured by every slide", "mask"))
    for key, expected, found in wrong:
        raise DataContractError(f"panel {name}", key, expected=expected, found=found, remedy="correct this panel")
