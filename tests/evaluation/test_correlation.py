import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stainscript.evaluation.correlation import Moments, is_constant, merge, moments_of, pearson_per_gene

VALUES = arrays(np.float64, (9, 3), elements=st.integers(-50, 50).map(float))


def test_pearson_by_hand():
    """Deviations −1, 0, 1 against −2, 1, 1: cross 3, squares 2 and 6."""
    predicted = np.array([[1.0], [2.0], [3.0]])
    observed = np.array([[0.0], [3.0], [3.0]])
    assert pearson_per_gene(predicted, observed)[0] == pytest.approx(3 / np.sqrt(12))


def test_constant_gene_has_no_correlation():
    predicted = np.array([[1.0, 5.0, 1.0], [2.0, 5.0, 2.0]])
    observed = np.array([[1.0, 1.0, 7.0], [2.0, 2.0, 7.0]])
    assert np.isnan(pearson_per_gene(predicted, observed)).tolist() == [False, True, True]


@pytest.mark.parametrize("level", [1e-3, 1.2345678, 4096.7])
def test_float32_rounding_of_a_constant_is_not_signal(level):
    constant = np.full((50, 1), level, dtype=np.float32)
    noisy = np.nextafter(constant, np.float32(np.inf))
    noisy[::2] = constant[::2]
    observed = np.arange(50.0)[:, None]
    assert np.ptp(noisy) > 0
    assert np.isnan(pearson_per_gene(noisy, observed)[0])
    assert np.isnan(pearson_per_gene(constant, observed)[0])


def test_a_matrix_product_that_should_be_constant_is_constant():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(300, 20)).astype(np.float32)
    rows = np.tile(rng.normal(size=300).astype(np.float32), (64, 1))
    predicted = np.concatenate([rows[:7] @ weights, rows[7:] @ weights])
    assert is_constant(predicted).all()


def test_a_small_but_real_signal_is_kept():
    observed = np.arange(10.0)[:, None]
    assert pearson_per_gene(100 + 1e-3 * observed, observed)[0] == pytest.approx(1)


def test_one_spot_has_no_correlation():
    assert np.isnan(pearson_per_gene(np.ones((1, 2)), np.zeros((1, 2)))).all()


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        pearson_per_gene(np.ones((3, 2)), np.ones((3, 1)))


@settings(max_examples=60, deadline=None)
@given(
    predicted=VALUES,
    observed=VALUES,
    scale=st.sampled_from([-3.0, -1.0, 0.5, 20.0]),
    shift=st.sampled_from([-7.0, 0.0, 100.0]),
)
def test_an_affine_map_changes_the_sign_at_most(predicted, observed, scale, shift):
    before = pearson_per_gene(predicted, observed)
    after = pearson_per_gene(scale * predicted + shift, observed)
    np.testing.assert_allclose(after, np.sign(scale) * before, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(predicted=VALUES, observed=VALUES)
def test_it_is_numpys_correlation_and_symmetric(predicted, observed):
    found = pearson_per_gene(predicted, observed)
    for gene in range(3):
        if np.ptp(predicted[:, gene]) and np.ptp(observed[:, gene]):
            assert found[gene] == pytest.approx(np.corrcoef(predicted[:, gene], observed[:, gene])[0, 1], abs=1e-9)
    np.testing.assert_array_equal(found, pearson_per_gene(observed, predicted))


@settings(max_examples=60, deadline=None)
@given(predicted=VALUES, observed=VALUES, cut=st.integers(1, 8))
def test_merged_moments_equal_those_of_all_spots_together(predicted, observed, cut):
    whole = moments_of(predicted, observed)
    merged = merge([moments_of(predicted[:cut], observed[:cut]), moments_of(predicted[cut:], observed[cut:])])
    for name in ("n", "mean_predicted", "mean_observed", "m2_predicted", "m2_observed", "cross"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), atol=1e-8)
    assume(not is_constant(predicted).any() and not is_constant(observed).any())
    np.testing.assert_allclose(merged.pearson(), whole.pearson(), atol=1e-9)


def stacked(*slides):
    parts = [moments_of(*slide) for slide in slides]
    return Moments(**{name: np.stack([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def test_weights_repeat_slides():
    rng = np.random.default_rng(1)
    slides = [(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + n) for n in (5, 7, 6)]
    drawn = stacked(*slides).pooled(np.array([[2, 0, 1], [1, 1, 1]])).pearson()
    repeated = [np.concatenate([slides[k][side] for k in (0, 0, 2)]) for side in (0, 1)]
    np.testing.assert_allclose(drawn[0], pearson_per_gene(*repeated))
    np.testing.assert_allclose(drawn[1], stacked(*slides).pooled().pearson())


def test_a_slide_without_the_gene_changes_nothing():
    rng = np.random.default_rng(2)
    one = moments_of(rng.normal(size=(6, 1)), rng.normal(size=(6, 1)))
    nothing = Moments(**{name: np.zeros(1) for name in vars(one)})
    np.testing.assert_allclose(merge([one, nothing]).pearson(), one.pearson())


def test_pooling_sees_differences_between_slides_that_no_slide_shows():
    """Within each slide the prediction is constant; over both it follows the level of the truth."""
    slides = [(np.full((4, 1), level), np.arange(4.0)[:, None] + 10 * level) for level in (0.0, 1.0)]
    assert all(np.isnan(pearson_per_gene(*slide)[0]) for slide in slides)
    expected = np.corrcoef(*[np.concatenate([s[side] for s in slides]).ravel() for side in (0, 1)])[0, 1]
    assert stacked(*slides).pooled().pearson()[0] == pytest.approx(expected)


def test_one_constant_over_all_slides_stays_undefined_when_pooled():
    rng = np.random.default_rng(3)
    slides = [(np.full((4, 1), np.float32(1.1)), rng.normal(size=(4, 1))) for _ in range(3)]
    assert np.isnan(stacked(*slides).pooled().pearson()[0])
