"""What every method promises, for every entry of ``methods.names()``: a new method is tested by existing."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
import typing

import numpy as np
import pytest
import torch

from stainscript import methods, seeds
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData, Method, load_state, save_state
from stainscript.methods.gradient import GradientMethod

NAMES = methods.names()
GRADIENT = [name for name in NAMES if isinstance(methods.load(name), GradientMethod)]
RANDOM = {"shuffled"}  # predictions depend on the order of spots through the random stream

# For every option of every method: the other options to set, and values, any two of which must predict differently.
# A choice among words lists all of them.
KNOBS: dict[str, dict[str, tuple[dict, tuple]]] = {
    "mean": {},
    "shuffled": {},
    "oracle": {},
    "ceiling": {},
    "nearest": {
        "view": ({}, ("patch", "region")),
        "neighbours": ({}, (1, 2, 3)),
        "standardise": ({}, ("train", "slide")),
        "metric": ({}, ("euclidean", "cosine")),
    },
    "coordinates": {
        "origin": ({}, ("spots", "slide")),
        "basis": ({}, ("polynomial", "rbf")),
        "degree": ({}, (2, 3)),
        "bumps": ({"basis": "rbf"}, (3, 4)),
        "alpha": ({}, (1.0, 100.0)),
    },
    "ridge": {
        "view": ({}, ("patch", "region")),
        "standardise": ({}, ("train", "slide")),
        "centre": ({}, ("slide", "train")),
        # a fine grid, on which the two estimates of the error have their minima at different places
        "select": ({"alpha": 50.0, "alphas": tuple(np.linspace(0.01, 3, 300).tolist())}, ("loo", "slides", "fixed")),
        "alpha": ({"select": "fixed"}, (1.0, 100.0)),
        "alphas": ({}, ((1.0,), (100.0,))),
    },
    "hest_probe": {
        "view": ({}, ("patch", "region")),
        "dimreduce": ({}, ("pca", "none")),
        "components": ({}, (2, 3, 4)),
        "alpha": ({"honour_alpha": True}, (1.0, 100.0)),
        "honour_alpha": ({"alpha": 100.0}, (False, True)),
    },
    "mlp": {
        "view": ({}, ("patch", "region")),
        "standardise": ({}, ("train", "slide")),
        "hidden": ({}, (8, 16)),
        "depth": ({}, (1, 2)),
        "dropout": ({}, (0.0, 0.5)),
        "lr": ({}, (1e-3, 1e-2)),
        "weight_decay": ({}, (0.0, 1.0)),
        "batch_size": ({}, (16, 32)),
        "epochs": ({"weights": "last"}, (3, 6)),
        # so high a rate that validation gets worse at once: patience 1 stops long before the last epoch
        "patience": ({"lr": 3.0, "epochs": 12, "weights": "last"}, (1, 11)),
        "schedule": ({"lr": 0.3, "epochs": 12, "patience": 8, "weights": "last"}, ("constant", "cosine", "plateau")),
        "clip_norm": ({}, (None, 0.01)),
        "weights": ({"lr": 3.0, "epochs": 12}, ("best", "last")),
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_method_keeps_the_interface(name):
    method = methods.load(name)
    assert isinstance(method, Method)
    assert method.name == name
    assert method.Config is methods.config_of(name)
    assert (methods._FOLDER / name / "README.md").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_finite_float32_for_every_spot_and_gene(name, toy):
    predicted = toy.predict(name)
    assert predicted.shape == (len(toy.test), len(toy.spec.panel))
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_same_bytes(name, toy):
    assert toy.predict(name, seed=3).tobytes() == toy.predict(name, seed=3).tobytes()


@pytest.mark.parametrize("name", sorted(RANDOM | set(GRADIENT)))
def test_another_seed_gives_other_numbers(name, toy):
    assert not np.array_equal(toy.predict(name, seed=3), toy.predict(name, seed=4))


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_the_checkpoint(name, toy, tmp_path):
    cfg, seen, state = toy.fit(name)
    method = methods.load(name)
    before = method.predict(cfg, seen.spec, state, seen.test, seeds.generator(0, "predict"))
    save_state(tmp_path / "checkpoint.safetensors", method=name, cfg=cfg, spec=seen.spec, state=state)
    found, options, spec, loaded = load_state(tmp_path / "checkpoint.safetensors")
    assert (found, spec) == (name, seen.spec)
    again = methods.configure(found, options)
    assert again == cfg
    after = method.predict(again, spec, loaded, seen.test, seeds.generator(0, "predict"))
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_unknown_option_is_refused_and_the_alternatives_are_named(name):
    with pytest.raises(DataContractError, match="learning_rat") as caught:
        methods.configure(name, {"learning_rat": 1})
    assert all(field.name in str(caught.value) for field in dataclasses.fields(methods.config_of(name)))


@pytest.mark.parametrize("name", [name for name in NAMES if KNOBS.get(name)])
def test_option_of_the_wrong_kind_is_refused(name):
    option = next(iter(KNOBS[name]))
    with pytest.raises(DataContractError, match=f"options.{option}"):
        methods.configure(name, {option: {"neither": "this"}})


def test_configs_import_neither_torch_nor_pandas():
    lines = [f"import stainscript.methods.{name}.config" for name in NAMES]
    closed = [f"import stainscript.methods.{name}.method" for name in NAMES if name not in GRADIENT]
    check = "import sys; print([m for m in ('torch', 'sklearn', 'pandas') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, *closed, check])], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_every_option_stands_in_the_table_of_knobs(name):
    assert set(KNOBS[name]) == {field.name for field in dataclasses.fields(methods.config_of(name))}


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in NAMES for option in KNOBS.get(name, {})])
def test_option_changes_the_predictions(name, option, toy):
    base, values = KNOBS[name][option]
    predictions = [toy.predict(name, **base, **{option: value}) for value in values]
    for one, other in itertools.combinations(predictions, 2):
        assert not np.allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_knobs_list_every_word_that_an_option_may_be(name):
    for option, hint in typing.get_type_hints(methods.config_of(name)).items():
        if typing.get_origin(hint) is typing.Literal:
            assert set(KNOBS[name][option][1]) == set(typing.get_args(hint))


@pytest.mark.parametrize("name", GRADIENT)
def test_every_parameter_receives_a_gradient(name, toy):
    cfg = methods.configure(name, {})
    seen = toy.seen_by(cfg)
    method = methods.load(name)
    network = method.build(cfg, seen.spec, seen.data.train)
    method.loss(cfg, network, method.prepare(cfg, seen.data.train).to("cpu")).total.backward()
    without = [key for key, value in network.named_parameters() if value.grad is None or not torch.any(value.grad)]
    assert without == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RANDOM])
def test_permuted_spots_give_permuted_predictions(name, toy):
    cfg, seen, state = toy.fit(name)
    method = methods.load(name)
    order = seeds.generator(0, "permutation").permutation(len(seen.test))
    plain = method.predict(cfg, seen.spec, state, seen.test, seeds.generator(0))
    permuted = method.predict(cfg, seen.spec, state, seen.test.take(order), seeds.generator(0))
    np.testing.assert_allclose(permuted, plain[order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_needs_are_well_formed(name):
    needs = methods.configure(name, {}).needs
    assert needs.answers is None or name in ("oracle", "ceiling")
    assert not needs.gpu or name in GRADIENT


@pytest.mark.parametrize("name", ["ridge", "mlp"])
def test_learner_beats_the_mean_where_features_carry_the_signal(name, toy):
    """A linear signal with noise of 1: the error must fall well under that of the mean."""
    options = {"epochs": 60, "hidden": 64, "dropout": 0.0, "lr": 1e-2} if name == "mlp" else {}
    error = np.mean((toy.predict(name, **options) - toy.test.target) ** 2)
    floor = np.mean((toy.predict("mean") - toy.test.target) ** 2)
    assert error < 0.5 * floor


# slides a, b, c × 12 genes: six patterns of slides, a single gene of one slide among them
MEASURED = np.ones((3, 12), dtype=bool)
MEASURED[0, [0, 1, 2]] = MEASURED[1, [2, 3, 4, 5]] = MEASURED[2, [5, 6]] = False


def masked(toy, measured, *, unmeasured=None):
    """The toy problem where slides measure what ``measured`` says; ``unmeasured``: the targets that it hides."""

    def of(batch):
        changed = dataclasses.replace(batch, measured=measured)
        if unmeasured is not None:
            changed = dataclasses.replace(changed, target=np.where(changed.target_mask, batch.target, unmeasured))
        return changed

    return dataclasses.replace(toy, data=FitData(train=of(toy.data.train), val=of(toy.data.val)))


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_that_hides_nothing_changes_nothing(name, toy):
    everything = masked(toy, np.ones_like(MEASURED))
    np.testing.assert_array_equal(everything.predict(name), toy.predict(name))
    assert set(everything.fit(name)[2].tensors) == set(toy.fit(name)[2].tensors)


@pytest.mark.parametrize("garbage", [np.float32(1e6), np.float32(np.nan)])
@pytest.mark.parametrize("name", NAMES)
def test_targets_of_genes_that_a_slide_does_not_measure_teach_nothing(name, garbage, toy):
    expected = masked(toy, MEASURED, unmeasured=np.float32(0)).predict(name)
    assert np.isfinite(expected).all()
    found = masked(toy, MEASURED, unmeasured=garbage)
    np.testing.assert_array_equal(found.predict(name), expected)
    state = found.fit(name)[2]
    assert all(np.isfinite(values).all() for values in state.tensors.values() if values.dtype.kind == "f")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("oracle", "ceiling")])
def test_a_mask_is_not_overlooked(name, toy):
    """Without the mask the same zeros are targets like any other, and predictions differ."""
    hidden = masked(toy, MEASURED, unmeasured=np.float32(0))
    assert not np.allclose(hidden.predict(name), masked(hidden, None).predict(name), rtol=1e-3, atol=1e-3)
