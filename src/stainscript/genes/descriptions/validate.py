"""Whether a model's answer is what the prompt asked for; the reason, in words a model understands, where it is not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

SYMBOL, FUNCTION, PHENOTYPE, FREE = "gene symbol", "functionality", "phenotype", "description"

_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)```", re.DOTALL)


class Unusable(Exception):
    """The answer cannot be used; the text says why and goes back to the model."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """What a valid answer says. A free description (strategy ``no_constraint``) is in ``functionality``."""

    functionality: str
    phenotype: str


def keys_of(strategy: str) -> tuple[str, ...]:
    """The keys that an answer must have (DKAN figure S1; two without the function/phenotype constraint)."""
    return (SYMBOL, FREE) if strategy == "no_constraint" else (SYMBOL, FUNCTION, PHENOTYPE)


def object_text(answer: str) -> str:
    """The JSON object of an answer as it was written: without reasoning, code fence and words around it."""
    if _loaded(answer) is not None:
        return answer.strip()
    text = _THINKING.sub("", answer)
    text = text.rpartition("</think>")[2]  # some endpoints drop the opening tag
    fenced = _FENCED.search(text)
    if fenced and "{" in fenced.group(1):
        text = fenced.group(1)
    first, last = text.find("{"), text.rfind("}")
    return text[first : last + 1] if 0 <= first < last else text.strip()


def validate(answer: str, *, strategy: str, symbol: str, max_words: int) -> Values:
    """The values of an answer; raises ``Unusable`` with the reason.

    Valid is one JSON object with exactly the strategy's keys, each once, every value a text that is not empty, all
    values together under ``max_words`` words (separated by white space), the symbol the one asked for, whatever its
    case. That the values hold no adjectives is asked for and not checked.
    """
    keys = keys_of(strategy)
    row = _parsed(object_text(answer), keys)
    texts = {key: " ".join(value.split()) if isinstance(value, str) else None for key, value in row.items()}
    wrong = [key for key in keys if not texts[key]]
    if wrong:
        raise Unusable(f"the value of {json.dumps(wrong[0])} is not a text, or it is empty")
    if texts[SYMBOL].casefold() != symbol.casefold():
        raise Unusable(f"the gene symbol must be {json.dumps(symbol)} and nothing else")
    words = sum(len(text.split()) for text in texts.values())
    if words >= max_words:
        raise Unusable(f"the values have {words} words together; fewer than {max_words} are allowed")
    if strategy == "no_constraint":
        return Values(functionality=texts[FREE], phenotype="")
    return Values(functionality=texts[FUNCTION], phenotype=texts[PHENOTYPE])


def _parsed(text: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not (text.startswith("{") and text.endswith("}")):
        raise Unusable("there is no complete JSON object in the answer")
    pairs = _loaded(text)
    if pairs is None:
        raise Unusable("the answer is not valid JSON")
    names = [name for name, _ in pairs]
    if sorted(names) != sorted(keys):
        wanted = ", ".join(json.dumps(key) for key in keys)
        raise Unusable(f"the object must have exactly the keys {wanted}, each once")
    return dict(pairs)


def _loaded(text: str) -> list[tuple[str, Any]] | None:
    """The names and values of a text that is one JSON object and nothing else; None for any other text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
