"""The interface of a frozen image encoder."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Encoder(Protocol):
    """Turns patches into features; frozen, so equal patches give equal features.

    ``weights_sha256`` is the SHA-256 of the weights file, ``random:<seed>`` for random weights and ``none`` where
    there are none. ``card`` holds ``licence``, ``weights`` (where they come from) and ``transform`` as text.
    """

    name: str  # as the config's kind: morphology, timm:<model>
    width: int  # D
    transform: str  # what happens to a patch before the network, as text
    precision: str  # what is computed in, on this machine: float32, bfloat16 or float16
    weights_sha256: str
    card: dict[str, str]

    def encode(self, images: np.ndarray) -> np.ndarray:
        """(S, y, x, 3) uint8 RGB → (S, D) float32."""
        ...
