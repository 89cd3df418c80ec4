"""Fixed affine maps that travel with a network's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(B, D) → (B, D): minus ``mean``, divided by ``spread``; buffers, stored with the weights and never trained."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.spread


class Offset(nn.Module):
    """(B, G) → (B, G): plus ``mean``, a buffer; a head behind it learns deviations only."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, values: Tensor) -> Tensor:
        return values + self.mean
