"""Controls that are handed the answers: they bracket every metric from above."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.training.run import RunContext


class AnswersMethod:
    """Returns ``batch.answers``, which are already in the target space; learns nothing."""

    name: ClassVar[str]
    Config: ClassVar[type]

    def fit(self, cfg: Any, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        return State(tensors={})

    def predict(
        self, cfg: Any, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        if batch.answers is None:
            raise ValueError(f"{self.name} needs answers ({cfg.needs.answers}), and this batch has none")
        return batch.answers
