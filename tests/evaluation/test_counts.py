"""GenAR's metrics: by hand, and equal to the released code on its parity cases."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, spearmanr

from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.evaluation.counts import (
    CAP,
    SIZES,
    count_diagnostics,
    library_correlations,
    pcc_by_bin,
    pcc_top,
    spearman_per_gene,
    standard_score,
    zero_score,
)
from stainscript.evaluation.negative_binomial import nb_nll_per_gene, nb_theta

NAN = float("nan")
EXACT = {"rtol": 0, "atol": 1e-9}


def number(value):
    return NAN if value is None else value


@pytest.fixture(scope="module")
def golden(shared_golden):
    folder = shared_golden / "genar" / "metrics"
    with np.load(folder / "arrays.npz") as arrays:
        return dict(arrays) | {"expected": json.loads((folder / "expected.json").read_text())}


@pytest.mark.parametrize(("block", "log2"), [("log2", True), ("nolog", False)])
def test_columns_of_the_tables_equal_the_released_code(golden, block, log2):
    """The released function takes targets that its caller has clipped."""
    found, expected = standard_score(golden["pred"], golden["true"], cap=None, log2=log2), golden["expected"][block]
    for size in SIZES:
        np.testing.assert_allclose(found.pcc_top[size], number(expected[f"pcc_{size}"]), **EXACT)
    for name in ("mse", "mae", "rvd"):
        np.testing.assert_allclose(getattr(found, name), number(expected[name]), **EXACT)
    assert (found.n_defined, found.n_undefined) == (expected["valid_pcc_genes"], expected["undefined_pcc_genes"])
    if log2:
        np.testing.assert_allclose(found.pcc, golden["gene_corr_log2"], **EXACT)


def test_a_constant_prediction_has_errors_and_no_correlation_as_in_the_released_code(golden):
    found = standard_score(np.zeros_like(golden["true"]), golden["true"], cap=None)
    expected = golden["expected"]["all_constant_pred"]
    assert [expected[f"pcc_{size}"] for size in SIZES] == [None] * 3
    assert np.isnan(list(found.pcc_top.values())).all()
    assert found.pcc_top_zero == dict.fromkeys(SIZES, 0.0)
    np.testing.assert_allclose([found.mse, found.mae, found.rvd], [expected[k] for k in ("mse", "mae", "rvd")], **EXACT)
    assert (found.n_defined, found.n_undefined) == (0, expected["undefined_pcc_genes"])


# what the case named "external" was given: theta from 0.5 to 4 and training means from 1 to 200, evenly over the genes
@pytest.mark.parametrize(("block", "external"), [("raw_default", False), ("raw_external", True)])
def test_diagnostics_equal_the_released_code(golden, block, external):
    genes, expected = golden["true"].shape[1], golden["expected"][block]
    given_ = {"theta": np.linspace(0.5, 4, genes), "gene_means": np.linspace(1, 200, genes)} if external else {}
    found = count_diagnostics(golden["pred"], golden["true"], **given_)
    per_gene = [number(value) for value in expected["spearman_per_gene"]]
    np.testing.assert_allclose(found.spearman_per_gene, per_gene, **EXACT)
    pairs = {
        "spearman": found.spearman,
        "valid_spearman_genes": found.n_spearman,
        "mse_count": found.mse,
        "mae_count": found.mae,
        "nb_nll": found.nb_nll,
        "zero_precision": found.zeros.precision,
        "zero_recall": found.zeros.recall,
        "zero_f1": found.zeros.f1,
        "zero_true_positive_count": found.zeros.n_both,
        "predicted_zero_count": found.zeros.n_predicted,
        "true_zero_count": found.zeros.n_observed,
        "library_size_spearman": found.library_spearman,
        "library_size_pearson": found.library_pearson,
    }
    for name, value in pairs.items():
        np.testing.assert_allclose(value, number(expected[name]), err_msg=name, **EXACT)
    assert set(pairs) | {"spearman_per_gene", "expression_bins"} == set(expected)
    for ours, theirs in zip(found.bins.values(), expected["expression_bins"].values(), strict=True):
        np.testing.assert_allclose(ours.pcc, number(theirs["pcc"]), **EXACT)
        assert (ours.n_defined, ours.n_genes) == (theirs["valid_pcc_gene_count"], theirs["gene_count"])


def test_theta_and_likelihood_equal_the_released_code(golden):
    true = golden["true"]
    theta = nb_theta(true.mean(axis=0), true.var(axis=0), largest=None)
    np.testing.assert_allclose(theta, golden["nb_theta"], rtol=1e-12)
    likelihood = nb_nll_per_gene(golden["pred"], true, theta=np.ones(len(theta))).mean()
    np.testing.assert_allclose(likelihood, golden["expected"]["nb_nll_theta1"], **EXACT)


def test_theta_of_training_slides_equals_that_of_the_released_data_set(shared_golden):
    with np.load(shared_golden / "genar" / "dataset" / "synthetic_prad.npz") as case:
        counts = case["train_raw"].astype(np.float64)
        np.testing.assert_allclose(counts.mean(axis=0), case["train_stats_gene_means"], rtol=1e-12)
        theta = nb_theta(counts.mean(axis=0), counts.var(axis=0))
        np.testing.assert_allclose(theta, case["train_stats_dispersion"], rtol=1e-9)


PREDICTED = np.array([[0.0, 1, 3, 2], [1, 0, 3, 2], [3, 1, 3, 5]])
OBSERVED = np.array([[0.0, 3, 0, 4], [1, 7, 1, 4], [3, 3, 0, 4]])  # r in log2: 1, −1, undefined twice


def test_standard_score_by_hand():
    """In log2(x + 1): gene 0 is 0, 1, 2 on both sides; gene 1 is 1, 0, 1 against 2, 3, 2."""
    found = standard_score(PREDICTED[:, :2], OBSERVED[:, :2], cap=None, sizes=(1, 2, 9))
    np.testing.assert_allclose(found.pcc, [1, -1])
    np.testing.assert_allclose([found.pcc_top[k] for k in (1, 2, 9)], [1, 0, 0], atol=1e-12)
    assert found.mse == pytest.approx((1 + 9 + 1) / 6)
    assert found.mae == pytest.approx((1 + 3 + 1) / 6)
    assert found.rvd == pytest.approx(0)  # variances 2/3 and 2/3; 2/9 and 2/9


def test_undefined_correlations_are_dropped_or_zero():
    found = standard_score(PREDICTED, OBSERVED, cap=None, sizes=(1, 2, 3, 4))
    assert (found.n_defined, found.n_undefined) == (2, 2)
    np.testing.assert_allclose(list(found.pcc_top.values()), [1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(list(found.pcc_top_zero.values()), [1, 1 / 2, 1 / 3, 0], atol=1e-12)


def test_variance_difference_leaves_a_constant_truth_out_and_is_undefined_without_another():
    both = standard_score(PREDICTED, OBSERVED, cap=None, log2=False)
    genes = [((PREDICTED[:, g].var() - OBSERVED[:, g].var()) / OBSERVED[:, g].var()) ** 2 for g in (0, 1, 2)]
    assert both.rvd == pytest.approx(np.mean(genes))
    assert np.isnan(standard_score(PREDICTED[:, 3:], OBSERVED[:, 3:], cap=None).rvd)


def test_only_the_measured_count_is_clipped():
    """Measured 5000 counts as 2000; predicted 5000 stays: the error is log2(5001 / 2001)."""
    high, low = np.array([[5000.0], [1.0]]), np.array([[2000.0], [1.0]])
    step = np.log2(5001 / 2001)
    assert standard_score(high, high, cap=CAP).mae == pytest.approx(step / 2)
    assert standard_score(low, high, cap=CAP).mae == 0
    assert standard_score(high, high, cap=None).mae == 0
    assert standard_score(high, high, cap=CAP, log2=False).mae == 1500


@pytest.mark.parametrize("which", [0, 1])
def test_negative_counts_are_refused(which):
    pair = [np.ones((3, 2)), np.ones((3, 2))]
    pair[which] = pair[which] * [[1.0, -0.5]]
    for call in (lambda: standard_score(*pair, cap=None), lambda: count_diagnostics(*pair)):
        with pytest.raises(ValueError, match=r"counts are numbers of at least 0, found -0\.5"):
            call()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), largest=st.sampled_from([1, 3, 1000]))
def test_rank_correlation_is_scipys_gene_by_gene(seed, largest):
    rng = np.random.default_rng(seed)
    predicted, observed = rng.integers(0, largest + 1, size=(2, 12, 5)).astype(float)
    varies = (np.ptp(predicted, axis=0) > 0) & (np.ptp(observed, axis=0) > 0)
    expected = [
        spearmanr(predicted[:, g], observed[:, g]).statistic if varies[g] else NAN for g in range(predicted.shape[1])
    ]
    np.testing.assert_allclose(spearman_per_gene(predicted, observed), expected, atol=1e-12)


def test_rank_correlation_sees_order_alone():
    values = np.random.default_rng(0).normal(size=(30, 4))
    np.testing.assert_allclose(spearman_per_gene(np.exp(3 * values), values), 1)
    assert (pearson_per_gene(np.exp(3 * values), values) < 0.9).all()


@pytest.mark.parametrize("turned", [False, True])
def test_a_column_constant_up_to_float32_rounding_has_no_rank_correlation(turned):
    pair = [np.float32([[3.0], [np.nextafter(np.float32(3), np.float32(4))], [3.0]]), np.array([[1.0], [2.0], [0.0]])]
    assert np.isnan(spearman_per_gene(*pair[:: -1 if turned else 1])).all()


def test_likelihood_is_scipys_negative_binomial():
    rng = np.random.default_rng(0)
    mean, counts, theta = rng.gamma(2, 3, size=(20, 3)), rng.poisson(5, size=(20, 3)), np.array([0.3, 2.0, 40.0])
    expected = -nbinom.logpmf(counts, theta, theta / (theta + mean)).mean(axis=0)
    np.testing.assert_allclose(nb_nll_per_gene(mean, counts, theta=theta), expected, rtol=1e-10)


def test_a_predicted_zero_is_unlikely_but_possible():
    """θ = 1: p(0) at mean 1e-8 is 1 − 1e-8; p(1) is 1e-8 of it."""
    found = nb_nll_per_gene(np.zeros((1, 2)), np.array([[0.0, 1.0]]), theta=np.ones(2))
    np.testing.assert_allclose(found, [1e-8, 8 * np.log(10)], rtol=1e-6)


@pytest.mark.parametrize("theta", [np.ones(3), np.array([1.0, 0.0]), np.array([1.0, NAN]), np.array(1.0)])
def test_likelihood_refuses_a_theta_that_is_none(theta):
    with pytest.raises(ValueError, match="theta must be 2 finite positive numbers"):
        nb_nll_per_gene(np.ones((4, 2)), np.ones((4, 2)), theta=theta)


def test_theta_by_hand_and_its_bounds():
    """4 / (6 − 2) = 1; under-dispersed: 4 / 1e-6, cut at 1e6; absent: 0, raised to 1e-3."""
    mean, variance = np.array([2.0, 2.0, 0.0]), np.array([6.0, 1.0, 0.0])
    np.testing.assert_allclose(nb_theta(mean, variance), [1, 1e6, 1e-3])
    np.testing.assert_allclose(nb_theta(mean, variance, largest=None), [1, 4e6, 1e-3])


def test_zeros_by_hand():
    """Measured zeros at (0,0), (0,1), (1,0); predicted at (0,0) and (1,1): one of two right, one of three found."""
    found = zero_score(np.array([[0, 2], [3, 0]]), np.array([[0, 0], [0, 4]]))
    assert (found.n_both, found.n_predicted, found.n_observed) == (1, 2, 3)
    assert (found.precision, found.recall) == (1 / 2, 1 / 3)
    assert found.f1 == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))


def test_without_zeros_every_share_is_zero():
    found = zero_score(np.ones((2, 2)), np.ones((2, 2)))
    assert (found.precision, found.recall, found.f1) == (0, 0, 0)


def test_library_sizes_by_hand():
    """Sums 3, 1, 2 against 30, 10, 50: ranks 3, 1, 2 against 2, 1, 3."""
    predicted = np.array([[1, 2], [1, 0], [0, 2]])
    observed = np.array([[10, 20], [10, 0], [25, 25]])
    pearson, spearman = library_correlations(predicted, observed)
    assert spearman == pytest.approx(0.5)
    assert pearson == pytest.approx(np.corrcoef([3, 1, 2], [30, 10, 50])[0, 1])
    assert np.isnan(library_correlations(np.ones((3, 2)), observed)).all()


def test_bins_hold_their_bounds_in_the_middle():
    pcc = np.array([0.1, 0.2, NAN, 0.4, 0.5])
    found = pcc_by_bin(pcc, np.array([9.99, 10.0, 50.0, 100.0, 100.01]))
    assert [(b.n_genes, b.n_defined) for b in found.values()] == [(1, 1), (3, 2), (1, 1)]
    np.testing.assert_allclose([b.pcc for b in found.values()], [0.1, 0.3, 0.5])
    assert list(found) == ["below_10", "10_to_100", "above_100"]


@pytest.mark.parametrize("means", [np.ones(4), np.array([1.0, NAN]), np.array([1.0, -1.0])])
def test_bins_refuse_means_of_other_genes(means):
    with pytest.raises(ValueError, match="gene_means must be 2 finite numbers"):
        pcc_by_bin(np.zeros(2), means)


@settings(max_examples=50, deadline=None)
@given(pcc=st.lists(st.floats(-1, 1) | st.just(NAN), min_size=1, max_size=12), size=st.integers(1, 15))
def test_the_mean_of_the_best_falls_with_their_number(pcc, size):
    pcc = np.array(pcc)
    for undefined in ("drop", "zero"):
        more, fewer = (pcc_top(pcc, size=k, undefined=undefined) for k in (size + 1, size))
        assert more <= fewer + 1e-12 or np.isnan(fewer)
    assert pcc_top(pcc, size=99, undefined="zero") == pytest.approx(np.nan_to_num(pcc).mean(), abs=1e-12)


def test_diagnostics_read_theta_and_bins_from_the_training_slides():
    rng = np.random.default_rng(0)
    observed = rng.poisson(20, size=(30, 4)).astype(float)
    predicted = observed + rng.integers(0, 3, size=observed.shape)
    own = count_diagnostics(predicted, observed)
    trained = count_diagnostics(predicted, observed, theta=np.full(4, 2.0), gene_means=np.array([5.0, 5, 500, 50]))
    assert trained.nb_nll != own.nb_nll
    assert [b.n_genes for b in own.bins.values()] == [0, 4, 0]
    assert [b.n_genes for b in trained.bins.values()] == [2, 1, 1]
    assert trained.spearman == own.spearman
