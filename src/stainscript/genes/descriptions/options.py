"""The options of a gene description, checked; a secret that was written into them is refused without being shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from stainscript.errors import DataContractError, unknown_name

Source = Literal["names", "ncbi"]
Strategy = Literal["full", "no_constraint", "no_summary"]

WHERE = "gene descriptions"
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_KEY_LIKE = re.compile(r"(?i)(?:^|\W)(?:sk|gsk|pk|rk|hf|xai|nvapi|bearer)[-_ ][\w-]{12,}|AKIA[0-9A-Z]{16}")
_SECRET_NAMES = ("key", "api_key", "apikey", "token", "secret", "password", "authorization")


@dataclass(frozen=True, kw_only=True)
class Ncbi:
    """How NCBI Gene is asked: where, as whom, and how patiently."""

    base_url: str  # E-utilities, without the program's name
    email_env: str  # variable with the address that NCBI wants from every client
    key_env: str | None  # variable with an API key; unset or None: 3 requests a second instead of 10
    batch: int  # genes a request
    timeout_s: float
    attempts: int  # tries in a row of one request


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """Which chat model rewrites the text, and how it is asked. None leaves a field out of the request."""

    base_url: str  # of an OpenAI-compatible endpoint, e.g. https://api.openai.com/v1
    model: str
    key_env: str | None  # variable with the key; None: the endpoint asks none (vLLM, Ollama)
    strategy: Strategy  # DKAN ablation 2
    disease: str  # what the genes are said to be linked to; "": nothing is said
    temperature: float | None
    seed: int | None
    max_words: int  # all values together stay under it; 120 in DKAN figure S1
    max_tokens: int | None
    max_tries: int  # answers asked for a gene until one is valid
    timeout_s: float
    attempts: int  # tries in a row of one request that the endpoint does not serve
    backoff_s: float
    concurrency: int  # requests in flight
    max_requests: int | None  # requests of one run, repairs and repeated tries among them


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Where the descriptions of a panel come from."""

    source: Source
    max_sets: int  # source ``names``: gene sets named a gene, the smallest first
    ncbi: Ncbi | None
    rewrite: Rewrite | None


def rule_of(options: Mapping[str, Any]) -> Rule:
    """A rule from the plain dict that a stage is given; every key must be there.

    Raises ``DataContractError`` for a missing or unknown key, a value out of range, and anything that looks like a
    secret: keys come from the environment.
    """
    _refuse_secrets(options, WHERE)
    _keys(options, Rule, WHERE)
    _one_of(options["source"], "source", get_args(Source))
    _at_least(options, "max_sets", 0)
    ncbi = None if options["ncbi"] is None else _ncbi(options["ncbi"])
    if options["source"] == "ncbi" and ncbi is None:
        raise _wrong("ncbi", "how NCBI is asked", "nothing", "give the section ncbi, or source: names")
    rewrite = None if options["rewrite"] is None else _rewrite(options["rewrite"])
    return Rule(source=options["source"], max_sets=options["max_sets"], ncbi=ncbi, rewrite=rewrite)


def _ncbi(options: Mapping[str, Any]) -> Ncbi:
    _keys(options, Ncbi, "ncbi")
    _address(options["base_url"], "ncbi.base_url")
    for name in ("email_env", "key_env"):
        _variable(options[name], f"ncbi.{name}", optional=name == "key_env")
    _at_least(options, "batch", 1, "ncbi")
    _at_least(options, "attempts", 1, "ncbi")
    _positive(options, "timeout_s", "ncbi")
    return Ncbi(**options)


def _rewrite(options: Mapping[str, Any]) -> Rewrite:
    _keys(options, Rewrite, "rewrite")
    _address(options["base_url"], "rewrite.base_url")
    _variable(options["key_env"], "rewrite.key_env", optional=True)
    _one_of(options["strategy"], "rewrite.strategy", get_args(Strategy))
    if not str(options["model"]).strip():
        raise _wrong("rewrite.model", "the name of a model", "none", "name it as the endpoint does")
    for name, least in (("max_words", 4), ("max_tries", 1), ("attempts", 1), ("concurrency", 1)):
        _at_least(options, name, least, "rewrite")
    for name, least in (("max_tokens", 1), ("max_requests", 1), ("temperature", 0)):
        if options[name] is not None:
            _at_least(options, name, least, "rewrite")
    _positive(options, "timeout_s", "rewrite")
    _at_least(options, "backoff_s", 0, "rewrite")
    return Rewrite(**options)


def _refuse_secrets(options: Mapping[str, Any], where: str) -> None:
    for name, value in options.items():
        if isinstance(value, Mapping):
            _refuse_secrets(value, str(name))
        elif str(name).lower() in _SECRET_NAMES or (isinstance(value, str) and _KEY_LIKE.search(value)):
            raise _secret(f"{where}.{name}")


def _keys(options: Mapping[str, Any], record: type, where: str) -> None:
    known = [field.name for field in fields(record)]
    for name in options:
        if name not in known:
            raise unknown_name(WHERE, where, str(name), known)
    missing = [name for name in known if name not in options]
    if missing:
        raise _wrong(where, ", ".join(known), f"no {', '.join(missing)}", "give every option")


def _address(value: Any, field: str) -> None:
    parts = urlsplit(str(value))
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _secret(field)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong(field, "an address that begins with http:// or https://", repr(value), "correct it")


def _variable(value: Any, field: str, *, optional: bool) -> None:
    if value is None and optional:
        return
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value) or (len(value) > 20 and "_" not in value):
        raise _secret(field)


def _one_of(value: Any, field: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise unknown_name(WHERE, field, str(value), known)


def _at_least(options: Mapping[str, Any], name: str, least: float, where: str = "") -> None:
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        field = f"{where}.{name}" if where else name
        raise _wrong(field, f"a number, {least} or more", repr(value), "correct it")


def _positive(options: Mapping[str, Any], name: str, where: str) -> None:
    value = options[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise _wrong(f"{where}.{name}", "seconds, more than 0", repr(value), "correct it")


def _secret(field: str) -> DataContractError:
    return _wrong(
        field,
        "no secret: in key_env the name of a variable (capitals, digits, _), in base_url neither user nor query",
        "something else, not shown because it may be a key",
        "export the key in a variable and name the variable; if a key stood in a file, revoke it",
    )


def _wrong(field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(WHERE, field, expected=expected, found=found, remedy=remedy)
