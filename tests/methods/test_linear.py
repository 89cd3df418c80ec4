import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Reference

from stainscript import seeds
from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import patterns_of
from stainscript.methods.linear import Ridge, leave_one_slide_out_errors, relative_error, solve_patterns


def problem(seed, spots=20, width=4, genes=3):
    rng = seeds.generator(seed, "linear")
    values = rng.normal(loc=3, size=(spots, width))
    return values, values @ rng.normal(size=(width, genes)) + rng.normal(size=(spots, genes))


def test_two_spots_give_the_slope_worked_out_by_hand():
    """x = −1, 1 and y = 0, 4: centred xy = 4, x² = 2, so w = 4 / (2 + alpha) and the mean of y stays."""
    solved = Ridge(np.array([[-1.0], [1.0]]), np.array([[0.0], [4.0]])).solve(2.0)
    np.testing.assert_allclose(solved.weights, [[1.0]])
    np.testing.assert_allclose(solved(np.array([[0.0], [3.0]])), [[2.0], [5.0]])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), alpha=st.floats(0.01, 1e4), width=st.sampled_from([2, 30]))
def test_solution_equals_scikit_learn(seed, alpha, width):
    values, target = problem(seed, width=width)
    expected = Reference(alpha=alpha).fit(values, target).predict(values)
    np.testing.assert_allclose(Ridge(values, target).solve(alpha)(values), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.1, 10.0])
def test_leave_one_out_error_equals_refitting_without_each_spot(alpha):
    values, target = problem(1)
    errors = []
    for spot in range(len(values)):
        others = np.arange(len(values)) != spot
        fitted = Reference(alpha=alpha).fit(values[others], target[others])
        errors.append((fitted.predict(values[spot : spot + 1])[0] - target[spot]) ** 2)
    expected = np.mean(np.mean(errors, axis=0) / target.var(axis=0))
    assert Ridge(values, target).leave_one_out_error(alpha) == pytest.approx(expected)


def test_leave_one_out_with_groups_equals_refitting_with_an_intercept_for_each_group():
    values, target = problem(2)
    groups = np.repeat([0, 1], [8, 12])
    indicators = np.eye(2)[groups] * 1e6  # columns so long that the penalty does not touch their weights
    errors = []
    for spot in range(len(values)):
        others = np.arange(len(values)) != spot
        both = np.hstack([values, indicators])
        fitted = Reference(alpha=5.0, fit_intercept=False, solver="svd").fit(both[others], target[others])
        errors.append((fitted.predict(both[spot : spot + 1])[0] - target[spot]) ** 2)
    within = target - np.stack([target[groups == g].mean(axis=0) for g in groups])
    expected = np.mean(np.mean(errors, axis=0) / (within**2).mean(axis=0))
    assert Ridge(values, target, groups=groups).leave_one_out_error(5.0) == pytest.approx(expected, rel=1e-4)


def test_differences_between_groups_teach_nothing():
    """Within each group y = x; between groups y falls as x rises. With groups the slope is 1."""
    values = np.array([[0.0], [1.0], [10.0], [11.0]])
    target = np.array([[100.0], [101.0], [0.0], [1.0]])
    grouped = Ridge(values, target, groups=np.array([0, 0, 1, 1])).solve(1e-9)
    np.testing.assert_allclose(grouped.weights, [[1.0]], atol=1e-6)
    np.testing.assert_allclose(grouped(values.mean(axis=0, keepdims=True)), [[50.5]])
    assert Ridge(values, target).solve(1e-9).weights[0, 0] < 0


def test_leave_one_slide_out_prefers_a_large_penalty_for_noise_and_a_small_one_for_signal():
    values, target = problem(3, spots=60)
    slides = np.repeat([0, 1, 2], 20)
    noise = seeds.generator(0, "noise").normal(size=target.shape)
    signal_errors = leave_one_slide_out_errors(values, target, slides=slides, groups=None, alphas=[1e-3, 1e4])
    noise_errors = leave_one_slide_out_errors(values, noise, slides=slides, groups=slides, alphas=[1e-3, 1e4])
    assert signal_errors[0] < signal_errors[1]
    assert noise_errors[1] < noise_errors[0]


def test_constant_gene_has_no_relative_error():
    assert relative_error(np.array([1.0, 5.0]), np.array([2.0, 0.0])) == 0.5
    assert relative_error(np.array([1.0]), np.array([0.0])) == 0.0


def spots_of(target, slides, measured):
    count = len(target)
    zeros = np.zeros((count, 2))
    names = tuple("abcde"[: len(measured)])
    return SpotBatch(
        slides=names,
        patients=names,
        slide_index=slides,
        spot_id=np.arange(count).astype(str).astype(object),
        features={},
        xy_um=zeros,
        grid=zeros,
        extent_um=zeros,
        target=target,
        measured=measured,
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    alpha=st.floats(0.01, 1e4),
    width=st.sampled_from([2, 40]),
    centre_slides=st.booleans(),
    far=st.sampled_from([0.0, 1e4]),
)
def test_patterns_give_what_each_gene_gets_on_its_own_spots(seed, alpha, width, centre_slides, far):
    """More features than spots, features far from 0, slides without spots, values beyond the mask: all alike."""
    rng = seeds.generator(seed, "patterns")
    slides = rng.choice([0, 1, 3], size=24)
    measured = rng.random((4, 6)) < 0.6
    values, target = rng.normal(loc=far, size=(24, width)), rng.normal(loc=3, size=(24, 6))
    target[~measured[slides]] = np.nan
    spots = spots_of(target, slides, measured)
    patterns = patterns_of(spots)
    if not patterns:
        return
    found = solve_patterns(values, spots, patterns=patterns, centre_slides=centre_slides, alpha=alpha)
    for gene in range(6):
        own = measured[slides, gene]
        if not own.any():
            assert not found.weights[:, gene].any()
            assert found.intercept[gene] == 0
            continue
        groups = slides[own] if centre_slides else None
        expected = Ridge(values[own], target[own][:, [gene]], groups=groups).solve(alpha)
        np.testing.assert_allclose(found.weights[:, [gene]], expected.weights, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(found.intercept[[gene]], expected.intercept, rtol=1e-6, atol=1e-7 * max(1.0, far))


def test_two_slides_and_a_gene_of_one_of_them_by_hand():
    """On slide a x = −1, 1 and y = 0, 4: w = 4 / (2 + 2) = 1, b = 2. Slide b, at x = 100, says nothing of the gene."""
    values = np.array([[-1.0], [1.0], [100.0]])
    spots = spots_of(np.array([[0.0], [4.0], [-7.0]]), np.array([0, 0, 1]), np.array([[True], [False]]))
    solved = solve_patterns(values, spots, patterns=patterns_of(spots), centre_slides=False, alpha=2.0)
    np.testing.assert_allclose(solved.weights, [[1.0]])
    np.testing.assert_allclose(solved.intercept, [2.0])
