"""The interface of a frozen text encoder, and the card that describes one. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stainscript.encoders.base import HUB, RANDOM
from stainscript.errors import DataContractError

SECTION = "text_encoders"  # of the config, for messages


@dataclass(frozen=True, kw_only=True)
class TextCard:
    """The facts of a text encoder that planning, checking and reporting need.

    ``url`` is where the weights are published and, if ``gated``, where access is asked for; ``repository`` is the place
    on the Hugging Face hub. ``file`` holds the weights, ``others`` what lies beside it: the vocabulary and, where there
    is one, the configuration. ``elsewhere`` is the address and SHA-256 of a vocabulary that is published apart from the
    weights. ``poolings`` names the ways to one vector a text, the default first; ``width`` is D of the default,
    ``context`` the longest text in tokens, special ones included. ``parameters`` counts those that are used.
    """

    name: str
    url: str
    repository: str | None = None
    file: str = ""
    others: tuple[str, ...] = ()
    elsewhere: tuple[str, str] | None = None
    width: int
    layers: int = 0
    heads: int = 0
    context: int | None = None
    poolings: tuple[str, ...]
    licence: str
    gated: bool = False
    parameters: int = 0
    citation: str

    @property
    def published(self) -> bool:
        """Whether there are weights to get; TF-IDF has none."""
        return bool(self.file)

    @property
    def how_to_get(self) -> str:
        """One sentence: licence, where to ask or fetch, and the names of the files."""
        verb = "ask for access" if self.gated else "fetch it"
        files = ", ".join([self.file, *self.others])
        apart = f", the vocabulary from {self.elsewhere[0]}" if self.elsewhere else ""
        return f"{self.name} ({self.licence}): {verb} at {self.url}, the files are {files}{apart}"


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors; frozen, so equal texts give equal vectors.

    ``weights_sha256`` is the SHA-256 of the weights file, ``random:<seed>`` for random weights and ``none`` where there
    are none. ``card`` holds ``licence``, ``weights`` (where they come from) and ``citation`` as text. ``truncated``
    counts the texts of the last call that were longer than ``max_length`` tokens.
    """

    name: str  # as the config's kind
    pooling: str
    max_length: int | None
    precision: str  # what is computed in, on this machine: float32, bfloat16 or float16
    weights_sha256: str
    card: dict[str, str]
    truncated: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """G texts → (G, D) float32, in order."""
        ...


def width_of(shape: Mapping[str, Any], pooling: str) -> int:
    """D of a network of this shape: what the projection gives, or the width of its states."""
    return shape["projection_dim" if pooling == "projection" else "hidden_size"]


def weights_wanted(card: TextCard, *, path: str | Path, field: str, found: object) -> DataContractError:
    """The error for a published encoder without weights: what it is, where to ask, where to put them."""
    return DataContractError(
        path,
        field,
        expected=f"the folder of the published {card.name}",
        found=found,
        remedy=f"{card.how_to_get}; put them into one folder and set {field} to it, or set {field}: {HUB} to fetch "
        f"them with your own token (HF_TOKEN); {RANDOM}: for tests; kind tfidf needs no weights",
    )
