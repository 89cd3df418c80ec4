import numpy as np
import pandas as pd
from scipy import sparse

from stainscript.genes.variability.seurat import highly_variable, standardised_dispersion


def definition(counts):
    """The score written out with pandas, as its authors describe it: bins by ``cut``, groups by ``groupby``."""
    counts = counts[counts.sum(axis=1) > 0]
    genes = np.flatnonzero(counts.sum(axis=0) > 0)
    size = counts.sum(axis=1)
    scaled = counts[:, genes] / size[:, None] * np.median(size)
    mean, variance = scaled.mean(axis=0), scaled.var(axis=0, ddof=1)
    frame = pd.DataFrame({"mean": np.log1p(mean), "dispersion": np.log(variance / mean)})
    groups = frame.groupby(pd.cut(frame["mean"], bins=20), observed=True)["dispersion"]
    average, deviation = groups.transform("mean"), groups.transform("std")
    alone = deviation.isna()
    average[alone], deviation[alone] = 0.0, frame["dispersion"][alone]
    score = np.full(counts.shape[1], np.nan)
    score[genes] = (frame["dispersion"] - average) / deviation
    return score


def drawn_counts():
    rng = np.random.default_rng(5)
    mean = np.exp(rng.normal(0, 1.5, size=150))
    counts = rng.poisson(mean * rng.gamma(2, 0.5, size=(60, 150)))
    counts[:, 7] = 0
    counts[3] = 0
    return counts


def test_the_score_equals_its_definition():
    counts = drawn_counts()
    np.testing.assert_allclose(standardised_dispersion(sparse.csr_matrix(counts)), definition(counts), rtol=1e-9)


def test_the_n_largest_scores_are_kept():
    counts = drawn_counts()
    score = definition(counts)
    expected = np.sort(np.argsort(np.where(np.isnan(score), np.inf, -score))[:20])
    np.testing.assert_array_equal(highly_variable(sparse.csr_matrix(counts), n=20), expected)


def test_a_gene_without_counts_has_no_score_and_is_never_kept():
    counts = drawn_counts()
    assert np.isnan(standardised_dispersion(sparse.csr_matrix(counts))[7])
    assert 7 not in highly_variable(sparse.csr_matrix(counts), n=1000)


def test_empty_spots_change_nothing():
    counts = drawn_counts()
    with_more = np.vstack([counts, np.zeros((5, counts.shape[1]), dtype=int)])
    one, other = (standardised_dispersion(sparse.csr_matrix(c)) for c in (counts, with_more))
    np.testing.assert_allclose(one, other)


def test_a_slide_of_one_spot_has_no_variable_genes():
    assert highly_variable(sparse.csr_matrix(np.array([[1, 2, 3]])), n=2).size == 0
