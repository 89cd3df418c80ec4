"""Predicts each gene's mean over the training spots that measure it, for every spot."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.standardise import column_means
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.mean.config import Config
from stainscript.training.run import RunContext


class Mean:
    """The floor of every error metric; its correlations are undefined."""

    name: ClassVar[str] = "mean"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        spots = data.everything
        mean = column_means(spots.target.astype(np.float64), mask=spots.target_mask)
        return State(tensors={"mean": mean.astype(np.float32)})

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        return np.tile(state.tensors["mean"], (len(batch), 1))


METHOD = Mean()
