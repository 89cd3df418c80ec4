"""Scores as HEST-Bench takes them: correlation over all test spots of a fold pooled, never per slide.

    gene    Pearson over the test spots of the fold, of all its slides together
    fold    plain mean over genes: one undefined gene makes it undefined (``pearson``, as published);
            ``pearson_defined`` leaves undefined genes out
    task    mean over folds; standard deviation over folds, ddof 0
    overall mean over the nine tasks of the published table (without HCC); undefined unless all nine are there

Several seeds are averaged within a fold. Facts followed: mahmoodlab/HEST v1.1.1, ``bench/trainer.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stainscript.evaluation.aggregate import pool
from stainscript.splits.hest_bench import AVERAGED, TASKS, task_of

QUARTILES = (25, 50, 75)
FOLD_COLUMNS = (
    *("experiment", "seed", "fold", "n_slides", "n_spots", "n_genes", "n_defined", "pearson", "pearson_defined"),
    *("pearson_sd", "mse_q1", "mse_q2", "mse_q3", "r2_q1", "r2_q2", "r2_q3"),
)
TASK_COLUMNS = (
    *("task", "method", "encoder", "protocol", "experiment", "pearson", "sd", "pearson_defined", "sd_defined"),
    *("n_folds", "n_folds_published", "n_seeds", "n_undefined", "note"),
)
OVERALL_COLUMNS = ("method", "encoder", "protocol", "pearson", "pearson_defined", "n_tasks")


def pooled_genes(genes: pd.DataFrame) -> pd.DataFrame:
    """Scores of each gene over the test spots of one fold and seed, pooled over its slides.

    genes: rows of ``genes.parquet`` of one experiment, fold and seed. Returns columns pearson, mse, r2 by gene_id; r2
    as usual, 1 − Σ(y − ŷ)² / Σ(y − ȳ)². NaN where one side is constant (pearson) or the truth is (r2).
    """
    stacked, index = pool(genes)
    moments = stacked.pooled()
    names, column = np.unique(genes["gene_id"].to_numpy(dtype=str), return_inverse=True)
    row = index.get_indexer(pd.MultiIndex.from_frame(genes[["fold", "slide"]]))
    squares = np.zeros(stacked.n.shape)
    squares[row, column] = (genes["mse"] * genes["n_spots"]).fillna(0.0)  # NaN where the slide does not measure it
    total = squares.sum(axis=0)
    pearson, mse, r2 = moments.pearson(), np.full(len(names), np.nan), np.full(len(names), np.nan)
    np.divide(total, moments.n, out=mse, where=moments.n > 0)
    np.divide(total, moments.m2_observed, out=r2, where=moments.m2_observed > 0)
    return pd.DataFrame({"pearson": pearson, "mse": mse, "r2": 1.0 - r2}, index=pd.Index(names, name="gene_id"))


def fold_scores(genes: pd.DataFrame) -> pd.DataFrame:
    """One row an experiment, seed and fold, columns ``FOLD_COLUMNS``; genes: rows of all ``genes.parquet``.

    ``pearson_sd`` is over genes, ddof 0; quartiles are over genes. Every gene of the fold's panel counts, measured on
    each slide or not.
    """
    rows = []
    for (experiment, seed, fold), part in genes.groupby(["experiment", "seed", "fold"], sort=True):
        scores = pooled_genes(part)
        pearson = scores["pearson"].to_numpy()
        defined = pearson[~np.isnan(pearson)]
        row = {
            "experiment": experiment,
            "seed": seed,
            "fold": fold,
            "n_slides": part["slide"].nunique(),
            "n_spots": int(part.groupby("slide")["n_spots"].max().sum()),
            "n_genes": len(pearson),
            "n_defined": len(defined),
            "pearson": float(pearson.mean()),
            "pearson_defined": float(defined.mean()) if len(defined) else float("nan"),
            "pearson_sd": float(pearson.std()),
        }
        for name in ("mse", "r2"):
            row |= {f"{name}_q{n}": v for n, v in enumerate(np.percentile(scores[name], QUARTILES), start=1)}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(FOLD_COLUMNS))


def task_scores(genes: pd.DataFrame, *, experiments: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a task and encoder, columns ``TASK_COLUMNS``, in the order of ``experiments``.

    experiments: records with name, dataset (a task's name, perhaps with ``hest_`` in front), method, encoder, protocol
    and perhaps note. ``n_undefined``: undefined genes over all folds, means over seeds. An experiment without rows is
    an error of the caller (``KeyError``).
    """
    by_experiment = dict(list(fold_scores(genes).groupby("experiment")))
    rows = []
    for record in experiments:
        folds = by_experiment[record["name"]]
        undefined = (folds["n_genes"] - folds["n_defined"]).groupby(folds["fold"]).mean().sum()
        published = folds.groupby("fold")["pearson"].mean()  # pandas leaves NaN out, over seeds …
        published[folds["pearson"].isna().groupby(folds["fold"]).any()] = np.nan  # … but here it must spread
        defined = folds.groupby("fold")["pearson_defined"].mean()
        task = task_of(record["dataset"])
        rows.append(
            {
                "task": task,
                **{key: record[key] for key in ("method", "encoder", "protocol")},
                "experiment": record["name"],
                "pearson": float(published.mean(skipna=False)),
                "sd": float(published.std(ddof=0, skipna=False)),
                "pearson_defined": float(defined.mean()),
                "sd_defined": float(defined.std(ddof=0)),
                "n_folds": len(published),
                "n_folds_published": len(TASKS[task].sizes),
                "n_seeds": folds["seed"].nunique(),
                "n_undefined": float(undefined),
                "note": record.get("note", ""),
            }
        )
    return pd.DataFrame(rows, columns=list(TASK_COLUMNS))


def overall(tasks: pd.DataFrame) -> pd.DataFrame:
    """One row a method, encoder and protocol, columns ``OVERALL_COLUMNS``; tasks: of ``task_scores``.

    The mean is over the nine tasks of the published table; NaN unless all nine are there. ``n_tasks`` says how many.
    """
    rows = []
    for (method, encoder, protocol), part in tasks.groupby(["method", "encoder", "protocol"], sort=False):
        counted = part[part["task"].isin(AVERAGED)].set_index("task").reindex(list(AVERAGED))
        means = {name: float(counted[name].mean(skipna=False)) for name in ("pearson", "pearson_defined")}
        head = {"method": method, "encoder": encoder, "protocol": protocol}
        rows.append({**head, **means, "n_tasks": int(counted["experiment"].notna().sum())})
    return pd.DataFrame(rows, columns=list(OVERALL_COLUMNS))


def ranked_genes(genes: pd.DataFrame) -> pd.DataFrame:
    """Pooled correlation of each gene (rows) in each fold (columns) and their ``mean``, best gene first.

    genes: rows of one experiment; seeds are averaged. A gene that is undefined in a fold has no mean, and stands last.
    """
    found = {key: pooled_genes(part)["pearson"] for key, part in genes.groupby(["fold", "seed"], sort=True)}
    table = pd.DataFrame(found).rename_axis(columns=["fold", "seed"])
    folds = table.T.groupby(level="fold").mean().T
    return folds.assign(mean=folds.mean(axis=1, skipna=False)).sort_values("mean", ascending=False, kind="stable")
