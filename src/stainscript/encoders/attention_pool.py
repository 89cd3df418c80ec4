"""Tokens of a ViT pooled by attention with one learned query, under the tensor names of CoCa's image tower.

Architecture (CONCH, vision_tower.py and transformer.py):
- tokens (B, L, C): the trunk's, class token and norm included;
- pooled: the normed query attends to the normed tokens, 8 heads, keys and values of width C;
- a norm; optionally × projection (D, D) and unit length.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class AttentionPool(nn.Module):
    """(B, L, C) → (B, Q, D)."""

    def __init__(self, *, width: int, token_width: int, heads: int, queries: int = 1) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, width))
        self.attn = nn.MultiheadAttention(width, heads, kdim=token_width, vdim=token_width, batch_first=True)
        self.ln_q = nn.LayerNorm(width)
        self.ln_k = nn.LayerNorm(token_width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        keys = self.ln_k(tokens)
        query = self.ln_q(self.query).expand(len(tokens), -1, -1)
        return self.attn(query, keys, keys, need_weights=False)[0]


class Visual(nn.Module):
    """Images → pooled features; the names are those of the published file below ``visual``."""

    def __init__(self, trunk: nn.Module, *, width: int, heads: int, projected: bool) -> None:
        super().__init__()
        self.trunk = trunk
        self.attn_pool_contrast = AttentionPool(width=width, token_width=trunk.num_features, heads=heads)
        self.ln_contrast = nn.LayerNorm(width)
        if projected:
            self.proj_contrast = nn.Parameter(torch.randn(width, width) * trunk.num_features**-0.5)
        self.projected = projected

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        pooled = self.attn_pool_contrast(self.trunk.forward_features(planes))[:, 0]
        pooled = self.ln_contrast(pooled)
        return functional.normalize(pooled @ self.proj_contrast, dim=-1) if self.projected else pooled


class PooledTower(nn.Module):
    """(B, 3, y, x) → (B, D)."""

    def __init__(self, trunk: nn.Module, *, width: int, heads: int, projected: bool = False) -> None:
        super().__init__()
        self.visual = Visual(trunk, width=width, heads=heads, projected=projected)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return self.visual(planes)
