"""``GradientMethod``: ``fit`` and ``predict`` of every method that is trained by gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from stainscript.batches.batch import SpotBatch
from stainscript.batches.samplers import Sampler
from stainscript.losses.terms import LossTerms
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.training.loop import train
from stainscript.training.phase import Phase, Schedule
from stainscript.training.run import FitReport, RunContext


class GradientOptions(Protocol):
    """What the default ``phases`` reads from a method's config."""

    lr: float
    weight_decay: float
    schedule: Literal["constant", "cosine", "plateau"]
    epochs: int
    patience: int | None
    weights: Literal["best", "last"]
    clip_norm: float | None


class GradientMethod:
    """A method supplies ``build``, ``sampler``, ``forward`` and ``loss``; the rest may be replaced piece by piece.

    Spot-wise, whole-slide and neighbourhood methods differ in their sampler; a pretraining stage or a curriculum is
    one more ``Phase``. The network runs where the batch lies: ``predict`` takes NumPy batches (CPU) and device batches.
    """

    name: ClassVar[str]
    Config: ClassVar[type]

    def build(self, cfg: Any, spec: ProblemSpec, train: SpotBatch | None) -> nn.Module:
        """The network, on the CPU. ``train`` (NumPy) gives statistics to buffers; ``None``: a checkpoint will."""
        raise TypeError(f"{type(self).__name__} has no build")

    def sampler(self, cfg: Any) -> Sampler:
        """Which spots share a batch."""
        raise TypeError(f"{type(self).__name__} has no sampler")

    def forward(self, cfg: Any, network: nn.Module, batch: SpotBatch, generator: np.random.Generator | None) -> Tensor:
        """Predictions (B, G) for a batch on the network's device; generator: for methods that decode at random."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def loss(self, cfg: Any, network: nn.Module, batch: SpotBatch) -> LossTerms:
        """What is minimised, for the default single phase."""
        raise TypeError(f"{type(self).__name__} has no loss")

    def prepare(self, cfg: Any, batch: SpotBatch) -> SpotBatch:
        """Whole slides as the network is to see them, e.g. standardised; the same before fitting and predicting."""
        return batch

    def phases(self, cfg: GradientOptions, spec: ProblemSpec) -> Sequence[Phase]:
        """One phase: AdamW with the config's schedule and early stopping."""
        return [
            Phase(
                name="fit",
                loss=lambda network, batch: self.loss(cfg, network, batch),
                sampler=self.sampler(cfg),
                optimiser=lambda network: torch.optim.AdamW(
                    network.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay
                ),
                schedule=lambda optimiser: schedule_for(cfg, optimiser),
                epochs=cfg.epochs,
                patience=cfg.patience,
                keep=cfg.weights,
                clip_norm=cfg.clip_norm,
            )
        ]

    def fit(self, cfg: Any, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        spots = self.prepare(cfg, data.everything)
        train_spots = spots.take(np.arange(len(data.train)))
        val_spots = None if data.val is None else spots.take(np.arange(len(data.train), len(spots)))
        trained = train(
            build=lambda: self.build(cfg, spec, train_spots),
            phases=self.phases(cfg, spec),
            data=train_spots,
            val=val_spots,
            run=run,
        )
        tensors = {f"best.{name}": value for name, value in trained.best.items()}
        tensors |= {f"last.{name}": value for name, value in trained.last.items()}
        return State(tensors=tensors, report=FitReport(history=trained.history, facts=trained.facts))

    def predict(
        self, cfg: Any, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        batch = self.prepare(cfg, batch).to(getattr(batch.slide_index, "device", "cpu"))
        network = self.network_of(cfg, spec, state).to(batch.slide_index.device).eval()
        predicted = np.empty((len(batch), len(spec.panel)), dtype=np.float32)
        with torch.inference_mode():
            for index in self.sampler(cfg).ordered(batch):
                part = self.forward(cfg, network, batch.take(index), generator)
                predicted[index] = part.float().cpu().numpy()
        return predicted

    def network_of(self, cfg: Any, spec: ProblemSpec, state: State) -> nn.Module:
        """The fitted network, with its best or last weights as the config says."""
        network = self.build(cfg, spec, None)
        prefix = cfg.weights + "."
        weights = {k.removeprefix(prefix): torch.as_tensor(v) for k, v in state.tensors.items() if k.startswith(prefix)}
        network.load_state_dict(weights, strict=True)
        return network


def schedule_for(cfg: GradientOptions, optimiser: torch.optim.Optimizer) -> Schedule:
    """The rate over epochs: constant, a cosine to zero, or halved when validation stalls for patience/4 epochs."""
    match cfg.schedule:
        case "constant":
            return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0, total_iters=0)
        case "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=cfg.epochs)
        case "plateau":
            wait = max(1, (cfg.patience or cfg.epochs) // 4)
            return torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=wait)
