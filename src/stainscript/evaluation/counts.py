"""GenAR's scores of predicted counts: the columns of its tables, and its diagnostics on raw counts.

Source: released code of GenAR (``model_metrics.py``), all in float64. Genes without a defined correlation are left out,
and counted; earlier versions of that code scored them 0, so both means are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from stainscript.evaluation.correlation import is_constant, pearson_per_gene
from stainscript.evaluation.errors import mae_per_gene, mse_per_gene, rvd_per_gene
from stainscript.evaluation.negative_binomial import nb_nll_per_gene, nb_theta

CAP = 2000  # GenAR's largest token: the target of its standard metrics is clipped there
SIZES = (10, 50, 200)  # PCC-10, PCC-50, PCC-200
MIDDLE_BIN = (10.0, 100.0)  # mean counts of a gene, both bounds included


@dataclass(frozen=True, kw_only=True)
class StandardScore:
    """One slide in one space. All values are NaN where nothing is defined, but PCC-k by the rule ``zero`` is then 0."""

    pcc_top: dict[int, float]  # k → mean of the k largest defined correlations
    pcc_top_zero: dict[int, float]  # the same when an undefined correlation counts as 0
    mse: float
    mae: float
    rvd: float
    n_defined: int  # genes whose correlation is defined
    n_undefined: int
    pcc: np.ndarray  # (G,)


@dataclass(frozen=True, kw_only=True)
class ZeroScore:
    """How well zeros are told from counts; a share without denominator is 0."""

    precision: float
    recall: float
    f1: float
    n_both: int
    n_predicted: int
    n_observed: int


@dataclass(frozen=True, kw_only=True)
class BinScore:
    """Correlations of log2(count + 1) among genes of like mean count."""

    pcc: float
    n_defined: int
    n_genes: int


@dataclass(frozen=True, kw_only=True)
class CountDiagnostics:
    """One slide's unclipped counts; NaN where undefined."""

    spearman: float  # mean over the genes where it is defined
    n_spearman: int
    spearman_per_gene: np.ndarray  # (G,)
    mse: float
    mae: float
    nb_nll: float
    zeros: ZeroScore
    library_pearson: float
    library_spearman: float
    bins: dict[str, BinScore]


def standard_score(
    predicted: np.ndarray, observed: np.ndarray, *, cap: int | None, log2: bool = True, sizes: Sequence[int] = SIZES
) -> StandardScore:
    """The columns of GenAR's tables for one slide.

    predicted, observed: (S, G) counts; cap: the measured counts are clipped there (``CAP`` in GenAR), ``None``: not at
    all; log2: compare log2(count + 1), or the values as they are. RVD leaves genes of constant truth out. Raises
    ``ValueError`` for negative counts where a logarithm is taken.
    """
    observed = np.asarray(observed, dtype=np.float64)
    observed = observed if cap is None else np.minimum(observed, cap)
    if log2:
        predicted, observed = log2p1(predicted), log2p1(observed)
    pcc = pearson_per_gene(predicted, observed)
    defined = int((~np.isnan(pcc)).sum())
    return StandardScore(
        pcc_top={k: pcc_top(pcc, size=k) for k in sizes},
        pcc_top_zero={k: pcc_top(pcc, size=k, undefined="zero") for k in sizes},
        mse=float(mse_per_gene(predicted, observed).mean()),
        mae=float(mae_per_gene(predicted, observed).mean()),
        rvd=mean_of_defined(rvd_per_gene(predicted, observed)),
        n_defined=defined,
        n_undefined=len(pcc) - defined,
        pcc=pcc,
    )


def count_diagnostics(
    predicted: np.ndarray,
    observed: np.ndarray,
    *,
    theta: np.ndarray | None = None,
    gene_means: np.ndarray | None = None,
) -> CountDiagnostics:
    """GenAR's diagnostics of one slide.

    predicted, observed: (S, G) counts, not clipped; theta, gene_means: (G,) of the training slides, for ``nb_nll`` and
    the bins. Without them the slide's own counts give both, as in the released code when it has no training data; theta
    is then bounded below alone. Raises ``ValueError`` for negative counts.
    """
    predicted, observed = _counts(predicted), _counts(observed)
    means = observed.mean(axis=0) if gene_means is None else np.asarray(gene_means, dtype=np.float64)
    if theta is None:
        theta = nb_theta(observed.mean(axis=0), observed.var(axis=0), largest=None)
    spearman = spearman_per_gene(predicted, observed)
    pcc = pearson_per_gene(log2p1(predicted), log2p1(observed))
    library_pearson, library_spearman = library_correlations(predicted, observed)
    return CountDiagnostics(
        spearman=mean_of_defined(spearman),
        n_spearman=int((~np.isnan(spearman)).sum()),
        spearman_per_gene=spearman,
        mse=float(mse_per_gene(predicted, observed).mean()),
        mae=float(mae_per_gene(predicted, observed).mean()),
        nb_nll=float(nb_nll_per_gene(predicted, observed, theta=theta).mean()),
        zeros=zero_score(predicted, observed),
        library_pearson=library_pearson,
        library_spearman=library_spearman,
        bins=pcc_by_bin(pcc, means),
    )


def pcc_top(pcc: np.ndarray, *, size: int, undefined: Literal["drop", "zero"] = "drop") -> float:
    """PCC-k: mean of the ``size`` largest of (G,) correlations, of all where there are fewer. Post hoc.

    undefined: a NaN is dropped, or is 0 and takes part. NaN where nothing is left.
    """
    values = np.where(np.isnan(pcc), 0.0, pcc) if undefined == "zero" else pcc[~np.isnan(pcc)]
    best = np.sort(values)[::-1][:size]
    return float(best.mean()) if best.size else float("nan")


def spearman_per_gene(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Rank correlation of each gene over the spots of one slide, ties at their mean rank.

    predicted, observed: (S, G). Returns (G,) float64; NaN where either column is constant.
    """
    constant = is_constant(predicted) | is_constant(observed)
    ranked = pearson_per_gene(rankdata(predicted, axis=0), rankdata(observed, axis=0))
    return np.where(constant, np.nan, ranked)


def zero_score(predicted: np.ndarray, observed: np.ndarray) -> ZeroScore:
    """Precision, recall and F1 of predicting exactly 0, over all spots and genes; predicted, observed: (S, G)."""
    ours, theirs = np.asarray(predicted) == 0, np.asarray(observed) == 0
    both, n_predicted, n_observed = int((ours & theirs).sum()), int(ours.sum()), int(theirs.sum())
    return ZeroScore(
        precision=both / max(n_predicted, 1),
        recall=both / max(n_observed, 1),
        f1=2.0 * both / max(n_predicted + n_observed, 1),
        n_both=both,
        n_predicted=n_predicted,
        n_observed=n_observed,
    )


def library_correlations(predicted: np.ndarray, observed: np.ndarray) -> tuple[float, float]:
    """Pearson and Spearman correlation of the spots' sums over genes; NaN where either is constant. (S, G) counts."""
    sums = [np.asarray(counts, dtype=np.float64).sum(axis=1, keepdims=True) for counts in (predicted, observed)]
    return float(pearson_per_gene(*sums)[0]), float(spearman_per_gene(*sums)[0])


def pcc_by_bin(pcc: np.ndarray, gene_means: np.ndarray) -> dict[str, BinScore]:
    """Mean defined correlation of genes whose mean count is ``below_10``, ``10_to_100``, ``above_100``; both (G,)."""
    if gene_means.shape != pcc.shape or not (np.isfinite(gene_means).all() and (gene_means >= 0).all()):
        raise ValueError(f"gene_means must be {len(pcc)} finite numbers of at least 0")
    low, high = gene_means < MIDDLE_BIN[0], gene_means > MIDDLE_BIN[1]
    bins = {"below_10": low, "10_to_100": ~low & ~high, "above_100": high}
    return {
        name: BinScore(
            pcc=mean_of_defined(pcc[inside]), n_defined=int((~np.isnan(pcc[inside])).sum()), n_genes=int(inside.sum())
        )
        for name, inside in bins.items()
    }


def mean_of_defined(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def log2p1(counts: np.ndarray) -> np.ndarray:
    """log2(count + 1) in float64; raises ``ValueError`` for negative counts."""
    return np.log2(_counts(counts) + 1.0)


def _counts(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.size and not values.min() >= 0:
        raise ValueError(f"counts are numbers of at least 0, found {values.min()}")
    return values
