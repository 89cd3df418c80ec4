from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.options import rule_of

Options = Callable[..., dict[str, Any]]


def test_a_complete_rule_is_taken_as_it_is(
    rule_options: Options, rewrite_options: Options, ncbi_options: Options
) -> None:
    rule = rule_of(rule_options("ncbi", ncbi=ncbi_options(), rewrite=rewrite_options(key_env=None)))
    assert rule.source == "ncbi"
    assert rule.ncbi.batch == 100
    assert rule.rewrite.key_env is None
    assert rule_of(rule_options()).rewrite is None


@pytest.mark.parametrize(
    ("section", "name", "value", "said"),
    [
        ("rewrite", "strategy", "ful", "did you mean 'full'"),
        ("rewrite", "max_tries", 0, "rewrite.max_tries: expected a number, 1 or more; found 0"),
        ("rewrite", "temperature", True, "rewrite.temperature"),
        ("rewrite", "timeout_s", 0, "rewrite.timeout_s: expected seconds, more than 0"),
        ("rewrite", "max_requests", 0, "rewrite.max_requests"),
        ("rewrite", "model", " ", "rewrite.model"),
        ("rewrite", "base_url", "api.openai.com/v1", "rewrite.base_url"),
        ("rewrite", "modell", "x", "did you mean 'model'"),
        ("ncbi", "batch", 0, "ncbi.batch"),
        ("ncbi", "email_env", None, "ncbi.email_env"),
    ],
)
def test_a_wrong_option_is_named(
    rule_options: Options,
    rewrite_options: Options,
    ncbi_options: Options,
    section: str,
    name: str,
    value: object,
    said: str,
) -> None:
    parts = {"ncbi": ncbi_options(), "rewrite": rewrite_options()}
    parts[section][name] = value
    with pytest.raises(DataContractError) as caught:
        rule_of(rule_options("ncbi", **parts))
    assert said in str(caught.value)


def test_a_missing_option_is_named(rule_options: Options, rewrite_options: Options) -> None:
    options = rewrite_options()
    del options["seed"]
    with pytest.raises(DataContractError, match="no seed"):
        rule_of(rule_options(rewrite=options))
    with pytest.raises(DataContractError, match="ncbi: expected how NCBI is asked"):
        rule_of(rule_options("ncbi"))
    with pytest.raises(DataContractError, match="names, ncbi"):
        rule_of(rule_options("web"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_env", "sk-proj-0123456789abcdefgh"),
        ("key_env", "gsk_0123456789abcdefgh"),
        ("key_env", "0123456789abcdef0123456789abcdef"),
        ("key_env", "AKIA0123456789ABCDEF"),
        ("key_env", "ABCDEF0123456789ABCDEF0123456789"),
        ("api_key", "hush-hush-0123456789"),
        ("model", "sk-proj-0123456789abcdefgh"),
        ("base_url", "https://user:hush-hush-0123456789@host/v1"),
        ("base_url", "https://host/v1?key=hush-hush-0123456789"),
    ],
)
def test_a_key_in_the_config_is_refused_and_not_shown(
    rule_options: Options, rewrite_options: Options, name: str, value: str
) -> None:
    with pytest.raises(DataContractError) as caught:
        rule_of(rule_options(rewrite=rewrite_options(**{name: value})))
    said = repr(vars(caught.value)) + str(caught.value)
    assert name in said
    assert "environment variable" in said or "name the variable" in said
    for piece in (value, value[:12], value[-12:], "hush"):
        assert piece not in said
