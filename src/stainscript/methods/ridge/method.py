"""Ridge regression from one view's features to all genes of the panel, with one penalty for all genes."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import everywhere, patterns_of
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.methods.features import fit_standardisation, standardised
from stainscript.methods.linear import LinearMap, Ridge, leave_one_slide_out_errors, solve_patterns
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
        patterns = patterns_of(spots)
        complete = everywhere(patterns, spots)
        inputs, target, slides = values, spots.target, spots.slide_index
        if not complete:  # the penalty, one for all genes, is chosen on the genes of which most is known
            rows = np.flatnonzero(patterns[0].spots(slides))
            inputs, target, slides = values[rows], target[np.ix_(rows, patterns[0].genes)], slides[rows]
        groups = slides if cfg.centre == "slide" else None
        problem = Ridge(inputs, target, groups=groups)
        errors = _selection_errors(cfg, problem, inputs, target, slides, groups)
        alpha = cfg.alpha if errors is None else cfg.alphas[int(np.argmin(errors))]
        chosen = (
            problem.solve(alpha)
            if complete
            else solve_patterns(values, spots, patterns=patterns, centre_slides=cfg.centre == "slide", alpha=alpha)
        )
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
    cfg: Config,
    problem: Ridge,
    values: np.ndarray,
    target: np.ndarray,
    slides: np.ndarray,
    groups: np.ndarray | None,
) -> list[float] | None:
    """Estimated error of each penalty of the grid; None when the penalty is given."""
    match cfg.select:
        case "fixed":
            return None
        case "loo":
            return [problem.leave_one_out_error(alpha) for alpha in cfg.alphas]
        case "slides":
            if len(np.unique(slides)) < 2:
                raise DataContractError(
                    "config.yaml",
                    "select of ridge",
                    expected="at least two training slides for 'slides'",
                    found="one",
                    remedy="use select: loo",
                )
            return leave_one_slide_out_errors(values, target, slides=slides, groups=groups, alphas=cfg.alphas)


METHOD = RidgeMethod()
