import numpy as np

from stainscript import seeds
from stainscript.evaluation.correlation import Moments, moments_of
from stainscript.evaluation.statistics import mean_interval, patient_draws, pooled_interval


def rng():
    return seeds.generator(0, "test")


def test_a_drawn_patient_brings_all_slides():
    draws = patient_draws(np.array(["A", "A", "B"]), resamples=200, rng=rng())
    assert draws.shape == (200, 3)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    np.testing.assert_array_equal(draws[:, 0] + draws[:, 2], 2)
    assert set(np.unique(draws)) == {0, 1, 2}


def test_two_patients_give_the_interval_of_their_three_outcomes():
    """Means 0, 0.5 or 1, with probability 1/4, 1/2, 1/4: the percentiles are the extremes."""
    draws = patient_draws(np.array(["A", "B"]), resamples=1000, rng=rng())
    assert mean_interval(np.array([0.0, 1.0]), np.ones(2), draws) == (0, 1)


def test_one_patient_has_no_interval():
    draws = patient_draws(np.array(["A", "A"]), resamples=50, rng=rng())
    assert np.isnan(mean_interval(np.array([0.1, 0.4]), np.ones(2), draws)).all()


def test_one_patient_with_a_value_has_no_interval():
    draws = patient_draws(np.array(["A", "B"]), resamples=50, rng=rng())
    assert np.isnan(mean_interval(np.array([0.1, np.nan]), np.ones(2), draws)).all()


def test_no_resamples_give_no_interval():
    draws = patient_draws(np.array(["A", "B"]), resamples=0, rng=rng())
    assert np.isnan(mean_interval(np.array([0.1, 0.2]), np.ones(2), draws)).all()


def test_equal_patients_give_an_interval_of_no_width():
    draws = patient_draws(np.array(list("ABC")), resamples=100, rng=rng())
    np.testing.assert_allclose(mean_interval(np.full(3, 0.3), np.ones(3), draws), (0.3, 0.3))


def test_weights_are_those_of_the_reported_mean():
    """A's two slides weigh one half each: both patients count alike, so a resample of A and B gives 0.5."""
    draws = np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 0.0]])
    low, high = mean_interval(np.array([0.0, 0.0, 1.0]), np.array([0.5, 0.5, 1.0]), draws)
    np.testing.assert_allclose([low, high], [0.0125, 0.4875])


def test_the_interval_repeats_and_narrows_with_patients():
    values = np.tile([0.2, 0.4], 10)
    patients = np.array([f"p{n:02d}" for n in range(20)])
    wide, narrow, again = (
        mean_interval(values[:n], np.ones(n), patient_draws(patients[:n], resamples=500, rng=rng()))
        for n in (4, 20, 20)
    )
    assert narrow == again
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
    assert narrow[0] < 0.3 < narrow[1]


def stacked(slides):
    parts = [moments_of(*slide) for slide in slides]
    return Moments(**{name: np.stack([getattr(p, name) for p in parts]) for name in vars(parts[0])})


def test_pooled_intervals_contain_the_pooled_value():
    source = np.random.default_rng(0)
    truth = [source.normal(size=(30, 5)) for _ in range(6)]
    slides = [(t + source.normal(size=t.shape), t) for t in truth]
    moments = stacked(slides)
    draws = patient_draws(np.array(list("ABCDEF")), resamples=300, rng=rng())
    low, high = pooled_interval(moments, draws)
    assert low < moments.pooled().pearson().mean() < high


def test_pooled_intervals_of_one_patient_are_undefined():
    source = np.random.default_rng(0)
    moments = stacked([(source.normal(size=(5, 2)), source.normal(size=(5, 2))) for _ in range(2)])
    assert np.isnan(pooled_interval(moments, patient_draws(np.array(["A", "A"]), resamples=10, rng=rng()))).all()
