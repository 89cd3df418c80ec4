"""Predicts from where a spot lies on its slide, without looking at the image."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import everywhere, patterns_of
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.coordinates.config import Config
from stainscript.methods.linear import LinearMap, Ridge, solve_patterns
from stainscript.training.run import RunContext


class Coordinates:
    """What position alone gives: a method that does not pass it has not used the image."""

    name: ClassVar[str] = "coordinates"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        spots = data.everything
        values = basis(relative_position(spots, origin=cfg.origin), cfg=cfg)
        patterns = patterns_of(spots)
        if everywhere(patterns, spots):
            solved = Ridge(values, spots.target).solve(cfg.alpha)
        else:
            solved = solve_patterns(values, spots, patterns=patterns, centre_slides=False, alpha=cfg.alpha)
        return State(tensors={"weights": solved.weights, "intercept": solved.intercept})

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        solved = LinearMap(weights=state.tensors["weights"], intercept=state.tensors["intercept"])
        return solved(basis(relative_position(batch, origin=cfg.origin), cfg=cfg))


def relative_position(batch: SpotBatch, *, origin: str) -> np.ndarray:
    """(S, 2) float64, (x, y) in [0, 1]: of the box around each slide's spots, or of its image.

    With ``origin="spots"`` the batch must hold whole slides. A slide one spot wide has position 0.5 on that axis.
    """
    xy = batch.xy_um.astype(np.float64)
    if origin == "slide":
        return xy / batch.extent_um
    relative = np.empty_like(xy)
    for spots in batch.spots_of_slides:
        if len(spots):
            low, high = xy[spots].min(axis=0), xy[spots].max(axis=0)
            width = np.where(high > low, high - low, 1.0)
            relative[spots] = np.where(high > low, (xy[spots] - low) / width, 0.5)
    return relative


def basis(position: np.ndarray, *, cfg: Config) -> np.ndarray:
    """(S, 2) relative positions → (S, D) values of the basis functions, the constant left out."""
    if cfg.basis == "polynomial":
        x, y = (2.0 * position - 1.0).T
        powers = [(n, m) for n in range(cfg.degree + 1) for m in range(cfg.degree + 1 - n) if n + m]
        return np.stack([x**n * y**m for n, m in powers], axis=1)
    centres = np.linspace(0.0, 1.0, cfg.bumps)
    along = np.exp(-0.5 * ((position[:, :, None] - centres) * (cfg.bumps - 1)) ** 2)  # (S, 2, bumps)
    return np.einsum("sa,sb->sab", along[:, 0], along[:, 1]).reshape(len(position), -1)


METHOD = Coordinates()
