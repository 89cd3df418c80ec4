"""Small blocks that several networks share."""

from __future__ import annotations

from torch import Tensor, nn


class HiddenLayer(nn.Module):
    """(B, D) → (B, H): linear, LayerNorm, GELU, dropout."""

    def __init__(self, *, width_in: int, width_out: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width_in, width_out), nn.LayerNorm(width_out), nn.GELU(), nn.Dropout(dropout)
        )

    def forward(self, values: Tensor) -> Tensor:
        return self.layers(values)
