"""Highly variable genes of one slide: dispersion standardised among genes of like mean (the "seurat" flavour).

Facts followed: Satija et al. 2015 and the default flavour of scanpy's ``highly_variable_genes``, as Stem uses it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from stainscript.genes.normalise import library_size_of

BINS = 20
ZERO_MEAN = 1e-12  # stands for a mean of exactly 0
EDGE_SLACK = 0.001  # share of the range by which the lowest bin reaches below the smallest mean


def highly_variable(counts: sparse.csr_matrix, *, n: int) -> np.ndarray:
    """Columns of the ``n`` most variable genes of one slide, ascending; counts: (S, G) CSR, raw.

    Spots without counts and genes without counts are left out. Spots are scaled to the median library size;
    dispersion = variance / mean (ddof 1); its logarithm is standardised within 20 equally wide bins of ln(1 + mean).
    A bin with one gene gives it the value 1. Genes tied with the n-th are kept too.
    """
    return top_scored(standardised_dispersion(counts), n=n)


def top_scored(score: np.ndarray, *, n: int) -> np.ndarray:
    """Positions of the ``n`` highest scores, ascending, ties with the n-th kept; score: (G,), NaN is never kept."""
    defined = np.sort(score[~np.isnan(score)])[::-1]
    if not defined.size:
        return np.empty(0, dtype=np.int64)
    cut = defined[min(n, defined.size) - 1]
    return np.flatnonzero(np.nan_to_num(score, nan=-np.inf) >= cut)


def standardised_dispersion(counts: sparse.csr_matrix) -> np.ndarray:
    """Per gene the standardised log dispersion, (G,) float64; NaN where a gene is absent or constant."""
    counts = sparse.csr_matrix(counts, dtype=np.float64)
    size = library_size_of(counts)
    counts, size = counts[size > 0], size[size > 0]
    score = np.full(counts.shape[1], np.nan)
    present = np.flatnonzero(np.bincount(counts.indices, weights=counts.data, minlength=counts.shape[1]) > 0)
    if not present.size or counts.shape[0] < 2:
        return score
    scaled = sparse.diags_array(np.median(size) / size) @ counts[:, present]
    mean = np.asarray(scaled.mean(axis=0)).ravel()
    square = np.asarray(scaled.multiply(scaled).mean(axis=0)).ravel()
    variance = np.maximum(square - mean**2, 0.0) * (counts.shape[0] / (counts.shape[0] - 1))
    score[present] = score_of(mean=mean, variance=variance)
    return score


def score_of(*, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The standardised log dispersion of genes of given mean and variance (ddof 1), (G,) each; NaN where constant."""
    dispersion = np.full(mean.shape, np.nan)
    np.log(variance / np.maximum(mean, ZERO_MEAN), out=dispersion, where=variance > 0)
    return _standardise(dispersion, bins=_bin_of(np.log1p(mean)))


def _bin_of(values: np.ndarray) -> np.ndarray:
    """Index of the equally wide, right-closed bin of each value, (G,) in 0 … BINS − 1."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.zeros(values.shape, dtype=np.int64)
    edges = np.linspace(low, high, BINS + 1)
    edges[0] -= (high - low) * EDGE_SLACK
    return np.searchsorted(edges, values, side="left") - 1


def _standardise(values: np.ndarray, *, bins: np.ndarray) -> np.ndarray:
    defined = ~np.isnan(values)
    number = np.bincount(bins[defined], minlength=BINS)
    total = np.bincount(bins[defined], weights=values[defined], minlength=BINS)
    mean = np.divide(total, number, out=np.zeros(BINS), where=number > 0)
    squares = np.bincount(bins[defined], weights=(values[defined] - mean[bins[defined]]) ** 2, minlength=BINS)
    deviation = np.sqrt(np.divide(squares, number - 1, out=np.full(BINS, np.nan), where=number > 1))
    alone = number == 1
    deviation[alone], mean[alone] = mean[alone], 0.0
    result = np.full(values.shape, np.nan)
    width = deviation[bins]
    np.divide(values - mean[bins], width, out=result, where=defined & (width != 0))
    return result
