"""A leaderboard arranged as people read it: one block a dataset and protocol, rows by method, columns by metric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stainscript.errors import DataContractError

TEXTS = ("experiment", "method", "encoder", "protocol", "metric", "subset")
NUMBERS = ("mean", "sd", "ci_low", "ci_high", "n_folds", "n_defined")
COLUMNS = TEXTS + NUMBERS
CONTROLS = ("oracle", "ceiling", "nearest", "coordinates", "shuffled", "mean")
LOWER_IS_BETTER = ("mse", "mae", "rvd")
UNDEFINED = "–"
POOLED = "pooled"

_METRIC_ORDER = ("pcc", "rvd", "mse", "mae")
_SUBSET_ORDER = ("all", "heg", "hvg", "hpg", "best")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric over one gene subset; ``pooled`` is over the spots of all slides at once."""

    metric: str
    subset: str
    space: str
    post_hoc: bool

    @property
    def family(self) -> str:
        """The metric without its pooling: ``pcc`` for both ``pcc`` and ``pcc_pooled``."""
        return "_".join(part for part in self.metric.split("_") if part != POOLED)

    @property
    def pooled(self) -> bool:
        """Whether this column pools the spots of all slides."""
        return POOLED in self.metric.split("_")

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller value is the better one."""
        return self.family in LOWER_IS_BETTER

    @property
    def name(self) -> str:
        """The family and subset, e.g. ``PCC all``."""
        return f"{self.family.upper()} {self.subset}"

    @property
    def title(self) -> str:
        """The name, with post hoc choices said to be so."""
        return self.name + (" (post hoc)" if self.post_hoc else "")

    @property
    def scope(self) -> str:
        """``pooled`` or ``per slide``."""
        return POOLED if self.pooled else "per slide"


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

    @property
    def one_space(self) -> bool:
        """Whether all columns are in the same space."""
        return len({column.space for column in self.columns}) == 1

    @property
    def groups(self) -> list[tuple[Column, ...]]:
        """Neighbouring columns of the same metric, subset and space: per slide and pooled side by side."""
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


def read_leaderboard(path: str | Path) -> pd.DataFrame:
    """Read a ``leaderboard.tsv``; texts stay texts (an empty encoder too). Raises when a column is missing."""
    missing_value = {name: ["", "nan", "NaN"] for name in NUMBERS}
    frame = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=missing_value)
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise DataContractError(
            path, "columns", expected=", ".join(COLUMNS), found=f"no {', '.join(missing)}", remedy="run tabulate again"
        )
    return frame


def blocks(frame: pd.DataFrame) -> list[Block]:
    """Arrange a tidy leaderboard (columns ``COLUMNS``, perhaps dataset, space, post_hoc) into blocks.

    Raises ``ValueError`` when two rows claim the same cell.
    """
    frame = frame.assign(
        dataset=frame["dataset"].fillna("") if "dataset" in frame else "",
        space=frame["space"].fillna("") if "space" in frame else "",
        post_hoc=frame["post_hoc"].astype(str).str.lower().eq("true")
        if "post_hoc" in frame
        else frame["subset"].str.startswith(("best", "hpg")),
        encoder=frame["encoder"].fillna(""),
    )
    twice = frame.duplicated(["experiment", "dataset", "protocol", "metric", "subset", "space"])
    if twice.any():
        raise ValueError(f"two rows for one cell: {frame.loc[twice, list(TEXTS)].iloc[0].to_dict()}")
    return [_block(part) for _, part in frame.groupby(["dataset", "protocol"], sort=False)]


def number(value: float) -> str:
    """Three decimals; four significant digits where that would be too long or too coarse; NaN as a dash."""
    if math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.3f}" if 1e-3 <= abs(value) < 1000 or value == 0 else f"{value:.2e}"
    return text.replace("-", "−")


def _block(part: pd.DataFrame) -> Block:
    keys = part[["metric", "subset", "space", "post_hoc"]].drop_duplicates().itertuples(index=False)
    found = [Column(metric=k.metric, subset=k.subset, space=k.space, post_hoc=bool(k.post_hoc)) for k in keys]
    columns = tuple(sorted(found, key=_column_rank(found)))
    position = {(c.metric, c.subset, c.space, c.post_hoc): n for n, c in enumerate(columns)}
    best = _best(part, columns)
    rows = []
    for (experiment, method, encoder), values in part.groupby(["experiment", "method", "encoder"], sort=False):
        cells: list[Cell | None] = [None] * len(columns)
        for v in values.itertuples(index=False):
            n = position[v.metric, v.subset, v.space, bool(v.post_hoc)]
            cells[n] = Cell(
                **{name: float(getattr(v, name)) for name in ("mean", "sd", "ci_low", "ci_high")},
                n_folds=int(v.n_folds),
                n_defined=int(v.n_defined),
                best=best.get(n) == experiment,
            )
        repeated = part.loc[(part["method"] == method) & (part["encoder"] == encoder), "experiment"].nunique() > 1
        rows.append(Row(experiment=experiment, method=method, encoder=encoder, cells=tuple(cells), repeated=repeated))
    rows.sort(key=lambda row: (row.control, CONTROLS.index(row.method) if row.control else 0))
    return Block(dataset=part["dataset"].iloc[0], protocol=part["protocol"].iloc[0], columns=columns, rows=tuple(rows))


def _best(part: pd.DataFrame, columns: tuple[Column, ...]) -> dict[int, str]:
    """Column → experiment of the best contender, where at least two have a value."""
    best = {}
    contenders = part[~part["method"].isin(CONTROLS) & part["mean"].notna()]
    for n, c in enumerate(columns):
        rows = contenders[
            (contenders["metric"] == c.metric) & (contenders["subset"] == c.subset) & (contenders["space"] == c.space)
        ]
        if len(rows) >= 2:
            at = rows["mean"].idxmin() if c.lower_is_better else rows["mean"].idxmax()
            best[n] = rows.loc[at, "experiment"]
    return best


def _column_rank(columns: list[Column]) -> Callable[[Column], tuple]:
    def rank(value: str, known: Iterable[str], seen: list[str]) -> tuple[int, int]:
        prefixes = list(known)
        place = next((n for n, prefix in enumerate(prefixes) if value.startswith(prefix)), len(prefixes))
        return place, seen.index(value)

    families, subsets = [c.family for c in columns], [c.subset for c in columns]
    return lambda c: (
        rank(c.family, _METRIC_ORDER, families),
        rank(c.subset, _SUBSET_ORDER, subsets),
        c.space,
        c.pooled,
    )
