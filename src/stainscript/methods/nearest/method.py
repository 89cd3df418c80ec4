"""Predicts the measured profile of the training spots whose features are nearest, among those that measure the gene."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import everywhere, patterns_of
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.features import fit_standardisation, standardised
from stainscript.methods.nearest.config import Config
from stainscript.methods.nearest.search import candidates_of_slides, nearest_rows
from stainscript.methods.profiles import profiles_of, stored_patterns
from stainscript.training.run import RunContext


class Nearest:
    """Retrieval without learning."""

    name: ClassVar[str] = "nearest"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        spots = data.everything
        patterns = patterns_of(spots)
        known = [int(pattern.spots(spots.slide_index).sum()) for pattern in patterns]
        if min(known) < cfg.neighbours:
            gene = spec.panel.gene_ids[patterns[int(np.argmin(known))].genes[0]]
            raise DataContractError(
                "config.yaml",
                "neighbours of nearest",
                expected=f"at most the {min(known)} training spots"
                + ("" if everywhere(patterns, spots) else f" that measure {gene}"),
                found=cfg.neighbours,
                remedy="use fewer neighbours",
            )
        statistics = fit_standardisation(spots, view=cfg.view, how=cfg.standardise)
        values = standardised(spots, view=cfg.view, how=cfg.standardise, statistics=statistics)
        return State(tensors={**statistics, "reference": _for_metric(values, cfg.metric), **profiles_of(spots)})

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        values = standardised(batch, view=cfg.view, how=cfg.standardise, statistics=state.tensors)
        values, reference = _for_metric(values, cfg.metric), state.tensors["reference"]
        target = state.tensors["target"]
        if "measured" not in state.tensors:
            nearest = nearest_rows(values, reference, count=cfg.neighbours)
            return target[nearest].mean(axis=1, dtype=np.float32)
        slide_index = state.tensors["slide_index"]
        candidates = candidates_of_slides(values, reference, slide_index=slide_index, count=cfg.neighbours)
        predicted = np.zeros((len(values), target.shape[1]), dtype=np.float32)
        for pattern in stored_patterns(state.tensors):
            nearest = candidates.among(pattern.slides, count=cfg.neighbours)
            predicted[:, pattern.genes] = target[:, pattern.genes][nearest].mean(axis=1, dtype=np.float32)
        return predicted


def _for_metric(values: np.ndarray, metric: str) -> np.ndarray:
    """Unit vectors for cosine: their Euclidean distance orders as the angle does."""
    if metric == "euclidean":
        return values
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1)


METHOD = Nearest()
