"""The probe that HEST-Bench ranks encoders by: z-score, principal components, ridge without an intercept.

Facts followed: mahmoodlab/HEST v1.1.1, ``bench/trainer.py`` and ``bench/benchmark.py``. scikit-learn fits, as there,
because the solver stops early and where it stops is part of the numbers.
"""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import patterns_of
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.hest_probe.config import Config
from stainscript.training.run import FitReport, RunContext

logger = logging.getLogger(__name__)

PCA_SEED = 1  # matters where scikit-learn takes the randomised solver: many spots and features, few components
MAX_ITERATIONS = 1000
TOLERANCE = 1e-4  # scikit-learn's default; the solver stops there, so predictions are good to about 1e-3


class HestProbe:
    """Closed form in name: ``lsqr`` iterates to a tolerance. No epochs, no validation set."""

    name: ClassVar[str] = "hest_probe"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        from sklearn.linear_model import Ridge

        spots = data.everything
        values = np.asarray(spots.features[cfg.view], dtype=np.float32)
        tensors = fit_reduction(values, components=cfg.components) if cfg.dimreduce == "pca" else {}
        reduced = reduce(values, tensors)
        alpha = cfg.alpha if cfg.honour_alpha else published_alpha(width=reduced.shape[1], genes=spots.target.shape[1])
        if cfg.alpha is not None and not cfg.honour_alpha:
            logger.warning("%s: alpha %g is not used (honour_alpha is false); %g is", run.name, cfg.alpha, alpha)
        ridge = Ridge(solver="lsqr", alpha=alpha, fit_intercept=False, max_iter=MAX_ITERATIONS, tol=TOLERANCE)
        coefficients = np.zeros((spots.target.shape[1], reduced.shape[1]), dtype=np.float32)
        for pattern in patterns_of(spots):
            rows = np.flatnonzero(pattern.spots(spots.slide_index))
            ridge.fit(reduced[rows], spots.target[np.ix_(rows, pattern.genes)])  # each gene by itself: lsqr
            coefficients[pattern.genes] = ridge.coef_.reshape(len(pattern.genes), -1)
        logger.info("%s: HEST probe, penalty %g, %d spots, width %d", run.name, alpha, *reduced.shape)
        facts = {"alpha": float(alpha)}
        return State(
            tensors={**tensors, "coefficients": coefficients},
            facts=facts,
            report=FitReport(facts=facts | {"parameters": coefficients.size, "width": int(reduced.shape[1])}),
        )

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        reduced = reduce(np.asarray(batch.features[cfg.view], dtype=np.float32), state.tensors)
        return (reduced @ state.tensors["coefficients"].T).astype(np.float32)


def published_alpha(*, width: int, genes: int) -> float:
    """The penalty of every published number: 100 / (width · genes), e.g. 0.0078125 for 256 and 50."""
    return 100.0 / (width * genes)


def fit_reduction(values: np.ndarray, *, components: int) -> dict[str, np.ndarray]:
    """Mean and scale of the z-score and the principal components of the training spots; values: (S, D) float32.

    Returns ``scaler_mean``, ``scaler_scale``, ``pca_mean``: (D,), ``components``: (components, D), float32. A feature
    that is constant has scale 1. Raises ``DataContractError`` when spots or features are fewer than components.
    """
    if components > min(values.shape):
        raise DataContractError(
            "config.yaml",
            "components of hest_probe",
            expected=f"at least {components} training spots and {components} features",
            found=f"{values.shape[0]} training spots and {values.shape[1]} features",
            remedy="lower components, set dimreduce: none, or train on more slides",
        )
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values)
    tensors = {
        "scaler_mean": scaler.mean_.astype(np.float32),
        "scaler_scale": scaler.scale_.astype(np.float32),
    }
    pca = PCA(n_components=components, random_state=PCA_SEED).fit(_scaled(values, tensors))
    return tensors | {
        "pca_mean": pca.mean_.astype(np.float32),
        "components": pca.components_.astype(np.float32),
    }


def reduce(values: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """(S, D) float32 → (S, components) float32 by stored statistics; the values themselves where none are stored."""
    if "components" not in tensors:
        return values
    return (_scaled(values, tensors) - tensors["pca_mean"]) @ tensors["components"].T


def _scaled(values: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
    return (values - tensors["scaler_mean"]) / tensors["scaler_scale"]


METHOD = HestProbe()
