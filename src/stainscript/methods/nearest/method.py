"""Predicts the measured profile of the training spots whose features are nearest."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.features import fit_standardisation, standardised
from stainscript.methods.nearest.config import Config
from stainscript.training.run import RunContext

BLOCK_SPOTS = 512  # spots whose distances are held at once


class Nearest:
    """Retrieval without learning."""

    name: ClassVar[str] = "nearest"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        spots = data.everything
        if len(spots) < cfg.neighbours:
            raise DataContractError(
                "config.yaml",
                "neighbours of nearest",
                expected=f"at most the {len(spots)} training spots",
                found=cfg.neighbours,
                remedy="use fewer neighbours",
            )
        statistics = fit_standardisation(spots, view=cfg.view, how=cfg.standardise)
        values = standardised(spots, view=cfg.view, how=cfg.standardise, statistics=statistics)
        return State(tensors={**statistics, "reference": _for_metric(values, cfg.metric), "target": spots.target})

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        values = standardised(batch, view=cfg.view, how=cfg.standardise, statistics=state.tensors)
        nearest = nearest_rows(_for_metric(values, cfg.metric), state.tensors["reference"], count=cfg.neighbours)
        return state.tensors["target"][nearest].mean(axis=1, dtype=np.float32)


def nearest_rows(values: np.ndarray, reference: np.ndarray, *, count: int) -> np.ndarray:
    """For each row of ``values`` (S, D), the ``count`` rows of ``reference`` (R, D) at the smallest Euclidean distance.

    Returns (S, count) indices, in ascending order of index.
    """
    reference = reference.astype(np.float64)
    lengths = np.einsum("rd,rd->r", reference, reference)
    found = np.empty((len(values), count), dtype=np.int64)
    for start in range(0, len(values), BLOCK_SPOTS):
        block = values[start : start + BLOCK_SPOTS].astype(np.float64)
        distance = lengths - 2.0 * (block @ reference.T)  # the block's own lengths shift every column alike
        found[start : start + BLOCK_SPOTS] = np.sort(np.argpartition(distance, count - 1, axis=1)[:, :count], axis=1)
    return found


def _for_metric(values: np.ndarray, metric: str) -> np.ndarray:
    """Unit vectors for cosine: their Euclidean distance orders as the angle does."""
    if metric == "euclidean":
        return values
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1)


METHOD = Nearest()
