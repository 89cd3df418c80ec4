"""From rows of slides and genes to one leaderboard: every average over slides, folds and seeds is taken here.

``pcc``, ``mse``, ``mae``, ``rvd``   the slide's value, averaged over seeds, then slides of a fold, then folds
``pcc`` of ``hpg{n}``             post hoc; averaged over slides gene by gene, then genes, then folds
``pcc_by_gene``                  the same order of averages for the fixed subsets: the classic protocol's numbers; it
                                 differs from ``pcc`` only where some correlation is undefined
``pcc_pooled``                   one correlation a gene over the spots of all test slides of all folds, then genes
``COUNT_METRICS``                of protocols that predict counts (``count_rows.py``): averaged as ``pcc``

Undefined values are left out of every average; ``n_defined`` says how many correlations of a (slide, gene) went in
(for ``pcc_pooled``: of a gene), over all seeds. ``sd`` is over folds, ddof 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from stainscript import seeds
from stainscript.evaluation.correlation import FIELDS, Moments
from stainscript.evaluation.statistics import mean_interval, patient_draws, pooled_interval
from stainscript.evaluation.subsets import highly_predictive

COLUMNS = (
    *("experiment", "method", "encoder", "protocol", "metric", "subset", "mean", "sd", "ci_low", "ci_high"),
    *("n_folds", "n_defined", "dataset", "space", "n_slides", "n_seeds", "post_hoc", "note"),
)
COUNT_METRICS = (
    *("pcc_zero", "spearman", "pcc_log2", "mse_log2", "mae_log2", "rvd_log2", "nb_nll"),
    *("library_pearson", "library_spearman", "zero_precision", "zero_recall", "zero_f1"),
)
# over HEG and HVG these stay in slides.parquet
OVER_ALL_GENES_ONLY = ("mse", "mae", "rvd", "mse_log2", "mae_log2", "rvd_log2", "nb_nll")
METRICS = ("pcc", "pcc_by_gene", "pcc_pooled", "mse", "mae", "rvd", *COUNT_METRICS)
SUBSETS = ("all", "heg", "hvg", "hpg", "best")


def leaderboard(
    slides: pd.DataFrame, genes: pd.DataFrame, *, experiments: Sequence[Mapping[str, Any]], resamples: int
) -> pd.DataFrame:
    """One row an experiment, metric and subset, columns ``COLUMNS``, in the order of ``experiments``.

    slides, genes: rows of all ``slides.parquet`` and ``genes.parquet``; experiments: records with name, dataset,
    method, encoder, protocol and perhaps note, what a reader must know of the protocol; resamples: of the
    patient-level bootstrap, 0 for none. Intervals are NaN where fewer than two patients are tested; experiments of one
    dataset share their resamples.
    """
    rows = []
    by_slide, by_gene = dict(list(slides.groupby("experiment"))), dict(list(genes.groupby("experiment")))
    for record in experiments:
        head = {key: record[key] for key in ("method", "encoder", "protocol", "dataset")}
        head |= {
            "note": record.get("note", ""),
            "experiment": record["name"],
            "space": by_slide[record["name"]]["space"].iloc[0],
        }
        part, values = by_slide[record["name"]], by_gene[record["name"]]
        rng = seeds.generator(0, "bootstrap", record["dataset"])
        patients = _patients(part)
        draws = patient_draws(patients.to_numpy(), resamples=resamples, rng=rng)
        keys = patients.index
        found = [
            *_per_slide(part, keys, draws),
            *_by_gene(part, values, keys, draws),
            *_pooled(part, values, keys, draws),
        ]
        size = {"n_slides": len({slide for _, slide in keys}), "n_seeds": part["seed"].nunique()}
        rows += [head | size | row for row in sorted(found, key=_rank)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def pcc_of_folds(genes: pd.DataFrame) -> pd.DataFrame:
    """r of each fold (rows) and gene (columns): mean over slides and seeds, undefined left out. One experiment."""
    return genes.groupby(["fold", "gene_id"], sort=True)["pcc"].mean().unstack("gene_id")


def hpg_genes(genes: pd.DataFrame, *, size: int, undefined: Literal["worst", "best"] = "worst") -> list[str]:
    """Gene ids of the post hoc HPG subset of one experiment, among the genes that every fold predicts."""
    everywhere = genes.groupby("gene_id")["fold"].nunique() == genes["fold"].nunique()
    table = pcc_of_folds(genes).loc[:, lambda frame: everywhere[frame.columns].to_numpy()]
    return [table.columns[n] for n in highly_predictive(table.to_numpy(), size=size, undefined=undefined)]


def pool(genes: pd.DataFrame) -> tuple[Moments, pd.MultiIndex]:
    """Moments of one experiment and seed, stacked (K, G), with the (fold, slide) of each of the K rows."""
    index = pd.MultiIndex.from_frame(genes[["fold", "slide"]].drop_duplicates().sort_values(["fold", "slide"]))
    row = index.get_indexer(pd.MultiIndex.from_frame(genes[["fold", "slide"]]))
    names, column = np.unique(genes["gene_id"].to_numpy(dtype=str), return_inverse=True)
    stacked = {}
    for name in FIELDS:
        stacked[name] = np.zeros((len(index), len(names)))
        stacked[name][row, column] = genes["n_spots" if name == "n" else name]
    return Moments(**stacked), index


def _per_slide(part: pd.DataFrame, keys: pd.MultiIndex, draws: np.ndarray) -> Iterator[dict[str, Any]]:
    for (metric, subset, post_hoc), rows in part.groupby(["metric", "subset", "post_hoc"], sort=True):
        if metric in OVER_ALL_GENES_ONLY and subset != "all":
            continue
        values = rows.groupby(["fold", "slide"])["value"].mean()
        yield _row(metric, subset, _over_folds(values), rows["n_defined"].sum(), part, post_hoc=bool(post_hoc)) | (
            _interval_of(values, keys, draws)
        )


def _by_gene(
    part: pd.DataFrame, genes: pd.DataFrame, keys: pd.MultiIndex, draws: np.ndarray
) -> Iterator[dict[str, Any]]:
    size = subset_size(part)
    for subset, rows in _subsets(genes, size):
        per_fold = pcc_of_folds(rows).mean(axis=1)
        yield _row("pcc_by_gene", subset, per_fold, rows["pcc"].notna().sum(), part, post_hoc=False)
    chosen = genes[genes["gene_id"].isin(hpg_genes(genes, size=size))]
    values = chosen.groupby(["fold", "slide"])["pcc"].mean()
    per_fold = pcc_of_folds(chosen).mean(axis=1)
    yield _row("pcc", f"hpg{size}", per_fold, chosen["pcc"].notna().sum(), part, post_hoc=True) | (
        _interval_of(values, keys, draws)
    )


def _pooled(
    part: pd.DataFrame, genes: pd.DataFrame, keys: pd.MultiIndex, draws: np.ndarray
) -> Iterator[dict[str, Any]]:
    for subset, rows in _subsets(genes, subset_size(part)):
        values, intervals, defined = [], [], 0
        for _, of_seed in rows.groupby("seed", sort=True):
            moments, index = pool(of_seed)
            pcc = moments.pooled().pearson()
            defined += int((~np.isnan(pcc)).sum())
            values.append(_mean(pcc))
            intervals.append(pooled_interval(moments, draws[:, keys.get_indexer(index)]))
        low, high = (_mean(np.array(bound)) for bound in zip(*intervals, strict=True))
        row = _row("pcc_pooled", subset, pd.Series([_mean(np.array(values))]), defined, part, post_hoc=False)
        yield row | {"sd": float("nan"), "ci_low": low, "ci_high": high}


def _subsets(genes: pd.DataFrame, size: int) -> list[tuple[str, pd.DataFrame]]:
    return [
        ("all", genes),
        (f"heg{size}", genes[genes["in_heg"].astype(bool)]),
        (f"hvg{size}", genes[genes["in_hvg"].astype(bool)]),
    ]


def subset_size(part: pd.DataFrame) -> int:
    """The n of ``heg{n}`` in the rows of one experiment."""
    return next(int(found.group(1)) for name in part["subset"] if (found := re.fullmatch(r"heg(\d+)", name)))


def _row(
    metric: str, subset: str, per_fold: pd.Series, n_defined: int, part: pd.DataFrame, *, post_hoc: bool
) -> dict[str, Any]:
    return {
        "metric": metric,
        "subset": subset,
        "mean": float(per_fold.mean()),
        "sd": float(per_fold.std(ddof=0)),
        "ci_low": float("nan"),
        "ci_high": float("nan"),
        "n_folds": part["fold"].nunique(),
        "n_defined": int(n_defined),
        "post_hoc": post_hoc,
    }


def _over_folds(values: pd.Series) -> pd.Series:
    """Mean over the slides of each fold; values: by (fold, slide)."""
    return values.groupby("fold").mean()


def _interval_of(values: pd.Series, keys: pd.MultiIndex, draws: np.ndarray) -> dict[str, float]:
    """Bootstrap interval of the mean over slides, then folds; a slide weighs 1 / (slides of its fold)."""
    values = values.reindex(keys)
    per_fold = values.notna().groupby("fold").transform("sum").to_numpy()
    weights = np.divide(1.0, per_fold, out=np.zeros(len(per_fold)), where=per_fold > 0)
    low, high = mean_interval(values.to_numpy(dtype=np.float64), weights, draws)
    return {"ci_low": low, "ci_high": high}


def _patients(part: pd.DataFrame) -> pd.Series:
    """Patient of each (fold, slide), sorted."""
    return part[["fold", "slide", "patient"]].drop_duplicates().set_index(["fold", "slide"])["patient"].sort_index()


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _rank(row: Mapping[str, Any]) -> tuple[int, int, int]:
    kind, size = re.fullmatch(r"([a-z]+)(\d*)", row["subset"]).groups()
    return METRICS.index(row["metric"]), SUBSETS.index(kind), int(size or 0)
