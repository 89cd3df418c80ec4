"""The probe against the parity cases of the released code, its leaks, its limits, and its two variants."""

import dataclasses
import json

import numpy as np
import pytest

from stainscript import methods, seeds
from stainscript.errors import DataContractError
from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.methods.base import FitData, load_state, save_state
from stainscript.methods.hest_probe.method import fit_reduction, published_alpha, reduce
from stainscript.training.run import RunContext

VARIANTS = ("PCA", "None")


class Golden:
    """One parity case as the batches of a fit: the method sees spots, targets and a panel of the same size."""

    def __init__(self, folder, toy, variant):
        self.data = np.load(folder / "probe_small_data.npz")
        self.expected = np.load(folder / f"probe_small_{variant}.npz")
        facts = json.loads((folder / "probe_small.json").read_text())
        self.results = facts["results"][variant]
        latent = {"dimreduce": "pca", "components": facts["latent"]} if variant == "PCA" else {"dimreduce": "none"}
        self.cfg = methods.configure("hest_probe", latent)
        genes = tuple(entry["name"] for entry in self.results["pearson_corrs"])
        constant = (1.0,) * len(genes)
        panel = dataclasses.replace(toy.spec.panel, gene_ids=genes, symbols=genes, mean=constant, variance=constant)
        self.spec = dataclasses.replace(toy.spec, panel=panel, feature_width={"patch": facts["D"]})
        self.train = batch_of(toy.data.train, self.data["X_train"], target=self.data["y_train"])
        self.test = batch_of(toy.test, self.data["X_test"])

    def fit(self):
        run = RunContext(name="golden", seed=0, accelerator="cpu")
        return methods.load("hest_probe").fit(self.cfg, self.spec, FitData(train=self.train), run)


def batch_of(like, values, *, target=None):
    """A batch of one slide with ``values`` as its features."""
    spots = len(values)
    return dataclasses.replace(
        like.take(np.zeros(spots, dtype=np.int64)),
        spot_id=np.array([f"s{n}" for n in range(spots)], dtype=object),
        features={"patch": values.astype(np.float32)},
        target=None if target is None else target.astype(np.float32),
    )


@pytest.fixture(params=VARIANTS)
def golden(request, shared_golden, toy):
    return Golden(shared_golden / "histoprism" / "hest_bench", toy, request.param)


def predict(golden, state, batch):
    return methods.load("hest_probe").predict(golden.cfg, golden.spec, state, batch, seeds.generator(0))


def test_predictions_and_correlations_are_those_of_the_released_code(golden):
    state = golden.fit()
    predicted = predict(golden, state, golden.test)
    np.testing.assert_allclose(predicted, golden.expected["preds"], atol=2e-3)
    pearson = pearson_per_gene(predicted, golden.data["y_test"])
    np.testing.assert_allclose(pearson, [e["pearson_corr"] for e in golden.results["pearson_corrs"]], atol=1e-3)
    assert pearson.mean() == pytest.approx(golden.results["pearson_mean"], abs=1e-3)
    assert state.facts["alpha"] == pytest.approx(golden.results["alpha"])


def test_features_are_reduced_as_in_the_released_code(golden):
    tensors = golden.fit().tensors
    np.testing.assert_allclose(reduce(golden.data["X_test"], tensors), golden.expected["Ztest"], atol=1e-4)


def test_prediction_works_from_the_checkpoint_alone(golden, tmp_path):
    state = golden.fit()
    save_state(tmp_path / "c.safetensors", method="hest_probe", cfg=golden.cfg, spec=golden.spec, state=state)
    *_, loaded = load_state(tmp_path / "c.safetensors")
    assert predict(golden, loaded, golden.test).tobytes() == predict(golden, state, golden.test).tobytes()


def test_the_closed_form_agrees_within_the_solvers_tolerance(golden):
    """(ZᵀZ + αI)⁻¹ZᵀY; the raw features of the second variant are further from converged where the solver stops."""
    z, y = (np.asarray(v, dtype=np.float64) for v in (golden.expected["Ztrain"], golden.data["y_train"]))
    weights = np.linalg.solve(z.T @ z + golden.results["alpha"] * np.eye(z.shape[1]), z.T @ y)
    exact = golden.expected["Ztest"].astype(np.float64) @ weights
    np.testing.assert_allclose(
        predict(golden, golden.fit(), golden.test), exact, atol={"pca": 2e-3, "none": 5e-3}[golden.cfg.dimreduce]
    )


def test_the_published_penalty_is_100_over_width_times_genes():
    assert published_alpha(width=256, genes=50) == 0.0078125


def test_without_intercept_the_principal_components_predict_around_zero(golden):
    """Components are centred: over the training spots predictions sum to nothing, whatever the genes' means."""
    mean = predict(golden, golden.fit(), golden.train).mean(axis=0)
    if golden.cfg.dimreduce == "pca":
        np.testing.assert_allclose(mean, 0.0, atol=1e-4)
        assert np.abs(golden.data["y_train"].mean(axis=0)).min() > 0.1
    else:
        assert np.abs(mean).max() > 0.1


def test_scaler_and_components_are_those_of_the_training_spots():
    """Feature 0 alternates 1 and 3, feature 1 is 10 or 30 at random, feature 2 is constant: scale 1, not 0."""
    rng = seeds.generator(0, "scaler")
    values = np.stack([np.tile([1.0, 3.0], 20), rng.permutation(np.repeat([10.0, 30.0], 20)), np.full(40, 7.0)], axis=1)
    tensors = fit_reduction(values.astype(np.float32), components=2)
    np.testing.assert_allclose(tensors["scaler_mean"], [2.0, 20.0, 7.0], rtol=1e-6)
    np.testing.assert_allclose(tensors["scaler_scale"], [1.0, 10.0, 1.0], rtol=1e-6)
    assert np.abs(tensors["components"][:, 2]).max() < 1e-6


def test_predicting_changes_no_stored_number_and_spots_do_not_see_each_other(toy):
    """A scaler or components taken from the batch that is predicted would show in both."""
    cfg, seen, state = toy.fit("hest_probe")
    before = {name: value.tobytes() for name, value in state.tensors.items()}
    other = dataclasses.replace(seen.test, features={"patch": seen.test.features["patch"] * 100 - 7})
    method = methods.load("hest_probe")
    plain = method.predict(cfg, seen.spec, state, seen.test, seeds.generator(0))
    method.predict(cfg, seen.spec, state, other, seeds.generator(0))
    assert {name: value.tobytes() for name, value in state.tensors.items()} == before
    half = method.predict(cfg, seen.spec, state, seen.test.take(np.arange(10)), seeds.generator(0))
    np.testing.assert_allclose(half, plain[:10], rtol=1e-5, atol=1e-5)
    train = seen.data.everything.features["patch"]
    np.testing.assert_allclose(state.tensors["scaler_mean"], train.mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize(("spots", "width", "found"), [(5, 9, "5 training spots"), (9, 5, "5 features")])
def test_too_few_spots_or_features_are_refused_with_the_remedy(spots, width, found):
    with pytest.raises(DataContractError, match=f"components of hest_probe.*{found}.*dimreduce: none"):
        fit_reduction(np.ones((spots, width), dtype=np.float32), components=6)


def test_honouring_a_penalty_that_is_not_given_is_refused():
    with pytest.raises(DataContractError, match="alpha"):
        methods.configure("hest_probe", {"honour_alpha": True})


def test_a_penalty_that_is_not_honoured_is_said_to_be_unused(toy, caplog):
    _, _, state = toy.fit("hest_probe", alpha=5.0)
    assert state.facts["alpha"] == pytest.approx(100 / (3 * 12))
    assert "alpha 5 is not used" in caplog.text


def test_a_constant_gene_has_no_correlation_and_leaves_the_other_genes_alone(toy):
    cfg = methods.configure("hest_probe", {"components": 3})
    seen = toy.seen_by(cfg)
    method, run = methods.load("hest_probe"), RunContext(name="toy", seed=0, accelerator="cpu")
    plain = method.fit(cfg, seen.spec, seen.data, run)
    target = seen.data.train.target.copy()
    target[:, 4] = 0.0
    silent = dataclasses.replace(seen.data, train=dataclasses.replace(seen.data.train, target=target), val=None)
    state = method.fit(cfg, seen.spec, silent, run)
    predicted = method.predict(cfg, seen.spec, state, seen.test, seeds.generator(0))
    pearson = pearson_per_gene(predicted, toy.test.target)
    assert np.isnan(pearson).tolist() == [gene == 4 for gene in range(12)]
    assert state.tensors["coefficients"].shape == plain.tensors["coefficients"].shape
