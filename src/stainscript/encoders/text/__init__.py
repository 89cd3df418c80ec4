"""The registry of text encoders: a module beside this file with a ``CARD`` is one.

Imports neither torch nor transformers, so that misspelt names and absent weights fail while the jobs are planned.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.encoders.text.base import SECTION, TextCard, weights_wanted, width_of
from stainscript.errors import DataContractError, unknown_name

if TYPE_CHECKING:
    from stainscript.encoders.text.base import TextEncoder

SHORTEST = 3  # tokens: one between the special ones
_FOLDER = Path(__file__).parent
_CARD = re.compile(r"^CARD = ", re.MULTILINE)
_PACKAGE = "stainscript.encoders.text"


@functools.cache
def names() -> list[str]:
    """All text encoders, by module."""
    return sorted(path.stem for path in _FOLDER.glob("*.py") if _CARD.search(path.read_text(encoding="utf-8")))


def card(kind: str) -> TextCard:
    """The facts of a text encoder. Raises ``DataContractError`` for a misspelt kind."""
    check(kind, field="text encoder kind")
    return _module(kind).CARD


def check(kind: str, *, path: str | Path = "config.yaml", field: str = SECTION) -> None:
    """Raise ``DataContractError``, naming the alternatives, unless ``kind`` is a text encoder."""
    if kind not in names():
        raise unknown_name(path, field, kind, names())


def check_weights(
    kind: str, weights: str | Path | None, *, path: str | Path = "config.yaml", field: str = SECTION
) -> None:
    """Raise ``DataContractError`` where a published encoder is given no weights, or TF-IDF is given some.

    field: ``text_encoders.<name>``. Whether a folder exists is not looked at.
    """
    found = card(kind)
    if found.published and weights is None:
        raise weights_wanted(found, path=path, field=f"{field}.weights", found=weights)
    if not found.published and weights is not None:
        raise DataContractError(
            path,
            f"{field}.weights",
            expected=f"null, for {kind} has none",
            found=weights,
            remedy="leave weights out, or name the kind that they belong to",
        )


def check_settings(
    kind: str,
    *,
    pooling: str | None = None,
    dimension: int | None = None,
    max_length: int | None = None,
    options: Mapping[str, Any] | None = None,
    path: str | Path = "config.yaml",
    field: str = SECTION,
) -> None:
    """Raise ``DataContractError`` for a pooling, an option, a width or a length that this encoder does not have."""
    found, module = card(kind), _module(kind)
    if pooling is not None and pooling not in found.poolings:
        raise unknown_name(path, f"{field}.pooling", pooling, found.poolings)
    for name in options or {}:
        if name not in module.SHAPE:
            raise unknown_name(path, f"{field}.options", name, module.SHAPE)
    if dimension is not None and found.published:
        width = width_of(module.SHAPE | dict(options or {}), pooling or found.poolings[0])
        if dimension > width:
            raise DataContractError(
                path,
                f"{field}.dimension",
                expected=f"at most {width}, the width of {kind}, and fewer than there are genes",
                found=dimension,
                remedy="lower it, or leave it out",
            )
    if max_length is not None:
        longest = longest_text(kind, options or {})
        if longest is None or not SHORTEST <= max_length <= longest:
            raise DataContractError(
                path,
                f"{field}.max_length",
                expected="null: it has no limit"
                if longest is None
                else f"{SHORTEST} to {longest} tokens, or null for the most",
                found=max_length,
                remedy=f"correct it: {kind} reads no more",
            )


def longest_text(kind: str, options: Mapping[str, Any] | None = None) -> int | None:
    """The most tokens of a text, special ones included, that this encoder reads; ``None``: no limit."""
    module = _module(kind)
    places = (module.SHAPE | dict(options or {})).get("max_position_embeddings")
    return None if places is None else places - getattr(module, "RESERVED", 0)


def load(
    kind: str,
    *,
    weights: str | Path | None = None,
    weights_sha256: str | None = None,
    revision: str = "main",
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    pooling: str | None = None,
    dimension: int | None = None,
    normalise: bool = False,
    max_length: int | None = None,
    batch_size: int = 16,
    precision: str = "float32",
    hardware: Mapping[str, Any] | None = None,
) -> TextEncoder:
    """The text encoder ``kind``, one of ``names()``.

    weights: the folder with the published files; ``hub``: fetched into the hub's cache with the user's token;
    ``random``: drawn by ``seed``. weights_sha256: what the file of weights must hash to; revision: of the hub. options:
    sizes of the network that differ from the published ones (tests), or the options of ``tfidf``. pooling: ``None`` is
    the card's first. dimension: ``None`` is the encoder's width, fewer are principal components over the texts.
    normalise: rows of unit length, after that. max_length: tokens; ``None`` is all that the encoder reads. precision:
    float32, bfloat16 or float16, the latter two on a GPU only; hardware: ``accelerator``, ``gpu`` and ``threads``.
    Raises ``DataContractError`` for what ``check``, ``check_weights`` and ``check_settings`` refuse, and for files that
    are not what they should be.
    """
    check(kind, field="text encoder kind")
    check_weights(kind, weights, field=f"{SECTION}.<name of {kind}>")
    settings = {"pooling": pooling, "dimension": dimension, "max_length": max_length, "options": options}
    check_settings(kind, **settings, field=f"{SECTION}.<name of {kind}>")
    module = _module(kind)
    given = {
        "seed": seed,
        "options": dict(options or {}),
        "pooling": pooling or module.CARD.poolings[0],
        "dimension": dimension,
        "normalise": normalise,
    }
    if not module.CARD.published:
        return module.load(**given)
    return importlib.import_module(f"{_PACKAGE}.engine").load(
        module,
        **given,
        weights=weights,
        weights_sha256=weights_sha256,
        revision=revision,
        max_length=max_length,
        batch_size=batch_size,
        precision=precision,
        hardware=dict(hardware or {}),
    )


def needs_gpu(kind: str) -> bool:
    """Whether this encoder runs a network, which a GPU would speed up."""
    return card(kind).published


def code_modules(kind: str) -> tuple[str, ...]:
    """Dotted names of the modules whose code decides this encoder's vectors."""
    own = (f"{_PACKAGE}.{kind}",)
    return (*own, f"{_PACKAGE}.engine") if card(kind).published else own


def _module(kind: str) -> Any:
    return importlib.import_module(f"{_PACKAGE}.{kind}")
