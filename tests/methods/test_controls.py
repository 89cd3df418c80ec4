"""Values of the controls, worked out by hand or known by construction."""

import dataclasses

import numpy as np
import pytest

from stainscript import methods, seeds
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData
from stainscript.methods.coordinates.method import relative_position
from stainscript.methods.nearest.method import nearest_rows


def test_mean_is_the_same_for_all_spots_and_equals_the_training_mean(toy):
    predicted = toy.predict("mean")
    expected = toy.data.everything.target.mean(axis=0)
    assert (predicted == predicted[0]).all()
    np.testing.assert_allclose(predicted[0], expected, rtol=1e-6)


def test_mean_uses_training_and_validation_spots(toy):
    assert len(toy.data.everything) == len(toy.data.train) + len(toy.data.val) == 90
    assert not np.allclose(toy.predict("mean")[0], toy.data.train.target.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("name", ["oracle", "ceiling"])
def test_controls_with_answers_return_them_exactly(name, toy):
    assert toy.predict(name).tobytes() == toy.test.answers.tobytes()


@pytest.mark.parametrize("name", ["oracle", "ceiling"])
def test_controls_without_answers_raise(name, toy):
    cfg, seen, state = toy.fit(name)
    bare = dataclasses.replace(seen.test, answers=None)
    with pytest.raises(ValueError, match="needs answers"):
        methods.load(name).predict(cfg, seen.spec, state, bare, seeds.generator(0))


def test_shuffled_profiles_are_training_profiles(toy):
    known = {row.tobytes() for row in toy.data.everything.target}
    predicted = toy.predict("shuffled")
    assert all(row.tobytes() in known for row in predicted)
    assert len({row.tobytes() for row in predicted}) > 10


def test_nearest_finds_each_training_spot_itself(toy):
    cfg, seen, state = toy.fit("nearest")
    spots = seen.data.everything
    predicted = methods.load("nearest").predict(cfg, seen.spec, state, spots, seeds.generator(0))
    np.testing.assert_array_equal(predicted, spots.target)


def test_nearest_rows_by_hand():
    reference = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 4.0]])
    found = nearest_rows(np.array([[9.0, 1.0], [0.0, 3.0]]), reference, count=1)
    np.testing.assert_array_equal(found, [[1], [2]])
    np.testing.assert_array_equal(nearest_rows(np.array([[0.0, 3.0]]), reference, count=2), [[0, 2]])


def test_more_neighbours_than_spots_is_refused(toy):
    with pytest.raises(DataContractError, match="at most the 90 training spots"):
        toy.fit("nearest", neighbours=91)


def test_relative_position_runs_from_zero_to_one_over_each_slides_spots(toy):
    both = toy.data.everything
    position = relative_position(both, origin="spots")
    for spots in both.spots_of_slides:
        np.testing.assert_allclose(position[spots].min(axis=0), 0)
        np.testing.assert_allclose(position[spots].max(axis=0), 1)
    # the third spot of the first grid row: x = 2 of 5 steps, y = 0
    third = np.flatnonzero(both.spot_id == "a:0x2")[0]
    np.testing.assert_allclose(position[third], [0.4, 0.0], atol=1e-6)


def test_position_on_the_slide_is_micrometres_over_extent(toy):
    np.testing.assert_allclose(relative_position(toy.test, origin="slide")[0], [300 / 2000, 500 / 2500])


def test_coordinates_recover_a_quadratic_pattern_shared_by_all_slides(toy):
    def painted(batch):
        x, y = relative_position(batch, origin="spots").T
        pattern = np.stack([x**2 - y, x * y], axis=1)
        return dataclasses.replace(batch, target=np.tile(pattern, 6).astype(np.float32))

    cfg = methods.configure("coordinates", {"alpha": 1e-6})
    method = methods.load("coordinates")
    state = method.fit(cfg, toy.spec, FitData(train=painted(toy.data.everything)), None)
    test = painted(toy.test)
    np.testing.assert_allclose(method.predict(cfg, toy.spec, state, test, seeds.generator(0)), test.target, atol=1e-4)


def test_slides_cannot_choose_the_penalty_of_a_single_slide(toy):
    one = toy.data.train.take(toy.data.train.spots_of_slides[0])
    cfg = methods.configure("ridge", {"select": "slides"})
    run = type("Run", (), {"name": "toy"})
    with pytest.raises(DataContractError, match="at least two training slides"):
        methods.load("ridge").fit(cfg, toy.spec, FitData(train=one), run)
