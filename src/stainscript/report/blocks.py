"""The parts of an arranged leaderboard: columns, cells, rows and blocks, and how they are worded."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

CONTROLS = ("oracle", "ceiling", "nearest", "coordinates", "shuffled", "mean")
LOWER_IS_BETTER = ("mse", "mae", "rvd", "mse_log2", "mae_log2", "rvd_log2", "nb_nll")
SCOPES = {"": "per slide", "_pooled": "pooled", "_by_gene": "by gene"}  # suffix of a metric → its average
UNDEFINED = "–"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric over one gene subset."""

    metric: str
    subset: str
    space: str
    post_hoc: bool

    @property
    def family(self) -> str:
        """The metric whatever its average: ``pcc`` for ``pcc``, ``pcc_pooled`` and ``pcc_by_gene``."""
        return self.metric.removesuffix(self._suffix)

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is the better one."""
        return self.family in LOWER_IS_BETTER

    @property
    def name(self) -> str:
        """The family and subset, e.g. ``PCC all`` or ``PCC HEG50``."""
        subset = self.subset.upper() if self.subset.startswith(("heg", "hvg", "hpg")) else self.subset
        return f"{self.family.upper()} {subset}"

    @property
    def title(self) -> str:
        """The name, with post hoc choices said to be so."""
        return self.name + (" (post hoc)" if self.post_hoc else "")

    @property
    def scope(self) -> str:
        """How the metric was averaged: ``per slide``, ``pooled`` or ``by gene``."""
        return SCOPES[self._suffix]

    @property
    def _suffix(self) -> str:
        return next(suffix for suffix in reversed(SCOPES) if self.metric.endswith(suffix))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value of the table; NaN where it is undefined."""

    mean: float
    sd: float
    ci_low: float
    ci_high: float
    n_folds: int
    n_defined: int
    best: bool = False

    @property
    def defined(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.mean)

    @property
    def value(self) -> str:
        """The mean, or a dash."""
        return number(self.mean)

    @property
    def spread(self) -> str:
        """The standard deviation over folds; empty when there is none."""
        return "" if math.isnan(self.sd) else number(self.sd)

    @property
    def interval(self) -> str:
        """The bootstrap interval, e.g. ``0.39 to 0.45``; empty when there is none."""
        if math.isnan(self.ci_low) or math.isnan(self.ci_high):
            return ""
        return f"{number(self.ci_low)} to {number(self.ci_high)}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One experiment; ``cells`` follow the block's columns, ``None`` where the leaderboard has no such row.

    ``repeated``: another experiment of the block has the same method and encoder, so its name must be printed.
    """

    experiment: str
    method: str
    encoder: str
    cells: tuple[Cell | None, ...]
    repeated: bool

    @property
    def control(self) -> bool:
        """Whether this is a control that brackets the metrics, not a contender."""
        return self.method in CONTROLS


@dataclass(frozen=True, kw_only=True)
class Block:
    """The experiments of one dataset under one protocol; contenders first, then controls."""

    dataset: str
    protocol: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""  # switches of the protocol that let test slides into the training side

    @property
    def one_space(self) -> bool:
        """Whether all columns are in the same space."""
        return len({column.space for column in self.columns}) == 1

    @property
    def groups(self) -> list[tuple[Column, ...]]:
        """Neighbouring columns of the same family, subset and space: per slide and pooled side by side."""
        return [tuple(group) for _, group in itertools.groupby(self.columns, key=lambda c: (c.title, c.space))]

    @property
    def starts(self) -> list[int]:
        """Index of the first column of each group."""
        return list(itertools.accumulate(map(len, self.groups), initial=0))[:-1]

    @property
    def heading(self) -> str:
        """Dataset, protocol and, where they agree, the space of all columns."""
        space = f"space {self.columns[0].space}" if self.one_space and self.columns[0].space else ""
        return ", ".join(part for part in (self.dataset, f"protocol {self.protocol}", space) if part)


def number(value: float) -> str:
    """Three decimals, or four significant digits from 1000 on; NaN as a dash."""
    if math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"
    return text.replace("-0.000", "0.000").replace("-", "−")
