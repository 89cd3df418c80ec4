from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.genes.descriptions.validate import Unusable, Values, object_text, validate

GOOD = '{"gene symbol": "ERBB2", "functionality": "receptor kinase", "phenotype": "cell  growth\\n"}'
VALUES = Values(functionality="receptor kinase", phenotype="cell growth")


def check(answer: str, strategy: str = "full", max_words: int = 120) -> Values:
    return validate(answer, strategy=strategy, symbol="ERBB2", max_words=max_words)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}```",
        f"Here is it:\n{GOOD}\nI hope this helps.",
        f"<think>Perhaps {{}} or {{'a': 1}}?</think>\n\n```json\n{GOOD}\n```",
        f"the opening tag is missing {{ </think>{GOOD}",
        GOOD.replace("ERBB2", "erbb2"),
    ],
)
def test_a_valid_object_is_found_whatever_stands_around_it(answer: str) -> None:
    assert check(answer) == VALUES


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no complete JSON object"),
        ("ERBB2 is a receptor.", "no complete JSON object"),
        (GOOD[:-20], "no complete JSON object"),
        (GOOD.replace(":", "=", 1), "not valid JSON"),
        (GOOD + GOOD, "not valid JSON"),
        ("[" + GOOD + "]", None),
        (GOOD.replace("phenotype", "Phenotype"), "exactly the keys"),
        (GOOD.replace("}", ', "note": "x"}'), "exactly the keys"),
        (GOOD.replace("}", ', "phenotype": "x"}'), "exactly the keys"),
        ('{"gene symbol": "ERBB2", "functionality": ["a"], "phenotype": "b"}', '"functionality" is not a text'),
        ('{"gene symbol": "ERBB2", "functionality": {}, "phenotype": "b"}', '"functionality" is not a text'),
        ('{"gene symbol": "ERBB2", "functionality": "a", "phenotype": " "}', '"phenotype" is not a text'),
        (GOOD.replace("ERBB2", "ERBB3"), 'must be "ERBB2"'),
        ("{" * 100_000, "no complete JSON object"),
        ('{"a":' * 100_000 + "}", "not valid JSON"),
    ],
)
def test_an_answer_that_breaks_the_form_is_refused_with_the_reason(answer: str, reason: str | None) -> None:
    if reason is None:  # one object in a list: the object is what is read
        assert check(answer) == VALUES
        return
    with pytest.raises(Unusable, match=reason):
        check(answer)


def test_without_constraint_the_answer_has_a_description_instead() -> None:
    free = '{"gene symbol": "ERBB2", "description": "receptor kinase"}'
    assert check(free, "no_constraint") == Values(functionality="receptor kinase", phenotype="")
    with pytest.raises(Unusable, match='exactly the keys "gene symbol", "description"'):
        check(GOOD, "no_constraint")
    with pytest.raises(Unusable, match='"functionality", "phenotype"'):
        check(free, "no_summary")


def test_119_words_are_allowed_and_120_are_not() -> None:
    def answer(words: int) -> str:  # symbol 1, phenotype 1
        return json.dumps({"gene symbol": "ERBB2", "functionality": "a " * (words - 2), "phenotype": "b"})

    assert check(answer(119)).phenotype == "b"
    with pytest.raises(Unusable, match="120 words together; fewer than 120"):
        check(answer(120))


texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(function=texts, phenotype=texts, limit=st.integers(4, 20))
def test_any_texts_pass_when_they_are_short_and_neither_is_blank(function: str, phenotype: str, limit: int) -> None:
    answer = json.dumps({"gene symbol": "ERBB2", "functionality": function, "phenotype": phenotype})
    words = 1 + len(function.split()) + len(phenotype.split())
    if function.split() and phenotype.split() and words < limit:
        expected = Values(functionality=" ".join(function.split()), phenotype=" ".join(phenotype.split()))
        assert check(answer, max_words=limit) == expected
    else:
        with pytest.raises(Unusable):
            check(answer, max_words=limit)


def test_the_object_is_cut_out_as_it_was_written() -> None:
    assert object_text(f"x ```json\n{GOOD}\n``` y") == GOOD
    assert object_text(" no object ") == "no object"
