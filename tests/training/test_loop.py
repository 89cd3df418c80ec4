import dataclasses
import logging

import numpy as np
import pytest
import torch

from stainscript.batches.samplers import ShuffledSpots, WholeSlides
from stainscript.errors import DataContractError, StainscriptError
from stainscript.losses.regression import mse
from stainscript.losses.terms import LossTerms
from stainscript.training.loop import train


class Killed(Exception):
    pass


@pytest.fixture
def fit(line, phase, run, train_spots, val_spots):
    """``train`` on the toy problem; keyword arguments change one thing."""

    def fit(*phases, data=train_spots, val=val_spots, build=line, **changes):
        return train(build=build, phases=phases or [phase()], data=data, val=val, run=run(**changes))

    return fit


def equal(one, other):
    same = one.keys() == other.keys()
    return same and all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_loss_falls_and_history_has_one_row_an_epoch(fit):
    trained = fit()
    assert [row["epoch"] for row in trained.history] == list(range(1, 11))
    assert list(trained.history[0]) == ["phase", "epoch", "train_loss", "train_mse", "val_loss", "val_mse", "lr"]
    assert trained.history[-1]["val_loss"] < 0.6 * trained.history[0]["val_loss"]
    assert trained.history[0]["lr"] == 0.05
    assert trained.facts["parameters"] == 4 * 2 + 2
    assert trained.facts["device"] == "cpu"
    assert trained.facts["resumed_from_epoch"] is None


def test_best_weights_are_those_of_the_smallest_validation_loss(fit, phase, line, val_spots):
    wild = phase(optimiser=lambda network: torch.optim.SGD(network.parameters(), lr=0.9))
    trained = fit(wild)
    losses = [row["val_loss"] for row in trained.history]
    assert trained.facts["best_epoch"] == int(np.argmin(losses)) + 1 != len(losses)
    for weights, expected in ((trained.best, min(losses)), (trained.last, losses[-1])):
        network = line()
        network.load_state_dict({name: torch.as_tensor(value) for name, value in weights.items()})
        batch = val_spots.to("cpu")
        found = mse(network.eval()(batch.features["patch"]), batch.target).total.item()
        assert found == pytest.approx(expected, rel=1e-5)


def test_patience_counts_epochs_since_the_best(fit, phase):
    """Loss values by epoch in evaluation mode: 3, 2, 4, 4, 4: with patience 2 the fourth epoch is the last."""
    planned = iter([3.0, 2.0, 4.0, 4.0, 4.0])

    def loss(network, batch):
        terms = mse(network(batch.features["patch"]), batch.target)
        return terms if network.training else LossTerms(total=torch.tensor(next(planned)))

    trained = fit(phase(loss=loss, patience=2, sampler=WholeSlides()))
    assert [row["val_loss"] for row in trained.history] == [3.0, 2.0, 4.0, 4.0]
    assert trained.facts["best_epoch"] == 2
    assert trained.facts["best_val_loss"] == 2.0


def test_without_validation_the_last_weights_are_the_best(fit, phase):
    trained = fit(phase(keep="last"), val=None)
    assert equal(trained.best, trained.last)
    assert "val_loss" not in trained.history[0]


@pytest.mark.parametrize("changes", [{"keep": "best"}, {"keep": "last", "patience": 3}])
def test_a_phase_that_watches_validation_refuses_to_run_without(fit, phase, changes):
    with pytest.raises(DataContractError, match=r"split\.validation.*for the phase 'fit'"):
        fit(phase(**changes), val=None)


def test_plateau_lowers_the_rate_when_validation_stalls(fit, phase):
    def schedule(optimiser):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=0)

    trained = fit(phase(schedule=schedule, loss=lambda n, b: mse(0 * n(b.features["patch"]), b.target)))
    assert [round(row["lr"], 6) for row in trained.history[:3]] == [0.05, 0.05, 0.005]


def test_second_phase_starts_from_the_kept_weights_of_the_first(fit, phase):
    def frozen(network):
        return torch.optim.SGD(network.parameters(), lr=0.0)

    wild = phase(name="wild", optimiser=lambda n: torch.optim.SGD(n.parameters(), lr=0.9))
    first = fit(wild)
    still = phase(name="still", optimiser=frozen, epochs=1, keep="last")
    assert equal(fit(wild, still).last, first.best)
    assert equal(fit(dataclasses.replace(wild, keep="last"), still).last, first.last)
    assert [row["phase"] for row in fit(wild, still).history] == [0] * 10 + [1]


def test_clipping_bounds_a_step(fit, phase, line):
    def step_of(limit):
        one = phase(
            optimiser=lambda n: torch.optim.SGD(n.parameters(), lr=1.0),
            sampler=WholeSlides(),
            epochs=1,
            keep="last",
            clip_norm=limit,
        )
        start = fit(dataclasses.replace(one, optimiser=lambda n: torch.optim.SGD(n.parameters(), lr=0.0)))
        end = fit(one)
        return np.sqrt(sum(np.sum((end.last[name] - start.last[name]) ** 2) for name in end.last))

    assert step_of(0.01) == pytest.approx(0.01, rel=1e-3)
    assert step_of(None) > 1


def test_a_loss_that_is_not_finite_ends_the_fit_and_names_the_epoch(fit, phase):
    explode = phase(optimiser=lambda n: torch.optim.SGD(n.parameters(), lr=1e30))
    with pytest.raises(StainscriptError, match=r"toy: train_loss is (nan|inf) after epoch \d+ of phase 'fit'"):
        fit(explode)


def test_global_random_state_threads_and_determinism_are_left_alone(fit):
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fit()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


def test_result_does_not_depend_on_the_state_of_the_callers_generator(fit):
    first = fit()
    torch.rand(5)
    assert equal(first.last, fit().last)
    assert not equal(first.last, fit(seed=1).last)


@pytest.mark.parametrize("stop_after", [1, 4, 7, 10, 13])
def test_a_fit_interrupted_in_any_epoch_of_any_phase_ends_with_the_same_bytes(
    fit, phase, tmp_path, caplog, stop_after, val_spots
):
    """The loss raises in its first validation batch after so many epochs; the next attempt must not notice."""

    def phases(limit):
        seen = [0]

        def loss(network, batch):
            if not network.training:
                seen[0] += 1
                if seen[0] > limit:
                    raise Killed
            return mse(network(batch.features["patch"]), batch.target)

        whole = {"loss": loss, "patience": 5}
        plateau = phase(
            name="second",
            epochs=5,
            schedule=lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0),
            **whole,
        )
        return [phase(**whole), plateau]

    one_batch = val_spots.take(np.arange(8))
    expected = fit(*phases(10**9), val=one_batch)
    path = tmp_path / "resume"
    with pytest.raises(Killed):
        fit(*phases(stop_after), val=one_batch, resume_path=path)
    with caplog.at_level(logging.INFO):
        found = fit(*phases(10**9), val=one_batch, resume_path=path)
    assert f"resumed toy at epoch {stop_after}" in caplog.text
    assert found.facts["resumed_from_epoch"] == stop_after
    assert equal(found.best, expected.best)
    assert equal(found.last, expected.last)
    assert found.history == expected.history


def test_a_finished_fit_is_taken_from_its_resume_file_without_training(fit, phase, tmp_path):
    first = fit(resume_path=tmp_path / "resume")

    def forbidden(network, batch):
        raise AssertionError("trained again")

    again = fit(phase(loss=forbidden), resume_path=tmp_path / "resume")
    assert equal(first.last, again.last)
    assert equal(first.best, again.best)
    assert first.history == again.history


def test_resume_points_are_written_no_more_often_than_asked(fit, tmp_path):
    fit(resume_path=tmp_path / "resume", save_every_s=3600.0)
    assert not (tmp_path / "resume").exists()


def test_resume_file_holds_no_pickled_objects(fit, tmp_path):
    fit(resume_path=tmp_path / "resume")
    state = torch.load(tmp_path / "resume", weights_only=True)
    assert set(state) == {
        "weights", "best", "optimiser", "schedule", "precision", "phase", "epoch", "history", "random"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["resume"]


def test_bfloat16_learns_and_keeps_float32_weights(fit):
    trained = fit(precision="bf16-mixed")
    assert {value.dtype for value in trained.last.values()} == {np.dtype(np.float32)}
    assert trained.history[-1]["val_loss"] < 0.6 * trained.history[0]["val_loss"]
    assert trained.history[-1]["val_loss"] != fit().history[-1]["val_loss"]


def test_two_processes_learn_what_one_does(fit, phase, line, train_spots):
    """Without dropout, two halves of a batch average to the whole batch's gradient."""
    plain = phase(sampler=WholeSlides(slides=2), epochs=4)
    halves = dataclasses.replace(train_spots, slides=("a", "b"), patients=("p", "p"), slide_index=np.arange(40) % 2)
    build = lambda: line(dropout=0.0)  # noqa: E731
    one = fit(plain, data=halves, build=build)
    two = fit(dataclasses.replace(plain, sampler=WholeSlides(slides=1)), data=halves, build=build, devices=2)
    assert two.facts["processes"] == 2
    for name in one.last:
        np.testing.assert_allclose(two.last[name], one.last[name], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(two.history, one.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_two_processes_resume_too(fit, phase, tmp_path):
    """The resume point holds the random state of each process: dropout goes on where it was."""
    short, whole = phase(epochs=3), phase(epochs=6)
    expected = fit(whole, devices=2)
    fit(short, devices=2, resume_path=tmp_path / "resume")
    found = fit(whole, devices=2, resume_path=tmp_path / "resume")
    assert found.facts["resumed_from_epoch"] == 3
    assert equal(found.last, expected.last)


def half_blind(spots):
    """Spots of two slides in turn; the second measures one of the two genes, and its other targets are no numbers."""
    measured = np.array([[True, True], [True, False]])
    index = np.arange(len(spots)) % 2
    target = np.where(measured[index], spots.target, np.float32(np.nan))
    return dataclasses.replace(
        spots, slides=("a", "b"), patients=("p", "p"), slide_index=index, target=target, measured=measured
    )


def masked_loss(network, batch):
    return mse(network(batch.features["patch"]), batch.target, mask=batch.target_mask)


@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_validation_loss_is_the_mean_over_measured_entries_however_they_are_batched(
    fit, phase, line, train_spots, val_spots, batch_size
):
    """20 spots, half of them with one gene of two: 30 entries. Batches of 3 hold 4 or 5, the last one 3."""
    val = half_blind(val_spots)
    trained = fit(
        phase(loss=masked_loss, sampler=ShuffledSpots(batch_size=batch_size), epochs=1, keep="last"),
        data=half_blind(train_spots),
        val=val,
    )
    network = line()
    network.load_state_dict({name: torch.as_tensor(value) for name, value in trained.last.items()})
    predicted = network.eval()(torch.as_tensor(val.features["patch"])).detach().numpy()
    expected = np.mean((predicted - val.target)[val.target_mask].astype(np.float64) ** 2)
    assert val.target_mask.sum() == 30
    assert trained.history[0]["val_loss"] == pytest.approx(expected, rel=1e-5)


def test_two_processes_weigh_measured_entries_alike(fit, phase, line, train_spots):
    """One process has the slide with 40 entries, the other the one with 20: each entry must count the same."""
    data = half_blind(train_spots)
    plain = phase(loss=masked_loss, sampler=WholeSlides(slides=2), epochs=4)
    build = lambda: line(dropout=0.0)  # noqa: E731
    one = fit(plain, data=data, build=build)
    two = fit(dataclasses.replace(plain, sampler=WholeSlides(slides=1)), data=data, build=build, devices=2)
    assert two.facts["processes"] == 2
    for name in one.last:
        np.testing.assert_allclose(two.last[name], one.last[name], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(two.history, one.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_an_interrupted_fit_of_masked_targets_ends_with_the_same_bytes(fit, phase, tmp_path, train_spots, val_spots):
    data, val = half_blind(train_spots), half_blind(val_spots)
    expected = fit(phase(loss=masked_loss), data=data, val=val)
    fit(phase(loss=masked_loss, epochs=4), data=data, val=val, resume_path=tmp_path / "resume")
    found = fit(phase(loss=masked_loss), data=data, val=val, resume_path=tmp_path / "resume")
    assert found.facts["resumed_from_epoch"] == 4
    assert equal(found.last, expected.last)
    assert found.history == expected.history
