"""How counts become tokens: the two rules, and the paper's and the release's choices by name. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from stainscript.errors import DataContractError, unknown_name


@dataclass(frozen=True, kw_only=True)
class RankRule:
    """STAMP's tokens: a spot is its genes, the most over-expressed first (Algorithm 1).

    vocab: ``released`` takes the vocabulary file whole, ``human_only`` its plain human ids, ``build`` the genes of the
    training slides. gene_merge: columns of one gene are added up, or the first stands for all; aliases: old symbols
    and version suffixes are looked up (else names must be equal); length: N, positions kept; mean_rounding: of the
    gene means, ``half_up`` to integers; id_offset: token of the first gene; keep_explicit_zeros: a zero that a sparse
    matrix stores is a token, after all counts.
    """

    vocab: Literal["released", "human_only", "build"]
    gene_merge: Literal["sum", "first"]
    aliases: bool
    length: int
    mean_rounding: Literal["none", "half_up"]
    id_offset: int
    keep_explicit_zeros: bool


@dataclass(frozen=True, kw_only=True)
class CountRule:
    """GenAR's tokens: a count is its own token, ``cap`` and above share one; cap + 1 tokens in all."""

    cap: int


PAPER = RankRule(
    vocab="released",
    gene_merge="sum",
    aliases=True,
    length=1500,  # table 3
    mean_rounding="none",
    id_offset=1,
    keep_explicit_zeros=False,
)
PRESETS = {
    "paper": PAPER,
    "release": replace(
        PAPER, gene_merge="first", aliases=False, mean_rounding="half_up", id_offset=30, keep_explicit_zeros=True
    ),
}
COUNT_CAP = 2000  # GenAR appendix D
KINDS = {"rank": RankRule, "count": CountRule}


def token_rule(options: Mapping[str, Any], *, path: str = "config.yaml") -> RankRule | CountRule:
    """The rule from a plain dict: ``kind``, and every option of that kind, explicitly.

    path: names the file in an error. Raises ``DataContractError`` for an unknown or missing option or kind, a value
    that is none of the choices or of another type, and a number below 1.
    """
    kind = options.get("kind")
    if kind not in KINDS:
        raise unknown_name(path, "tokens.kind", str(kind), KINDS)
    given = {name: value for name, value in options.items() if name != "kind"}
    types = get_type_hints(KINDS[kind])
    for name, value in given.items():
        if name not in types:
            raise unknown_name(path, "tokens", name, types)
        _check(path, name, value, types[name])
    missing = [field.name for field in fields(KINDS[kind]) if field.name not in given]
    if missing:
        raise _wrong(path, ", ".join(missing), "a value", "none", "give every option of the rule")
    return KINDS[kind](**given)


def rule_dict(rule: RankRule | CountRule) -> dict[str, Any]:
    """The plain dict of a rule, as ``token_rule`` takes it and stores record it."""
    return {"kind": "rank" if isinstance(rule, RankRule) else "count", **asdict(rule)}


def _check(path: str, name: str, value: Any, hint: Any) -> None:
    choices = get_args(hint)
    if choices and value not in choices:
        raise unknown_name(path, f"tokens.{name}", str(value), choices)
    if not choices and type(value) is not hint:
        raise _wrong(path, name, hint.__name__, repr(value), "correct the value")
    if hint is int and value < 1:
        raise _wrong(path, name, "1 or more", str(value), "correct the value")


def _wrong(path: str, name: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, f"tokens.{name}", expected=expected, found=found, remedy=remedy)
