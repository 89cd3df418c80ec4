"""A leaderboard arranged as people read it: a block a dataset and protocol, rows by method, columns by metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from stainscript.errors import DataContractError
from stainscript.report.blocks import CONTROLS, SCOPES, Block, Cell, Column, Row

TEXTS = ("experiment", "method", "encoder", "protocol", "metric", "subset")
NUMBERS = ("mean", "sd", "ci_low", "ci_high", "n_folds", "n_defined")
COLUMNS = TEXTS + NUMBERS

_METRIC_ORDER = ("pcc", "rvd", "mse", "mae")
_SUBSET_ORDER = ("all", "heg", "hvg", "hpg", "best")


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
    """Arrange a tidy leaderboard (columns ``COLUMNS``, perhaps dataset, space, post_hoc, note) into blocks.

    Raises ``ValueError`` when two rows claim the same cell.
    """
    frame = frame.assign(
        dataset=frame["dataset"].fillna("") if "dataset" in frame else "",
        space=frame["space"].fillna("") if "space" in frame else "",
        note=frame["note"].fillna("") if "note" in frame else "",
        post_hoc=frame["post_hoc"].astype(str).str.lower().eq("true")
        if "post_hoc" in frame
        else frame["subset"].str.startswith(("best", "hpg")),
        encoder=frame["encoder"].fillna(""),
    )
    twice = frame.duplicated(["experiment", "dataset", "protocol", "metric", "subset", "space"])
    if twice.any():
        raise ValueError(f"two rows for one cell: {frame.loc[twice, list(TEXTS)].iloc[0].to_dict()}")
    return [_block(part) for _, part in frame.groupby(["dataset", "protocol"], sort=False)]


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
    dataset, protocol, note = (part[name].iloc[0] for name in ("dataset", "protocol", "note"))
    return Block(dataset=dataset, protocol=protocol, columns=columns, rows=tuple(rows), note=note)


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
        c.scope == SCOPES["_by_gene"],  # nearly the per-slide numbers again: last
        rank(c.family, _METRIC_ORDER, families),
        rank(c.subset, _SUBSET_ORDER, subsets),
        c.space,
        list(SCOPES.values()).index(c.scope),
    )
