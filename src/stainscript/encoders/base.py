"""The interface of a frozen image encoder, and the card that describes a published one. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from stainscript.errors import DataContractError

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
RANDOM, HUB = "random", "hub"  # what a config may say in place of a path to weights


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of a published encoder that planning, checking and reporting need.

    ``url`` is where the weights are published and, if ``gated``, where access is asked for; ``repository`` is the
    place on the Hugging Face hub, ``None`` where the file comes from elsewhere. ``input_px`` is the side of the
    network's input; a patch is resized to ``resize_px`` (``None``: taken as it is) and its centre is cropped.
    ``parameters`` counts those that the encoder uses; ``gflops`` counts a multiply-add as two, a patch.
    """

    name: str
    url: str
    repository: str | None
    file: str
    width: int  # D
    input_px: int
    resize_px: int | None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pooling: str
    licence: str
    gated: bool
    parameters: int
    gflops: float
    citation: str

    @property
    def transform(self) -> str:
        """What happens to a patch before the network, as it is stored beside the features."""
        steps = []
        if self.resize_px is not None:
            steps.append(f"resize to {self.resize_px}x{self.resize_px} px ({self.interpolation}, antialiased, 8 bits)")
            if self.resize_px != self.input_px:
                steps.append(f"centre crop {self.input_px}x{self.input_px} px")
        mean, std = ([round(v, 8) for v in values] for values in (self.mean, self.std))
        return ", ".join([*steps, f"/ 255, mean {mean}, sd {std}"])

    @property
    def how_to_get(self) -> str:
        """One sentence: licence, where to ask or fetch, and the file's name."""
        verb = "ask for access" if self.gated else "fetch it"
        return f"{self.name} ({self.licence}): {verb} at {self.url}, the file is {self.file}"


@runtime_checkable
class Encoder(Protocol):
    """Turns patches into features; frozen, so equal patches give equal features.

    ``weights_sha256`` is the SHA-256 of the weights file, ``random:<seed>`` for random weights and ``none`` where
    there are none. ``card`` holds ``licence``, ``weights`` (where they come from) and ``transform`` as text, and for
    published encoders ``pooling`` and ``citation``.
    """

    name: str  # as the config's kind: morphology, uni, resnet50:stage3, timm:<model>
    width: int  # D
    transform: str  # what happens to a patch before the network, as text
    precision: str  # what is computed in, on this machine: float32, bfloat16 or float16
    weights_sha256: str
    card: dict[str, str]

    def encode(self, images: np.ndarray) -> np.ndarray:
        """(S, y, x, 3) uint8 RGB → (S, D) float32."""
        ...

    def encode_batches(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Each (B, y, x, 3) uint8 batch → (B, D) float32, in order; a batch is one forward pass as given."""
        ...

    def blank(self) -> np.ndarray:
        """(D,) float32: the features of an image that is zero after normalisation (DKAN's cell outside the slide)."""
        ...


def weights_wanted(card: Card, *, path: str | Path, field: str, found: object) -> DataContractError:
    """The error for a published encoder without weights: what it is, where to ask, where to put them."""
    remedy = f"{card.how_to_get}; put it anywhere and set {field} to its path or folder"
    if card.repository is not None:
        remedy += f", or set {field}: {HUB} to fetch it with your own token (HF_TOKEN)"
    return DataContractError(
        path,
        field,
        expected=f"the published weights of {card.name}",
        found=found,
        remedy=f"{remedy}; {RANDOM}: for tests",
    )
