"""A token rule is given whole, and misspelt or missing options are named."""

from dataclasses import asdict

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.tokens.rules import COUNT_CAP, PRESETS, CountRule, rule_dict, token_rule

RANK = {"kind": "rank", **asdict(PRESETS["paper"])}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_the_way_through_plain_values(name):
    assert token_rule(rule_dict(PRESETS[name])) == PRESETS[name]
    assert token_rule({"kind": "count", "cap": 2000}) == CountRule(cap=COUNT_CAP)


def test_the_presets_differ_where_paper_and_release_do():
    paper, release = asdict(PRESETS["paper"]), asdict(PRESETS["release"])
    assert {key: (paper[key], release[key]) for key in paper if paper[key] != release[key]} == {
        "gene_merge": ("sum", "first"),
        "aliases": (True, False),
        "mean_rounding": ("none", "half_up"),
        "id_offset": (1, 30),
        "keep_explicit_zeros": (False, True),
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "ranks"}, r"tokens\.kind: .*did you mean 'rank'"),
        ({"lenght": 9}, r"tokens: .*did you mean 'length'"),
        ({"mean_rounding": "half-up"}, r"tokens\.mean_rounding: .*did you mean 'half_up'"),
        ({"vocab": "human"}, r"tokens\.vocab: .*did you mean 'human_only'"),
        ({"length": 0}, r"tokens\.length: expected 1 or more; found 0"),
        ({"length": 15.0}, r"tokens\.length: expected int; found 15\.0"),
        ({"length": True}, r"tokens\.length: expected int; found True"),
        ({"aliases": "yes"}, r"tokens\.aliases: expected bool; found 'yes'"),
        ({"id_offset": 0}, r"tokens\.id_offset: expected 1 or more"),
    ],
)
def test_a_wrong_option_is_named(change, said):
    with pytest.raises(DataContractError, match=said):
        token_rule({**RANK, **change})


def test_a_missing_option_has_no_default():
    with pytest.raises(DataContractError, match=r"tokens\.length, id_offset: expected a value; found none"):
        token_rule({key: value for key, value in RANK.items() if key not in ("length", "id_offset")})
    with pytest.raises(DataContractError, match=r"tokens\.cap"):
        token_rule({"kind": "count"})
