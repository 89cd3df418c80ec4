"""Predicts, for each spot, the measured profile of a training spot drawn at random."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.shuffled.config import Config
from stainscript.training.run import RunContext


class Shuffled:
    """Chance level: right marginals and gene–gene correlations, no relation to the image."""

    name: ClassVar[str] = "shuffled"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        return State(tensors={"target": data.everything.target})

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        profiles = state.tensors["target"]
        return profiles[generator.integers(len(profiles), size=len(batch))]


METHOD = Shuffled()
