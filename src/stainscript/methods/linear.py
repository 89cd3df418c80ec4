"""Ridge regression in closed form, for the methods that are linear in fixed features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import GenePattern


@dataclass(frozen=True, kw_only=True)
class LinearMap:
    """Predicts ``values @ weights + intercept``: weights (D, G), intercept (G,)."""

    weights: np.ndarray
    intercept: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """values (S, D) → (S, G) float32; the arithmetic is float64."""
        return (values.astype(np.float64) @ self.weights + self.intercept).astype(np.float32)


class Ridge:
    """All ridge solutions of one problem: one decomposition, then any penalty at the cost of a matrix product.

    Minimises Σ(y − xw − b)² + alpha·Σw² for each gene; the intercept b is not penalised, as in scikit-learn.
    values: (S, D); target: (S, G). groups: (S,) integers, or ``None`` for one group; each group gets its own intercept
    while fitting, so that differences between groups teach nothing, and the prediction goes through the overall means.
    The arithmetic is float64.
    """

    def __init__(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> None:
        values, target = values.astype(np.float64), target.astype(np.float64)
        groups = np.zeros(len(values), dtype=np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
        self.mean, self.target_mean = values.mean(axis=0), target.mean(axis=0)
        self.centred = target - _group_means(target, groups)
        self.own_share = 1.0 / np.bincount(groups)[groups]  # leverage of a spot on its group's intercept
        self.left, self.singular, self.right = np.linalg.svd(values - _group_means(values, groups), full_matrices=False)
        self.projected = self.left.T @ self.centred  # (R, G)

    def solve(self, alpha: float) -> LinearMap:
        """The map for one penalty."""
        weights = self.right.T @ ((self.singular / (self.singular**2 + alpha))[:, None] * self.projected)
        return LinearMap(weights=weights, intercept=self.target_mean - self.mean @ weights)

    def leave_one_out_error(self, alpha: float) -> float:
        """Squared error when each spot is predicted by a fit to all others, over each gene's variance, mean over genes.

        Exact, without refitting: residual / (1 − leverage). Genes that are constant within groups are left out.
        """
        kept = self.singular**2 / (self.singular**2 + alpha)
        leverage = self.own_share + self.left**2 @ kept
        residual = self.centred - self.left @ (kept[:, None] * self.projected)
        errors = (residual / np.maximum(1.0 - leverage, 1e-9)[:, None]) ** 2
        return relative_error(errors.mean(axis=0), (self.centred**2).mean(axis=0))


def solve_patterns(
    values: np.ndarray, spots: SpotBatch, *, patterns: Sequence[GenePattern], centre_slides: bool, alpha: float
) -> LinearMap:
    """Ridge of each gene over the spots that measure it: what ``Ridge(...).solve(alpha)`` gives on those spots alone.

    values: (S, D) of ``spots``, whose targets may hold anything where a gene is not measured; patterns: of ``spots``;
    centre_slides: an intercept for each slide while fitting, as ``groups`` of ``Ridge``. A gene in no pattern gets
    weights and intercept 0. One Cholesky factor a pattern, of sums kept by slide: its cost does not grow with spots.
    """
    target, slide_index = spots.target, spots.slide_index
    number = np.bincount(slide_index, minlength=len(spots.slides)).astype(np.float64)  # (N,)
    origin = values.mean(axis=0, dtype=np.float64)
    centred = values.astype(np.float64) - origin
    means = _slide_sums(centred, slide_index, len(number)) / np.maximum(number, 1)[:, None]  # (N, D)
    inner = np.stack([_inner(centred[slide_index == n]) for n in range(len(number))])  # (N, D, D)
    measured = spots.measured & (number > 0)[:, None]
    known = np.where(measured[slide_index], target, 0.0).astype(np.float64)
    totals = _slide_sums(known, slide_index, len(number))  # (N, G)
    target_mean = totals.sum(axis=0) / np.maximum(number @ measured, 1)
    share = totals / np.maximum(number, 1)[:, None] if centre_slides else np.where(measured, target_mean, 0.0)
    cross = centred.T @ known - means.T @ (number[:, None] * share)  # (D, G): Σ x·(y − mean of y)
    if centre_slides:
        inner -= number[:, None, None] * means[:, :, None] * means[:, None, :]
    weights, intercept = np.zeros(cross.shape), np.zeros(len(target_mean))
    for pattern in patterns:
        mean = number[pattern.slides] @ means[pattern.slides] / number[pattern.slides].sum()
        system = inner[pattern.slides].sum(axis=0)
        if not centre_slides:
            system -= number[pattern.slides].sum() * np.outer(mean, mean)
        system[np.diag_indices_from(system)] += alpha
        solved = linalg.solve(system, cross[:, pattern.genes], assume_a="pos")
        weights[:, pattern.genes] = solved
        intercept[pattern.genes] = target_mean[pattern.genes] - (origin + mean) @ solved
    return LinearMap(weights=weights, intercept=intercept)


def leave_one_slide_out_errors(
    values: np.ndarray, target: np.ndarray, *, slides: np.ndarray, groups: np.ndarray | None, alphas: Sequence[float]
) -> list[float]:
    """For each penalty, the same error when each slide is predicted by a fit to the others.

    values: (S, D); target: (S, G); slides: (S,) integers of at least two slides; groups: as in ``Ridge``.
    """
    errors = np.zeros((len(alphas), target.shape[1]))
    for slide in np.unique(slides):
        held = slides == slide
        problem = Ridge(values[~held], target[~held], groups=None if groups is None else groups[~held])
        for row, alpha in zip(errors, alphas, strict=True):
            row += np.sum((problem.solve(alpha)(values[held]) - target[held]).astype(np.float64) ** 2, axis=0)
    variance = target.astype(np.float64).var(axis=0)
    return [relative_error(row / len(target), variance) for row in errors]


def relative_error(errors: np.ndarray, variance: np.ndarray) -> float:
    """Mean over genes of error over variance, (G,) each, so that no gene counts more for its scale."""
    varies = variance > 0
    return float(np.mean(errors[varies] / variance[varies])) if varies.any() else 0.0


def _group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(S, D): each row replaced by the mean of its group."""
    return (_slide_sums(values, groups, groups.max() + 1) / np.bincount(groups)[:, None])[groups]


def _slide_sums(values: np.ndarray, index: np.ndarray, number: int) -> np.ndarray:
    """(N, D): sums of the rows of each group."""
    sums = np.zeros((number, values.shape[1]))
    np.add.at(sums, index, values)
    return sums


def _inner(values: np.ndarray) -> np.ndarray:
    return values.T @ values
