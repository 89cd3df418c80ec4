"""From the states of a text's tokens to one vector. Padding never counts, on whichever side it lies."""

from __future__ import annotations

import torch


def mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens, special ones included.

    states: (B, L, D); mask: (B, L) bool, true at tokens. Returns (B, D) float32.
    """
    weights = mask.unsqueeze(-1).float()
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def first(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The state of each text's first token: (B, L, D), (B, L) bool → (B, D)."""
    return _at(states, mask.int().argmax(dim=1))


def last(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The state of each text's last token: (B, L, D), (B, L) bool → (B, D)."""
    places = torch.arange(mask.shape[1], device=mask.device)
    return _at(states, (mask * places).argmax(dim=1))


POOLINGS = {"mean": mean, "cls": first, "last": last}


def _at(states: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    return states[torch.arange(len(states), device=states.device), position]
