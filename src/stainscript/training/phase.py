"""``Phase``: one optimisation of a network. A method is one phase or several, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from stainscript.batches.batch import SpotBatch
from stainscript.batches.samplers import Sampler
from stainscript.losses.terms import LossTerms

Schedule = torch.optim.lr_scheduler.LRScheduler


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Which loss over which batches, by which optimiser, until when.

    loss: called with the network and a batch on its device, in training mode; it must call the network itself, not a
    part of it, so that gradients are reduced over processes. In evaluation mode it gives the validation loss.
    patience: stop after this many epochs without a better validation loss; ``None``: run all epochs.
    keep: the weights that the next phase starts from, ``best`` by validation loss or ``last``.
    """

    name: str
    loss: Callable[[nn.Module, SpotBatch], LossTerms]
    sampler: Sampler
    optimiser: Callable[[nn.Module], torch.optim.Optimizer]
    schedule: Callable[[torch.optim.Optimizer], Schedule]
    epochs: int
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    clip_norm: float | None = None

    @property
    def needs_validation(self) -> bool:
        return self.patience is not None or self.keep == "best"


def advance(schedule: Schedule, val_loss: float | None) -> None:
    """One epoch's step; a plateau schedule looks at the validation loss."""
    if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
        schedule.step(val_loss)
    else:
        schedule.step()


class Best:
    """The best validation loss so far, its weights, and how many epochs have passed since.

    ``loss`` is NaN until there is one; with no validation set every epoch counts as the best.
    """

    def __init__(self) -> None:
        self.loss = float("nan")
        self.epoch = 0
        self.waited = 0
        self.weights: dict[str, torch.Tensor] = {}

    def update(self, val_loss: float | None, *, epoch: int, module: nn.Module) -> None:
        better = val_loss is None or not self.loss <= val_loss
        self.waited = 0 if better else self.waited + 1
        if better:
            self.loss = float("nan") if val_loss is None else val_loss
            self.epoch = epoch
            self.weights = weights_of(module)

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters and buffers, on their device."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
