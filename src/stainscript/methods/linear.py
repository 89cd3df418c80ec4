"""Ridge regression in closed form, for the methods that are linear in fixed features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class LinearMap:
    """Predicts ``values @ weights + intercept``: weights (D, G), intercept (G,)."""

    weights: np.ndarray
    intercept: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """values (S, D) → (S, G) float32."""
        return (values.astype(np.float64) @ self.weights + self.intercept).astype(np.float32)


class Ridge:
    """All ridge solutions of one problem: one decomposition, then any penalty at the cost of a matrix product.

    Minimises Σ(y − xw − b)² + alpha·Σw² for each gene; the intercept b is not penalised, as in scikit-learn.
    values: (S, D); target: (S, G). The arithmetic is float64.
    """

    def __init__(self, values: np.ndarray, target: np.ndarray) -> None:
        values, target = values.astype(np.float64), target.astype(np.float64)
        self.mean, self.target_mean = values.mean(axis=0), target.mean(axis=0)
        self.centred = target - self.target_mean
        self.left, self.singular, self.right = np.linalg.svd(values - self.mean, full_matrices=False)
        self.projected = self.left.T @ self.centred  # (R, G)

    def solve(self, alpha: float) -> LinearMap:
        """The map for one penalty."""
        weights = self.right.T @ ((self.singular / (self.singular**2 + alpha))[:, None] * self.projected)
        return LinearMap(weights=weights, intercept=self.target_mean - self.mean @ weights)

    def leave_one_out_mse(self, alpha: float) -> float:
        """Mean squared error over spots and genes when each spot is predicted by a fit to all others.

        Exact, without refitting: residual / (1 − leverage), where the leverage holds 1/S for the intercept.
        """
        kept = self.singular**2 / (self.singular**2 + alpha)
        leverage = 1.0 / len(self.left) + self.left**2 @ kept
        residual = self.centred - self.left @ (kept[:, None] * self.projected)
        return float(np.mean((residual / np.maximum(1.0 - leverage, 1e-9)[:, None]) ** 2))


def leave_one_slide_out_mse(
    values: np.ndarray, target: np.ndarray, slide_index: np.ndarray, alphas: Sequence[float]
) -> list[float]:
    """For each penalty, mean squared error over all spots and genes, each slide predicted by a fit to the others.

    values: (S, D); target: (S, G); slide_index: (S,) integers of at least two slides.
    """
    errors = np.zeros(len(alphas))
    for slide in np.unique(slide_index):
        held = slide_index == slide
        problem = Ridge(values[~held], target[~held])
        errors += [np.sum((problem.solve(alpha)(values[held]) - target[held]) ** 2) for alpha in alphas]
    return (errors / target.size).tolist()
