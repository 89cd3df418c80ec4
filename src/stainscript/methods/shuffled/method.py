"""Predicts, for each spot, the measured profile of a training spot drawn at random.

Genes that the drawn spot does not measure come from another spot, drawn among those that do.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.profiles import profiles_of, stored_patterns
from stainscript.methods.shuffled.config import Config
from stainscript.training.run import RunContext


class Shuffled:
    """Chance level: right marginals and gene–gene correlations, no relation to the image."""

    name: ClassVar[str] = "shuffled"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        return State(tensors=profiles_of(data.everything))

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        profiles = state.tensors["target"]
        drawn = generator.integers(len(profiles), size=len(batch))
        predicted = profiles[drawn]
        if "measured" in state.tensors:
            for pattern in stored_patterns(state.tensors):
                measures = pattern.spots(state.tensors["slide_index"])
                others = generator.choice(np.flatnonzero(measures), size=len(batch))
                rows = np.flatnonzero(~measures[drawn])
                predicted[np.ix_(rows, pattern.genes)] = profiles[np.ix_(others[rows], pattern.genes)]
        return predicted


METHOD = Shuffled()
