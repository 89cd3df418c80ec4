"""Texts to token ids: what all tokenisers here look like, those of the ``tokenizers`` library, and one for tests."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stainscript.errors import DataContractError

_PIECES = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A tokeniser: ``ids`` gives each text's ids with its special tokens, as long as the text is.

    ``closing`` counts the special tokens after the text, which a cut keeps; ``rows`` those of the vocabulary in
    ``source``, a file.
    """

    ids: Callable[[Sequence[str]], list[list[int]]]
    pad: int
    closing: int
    rows: int
    source: Path | None = None

    def cut(self, texts: Sequence[str], max_length: int) -> tuple[list[list[int]], int]:
        """Ids of each text, at most ``max_length`` of them, and how many texts were longer."""
        found = self.ids(texts)
        kept = [
            one if len(one) <= max_length else one[: max_length - self.closing] + one[len(one) - self.closing :]
            for one in found
        ]
        return kept, sum(len(one) > max_length for one in found)


def of_library(tokenizer: Any, *, pad: str, closing: int, rows: int, source: Path) -> Tokens:
    """A ``tokenizers.Tokenizer`` that adds its special tokens itself; it neither cuts nor pads."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    place = tokenizer.token_to_id(pad)
    if place is None:
        raise DataContractError(
            source, "vocabulary", expected=f"the token {pad}", found="none", remedy="fetch the published file again"
        )

    def ids(texts: Sequence[str]) -> list[list[int]]:
        return [encoded.ids for encoded in tokenizer.encode_batch(list(texts))]

    return Tokens(ids=ids, pad=place, closing=closing, rows=rows, source=source)


def for_tests(*, rows: int, pad: int, closing: int) -> Tokens:
    """Words and signs hashed to ids, between special ones; goes with random weights, which have no vocabulary."""
    begin, end, free = 3, 4, 5

    def one(text: str) -> list[int]:
        words = [free + zlib.crc32(piece.lower().encode()) % (rows - free) for piece in _PIECES.findall(text)]
        return [begin, *words, *[end] * closing]

    return Tokens(ids=lambda texts: [one(text) for text in texts], pad=pad, closing=closing, rows=rows)


def read_lines(path: Path) -> list[str]:
    """The rows of a vocabulary with one token a line. Raises ``DataContractError`` for a file that is not text."""
    return _text(path).rstrip("\n").split("\n")


def read_vocabulary(path: Path) -> dict[str, int]:
    """The tokens of a JSON vocabulary. Raises ``DataContractError`` unless it is an object of tokens and numbers."""
    try:
        found = json.loads(_text(path))
    except json.JSONDecodeError as error:
        found = error
    if not isinstance(found, dict) or not all(type(place) is int for place in found.values()):
        raise _damaged(path, "a JSON object of tokens and their numbers", type(found).__name__)
    return found


def read_merges(path: Path) -> list[tuple[str, str]]:
    """The pairs of a byte-pair encoding, by rank; what follows a pair (its count) and a line of version are left out.

    Raises ``DataContractError`` for a line without a pair.
    """
    lines = [line for line in read_lines(path) if line and not line.startswith("#version")]
    pairs = [tuple(line.split()[:2]) for line in lines]
    for line, pair in zip(lines, pairs, strict=True):
        if len(pair) != 2:
            raise _damaged(path, "two tokens a line", repr(line))
    return pairs


def read_library(path: Path) -> Any:
    """The tokeniser of a ``tokenizers`` JSON file. Raises ``DataContractError`` for one that is damaged."""
    from tokenizers import Tokenizer

    text = _text(path)
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more precise
        raise _damaged(path, "a tokeniser of the tokenizers library", str(error)[:80]) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _damaged(path, "text in UTF-8", str(error)[:80]) from error


def _damaged(path: Path, expected: str, found: str) -> DataContractError:
    return DataContractError(
        path, "vocabulary", expected=expected, found=found, remedy="fetch the published file again"
    )
