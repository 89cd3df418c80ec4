"""Multilayer perceptron from features to genes.

- features are standardised by buffers that hold the training spots' statistics
- ``depth`` hidden layers: linear, LayerNorm, GELU, dropout
- a linear head predicts each gene's deviation from its training mean, which a buffer adds back
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from stainscript.nn.blocks import HiddenLayer
from stainscript.nn.standardise import Offset, Standardise


class Network(nn.Module):
    """(B, D) features → (B, G) expression."""

    def __init__(self, *, width_in: int, hidden: int, depth: int, dropout: float, genes: int) -> None:
        super().__init__()
        self.standardise = Standardise(width=width_in)
        widths = [width_in] + [hidden] * depth
        self.body = nn.Sequential(
            *(HiddenLayer(width_in=a, width_out=b, dropout=dropout) for a, b in itertools.pairwise(widths))
        )
        self.head = nn.Linear(hidden, genes)
        self.offset = Offset(width=genes)

    def forward(self, features: Tensor) -> Tensor:
        return self.offset(self.head(self.body(self.standardise(features))))
