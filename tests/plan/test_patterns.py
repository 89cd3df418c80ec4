"""Patterns of wildcards."""

from __future__ import annotations

import re

from stainscript.plan.patterns import one_of


def test_the_names_match_whole_and_nothing_else_does() -> None:
    pattern = one_of(["a.b", "c+d"])
    assert [bool(re.fullmatch(pattern, text)) for text in ("a.b", "c+d", "axb", "a", "")] == [True, True] + 3 * [False]


def test_no_names_match_nothing() -> None:
    assert not any(re.fullmatch(one_of([]), text) for text in ("", "none", "$none"))
