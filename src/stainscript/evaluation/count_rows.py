"""Further rows of a slide whose protocol predicts counts, raw or as log2(count + 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.evaluation.counts import CAP, library_correlations, log2p1, spearman_per_gene, zero_score
from stainscript.evaluation.errors import mae_per_gene, mse_per_gene, rvd_per_gene
from stainscript.evaluation.negative_binomial import nb_nll_per_gene
from stainscript.evaluation.rows import MetricRow, row_of
from stainscript.evaluation.subsets import best_predicted
from stainscript.types import Space

COUNT_SPACES = (Space.COUNTS, Space.LOG2P1)


def count_rows(
    predicted: np.ndarray,
    observed: np.ndarray,
    *,
    space: Space,
    pcc: np.ndarray,
    subsets: Mapping[str, np.ndarray],
    best: Sequence[int],
    measured: np.ndarray,
    theta: np.ndarray | None,
) -> list[MetricRow]:
    """Rows as GenAR reports them; predicted, observed: (S, G) in ``space``; pcc: (G,), NaN where undefined.

    In both spaces ``spearman``, and ``pcc_zero`` of ``best{n}``: PCC-n when an undefined correlation of a measured gene
    counts as 0. In counts also the tables of GenAR, ``pcc_log2`` (``best{n}`` as well), ``mse_log2``, ``mae_log2`` and
    ``rvd_log2`` of log2(count + 1), the measured count clipped at 2000 and a negative prediction at 0; ``nb_nll`` where
    theta (G,) of the training slides is given; and, one value a slide over all measured genes (``n_genes`` 1),
    ``library_pearson``, ``library_spearman``, ``zero_precision``, ``zero_recall``, ``zero_f1``.
    """
    spots = len(predicted)

    def over_subsets(metric: str, values: np.ndarray) -> list[MetricRow]:
        known = np.where(measured, values, np.nan)
        return [row_of(name, metric, known[at], spots=spots, post_hoc=False) for name, at in subsets.items()]

    def over_best(metric: str, values: np.ndarray) -> list[MetricRow]:
        known = np.where(measured, values, np.nan)
        chosen = {n: best_predicted(known, size=n) for n in best}
        return [row_of(f"best{n}", metric, known[at], spots=spots, post_hoc=True) for n, at in chosen.items()]

    rows = over_subsets("spearman", spearman_per_gene(predicted, observed))
    rows += over_best("pcc_zero", np.nan_to_num(pcc, nan=0.0))
    if space == Space.LOG2P1:
        return rows
    ours, theirs = log2p1(np.maximum(predicted, 0)), log2p1(np.minimum(observed, CAP))
    pcc_log2 = pearson_per_gene(ours, theirs)
    rows += over_subsets("pcc_log2", pcc_log2) + over_best("pcc_log2", pcc_log2)
    for metric, per_gene in (("mse_log2", mse_per_gene), ("mae_log2", mae_per_gene), ("rvd_log2", rvd_per_gene)):
        rows += over_subsets(metric, per_gene(ours, theirs))
    if theta is not None:
        rows += over_subsets("nb_nll", nb_nll_per_gene(predicted, observed, theta=theta))
    known = predicted[:, measured], observed[:, measured]
    zeros = zero_score(*known)
    whole = dict(zip(("library_pearson", "library_spearman"), library_correlations(*known), strict=True))
    whole |= {"zero_precision": zeros.precision, "zero_recall": zeros.recall, "zero_f1": zeros.f1}
    return rows + [
        row_of("all", metric, np.array([value]), spots=spots, post_hoc=False) for metric, value in whole.items()
    ]
