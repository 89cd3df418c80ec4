"""The text tower of CONCH's CoCa model, under the tensor names of its file below ``text``.

Architecture (CONCH, conch/open_clip_custom/transformer.py: TextTransformer; model_configs/conch_ViT-B-16.json):
- ids (B, L), L ≤ 127 → token embedding, and behind them one learned class embedding: (B, L + 1, 768);
- learned places: a text's tokens have 0, 1, …; the class embedding always the last, 127, for the release pads every
  text to 127 tokens;
- 12 pre-norm blocks: x + attention(norm x), x + MLP(norm x), 12 heads, MLP of 4 × 768 with GELU, biases throughout;
- a token attends to itself and to those before it; the class embedding to a text's n tokens **and the token after
  them** (padding, or the class embedding itself where all 127 places are taken): the release shifts its mask by one;
- the class embedding's state through the last norm, × projection (768, 512).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class Block(nn.Module):
    """(B, L, D) → (B, L, D)."""

    def __init__(self, *, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        parts = [("c_fc", nn.Linear(width, inner)), ("gelu", nn.GELU()), ("c_proj", nn.Linear(inner, width))]
        self.mlp = nn.Sequential(OrderedDict(parts))

    def forward(self, states: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """hidden: (B, L, L) bool, true where a state (row) does not attend to another (column)."""
        normed = self.ln_1(states)
        mask = hidden.repeat_interleave(self.heads, dim=0)
        states = states + self.attn(normed, normed, normed, attn_mask=mask, need_weights=False)[0]
        return states + self.mlp(self.ln_2(states))


class Blocks(nn.Module):
    """The blocks under their name in the file."""

    def __init__(self, *, depth: int, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList([Block(width=width, heads=heads, inner=inner) for _ in range(depth)])


class TextTower(nn.Module):
    """Token ids → states of the tokens and of the class embedding."""

    def __init__(
        self, *, rows: int, places: int, width: int, depth: int, heads: int, inner: int, projected: int, pad: int
    ) -> None:
        super().__init__()
        self.pad = pad
        self.token_embedding = nn.Embedding(rows, width)
        self.positional_embedding = nn.Parameter(torch.randn(places, width) * 0.01)
        self.cls_emb = nn.Parameter(torch.randn(width) * 0.01)
        self.transformer = Blocks(depth=depth, width=width, heads=heads, inner=inner)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, projected) * width**-0.5)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """ids: (B, L); mask: (B, L) bool, padding on the right. Returns (B, L, D) and (B, D), both after the last norm.

        The release norms the class embedding's state alone; that of the tokens is ours, for their mean.
        """
        room = len(self.positional_embedding) - 1
        if ids.shape[1] < room:  # the token after the longest text, which the class embedding sees
            ids = nn.functional.pad(ids, (0, 1), value=self.pad)
        ids = ids.masked_fill(~nn.functional.pad(mask, (0, ids.shape[1] - mask.shape[1])), self.pad)
        length = ids.shape[1]
        places = torch.cat([self.positional_embedding[:length], self.positional_embedding[-1:]])
        last = self.cls_emb.expand(len(ids), 1, -1)
        states = torch.cat([self.token_embedding(ids), last], dim=1) + places  # (B, L + 1, D)
        hidden = self._hidden(mask.sum(dim=1), length=length)
        for block in self.transformer.resblocks:
            states = block(states, hidden)
        states = self.ln_final(states)
        return states[:, : mask.shape[1]], states[:, -1]

    @staticmethod
    def _hidden(count: torch.Tensor, *, length: int) -> torch.Tensor:
        """(B, L + 1, L + 1): what comes later; in the last row what lies beyond a text's ``count`` tokens and one."""
        places = torch.arange(length + 1, device=count.device)
        later = places[None, :] > places[:, None]
        beyond = places[None, :] > count[:, None]
        return later | (beyond[:, None, :] & (places == length)[None, :, None])
