"""Ridge regression from one view's features to all genes of the panel, with one penalty for all genes."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.features import fit_standardisation, standardised
from stainscript.methods.linear import LinearMap, Ridge, leave_one_slide_out_errors
from stainscript.methods.ridge.config import Config
from stainscript.training.run import FitReport, RunContext

logger = logging.getLogger(__name__)


class RidgeMethod:
    """Closed form: no epochs, no validation set."""

    name: ClassVar[str] = "ridge"
    Config: ClassVar[type] = Config

    def fit(self, cfg: Config, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        spots = data.everything
        statistics = fit_standardisation(spots, view=cfg.view, how=cfg.standardise)
        values = standardised(spots, view=cfg.view, how=cfg.standardise, statistics=statistics)
        groups = spots.slide_index if cfg.centre == "slide" else None
        problem = Ridge(values, spots.target, groups=groups)
        errors = _selection_errors(cfg, problem, values, spots, groups)
        alpha = cfg.alpha if errors is None else cfg.alphas[int(np.argmin(errors))]
        chosen = problem.solve(alpha)
        logger.info("%s: ridge penalty %g on %d spots, %d features", run.name, alpha, *values.shape)
        return State(
            tensors={
                **statistics,
                "weights": chosen.weights.astype(np.float32),
                "intercept": chosen.intercept.astype(np.float32),
            },
            facts={"alpha": float(alpha)},
            report=FitReport(
                facts={"alpha": float(alpha), "selection_errors": errors, "parameters": chosen.weights.size}
            ),
        )

    def predict(
        self, cfg: Config, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        values = standardised(batch, view=cfg.view, how=cfg.standardise, statistics=state.tensors)
        return LinearMap(weights=state.tensors["weights"], intercept=state.tensors["intercept"])(values)


def _selection_errors(
    cfg: Config, problem: Ridge, values: np.ndarray, spots: SpotBatch, groups: np.ndarray | None
) -> list[float] | None:
    """Estimated error of each penalty of the grid; None when the penalty is given."""
    match cfg.select:
        case "fixed":
            return None
        case "loo":
            return [problem.leave_one_out_error(alpha) for alpha in cfg.alphas]
        case "slides":
            if len(np.unique(spots.slide_index)) < 2:
                raise DataContractError(
                    "config.yaml",
                    "select of ridge",
                    expected="at least two training slides for 'slides'",
                    found="one",
                    remedy="use select: loo",
                )
            return leave_one_slide_out_errors(
                values, spots.target, slides=spots.slide_index, groups=groups, alphas=cfg.alphas
            )


METHOD = RidgeMethod()
