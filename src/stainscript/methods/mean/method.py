"""Predicts each gene's training mean for every spot."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.mean.config import Config
from stainscript.training.run import RunContext


class Mean:
    """The floor of every error metric; its correlations are undefined."""

    name: ClassVar[str] = "mean"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        return State(tensors={"mean": data.everything.target.mean(axis=0, dtype=np.float64).astype(np.float32)})

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        return np.tile(state.tensors["mean"], (len(batch), 1))


METHOD = Mean()
