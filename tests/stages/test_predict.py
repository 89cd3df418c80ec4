import dataclasses
import pickle
import shutil

import numpy as np
import pytest

from stainscript import methods
from stainscript.artifacts.checkpoints import read_checkpoint, write_checkpoint
from stainscript.artifacts.files import file_sha256
from stainscript.artifacts.stores import MANIFEST, open_store
from stainscript.errors import DataContractError
from stainscript.genes.normalise import target_matrix
from stainscript.methods.base import load_state
from stainscript.stages.fit import fit
from stainscript.stages.predict import predict
from stainscript.types import Space, Target

QUICK = {"hidden": 8, "epochs": 3, "batch_size": 16}
SMALL = {"mlp": QUICK, "hest_probe": {"components": 3}}


@pytest.fixture
def fitted(cohort, tmp_path):
    """``fitted(method)``: the checkpoint of that method on slides a, b and c."""

    def fitted(method, **options):
        folder = tmp_path / "run" / method
        fit(
            spec=cohort.spec(method, **(SMALL.get(method, {})), **options),
            inputs=cohort.inputs(),
            checkpoint=folder / "checkpoint.safetensors",
            history=folder / "history.csv",
            run_record=folder / "run.json",
        )
        return folder / "checkpoint.safetensors"

    return fitted


def call(cohort, checkpoint, out, **changes):
    files = cohort.files("d")
    files.pop("expression")
    return {
        "checkpoint": checkpoint,
        **files,
        "answers": None,
        "experiment": "toy",
        "fold": 1,
        "seed": 0,
        "out": out,
    } | changes


def answers_of(cohort, method):
    needs = methods.configure(method, {}).needs
    return cohort.files("d")["expression"] if needs.answers else None


@pytest.mark.parametrize("method", methods.names())
def test_store_holds_predictions_ids_and_where_they_come_from(method, cohort, fitted, tmp_path):
    checkpoint = fitted(method)
    predict(**call(cohort, checkpoint, tmp_path / "out", answers=answers_of(cohort, method)))
    store = open_store(tmp_path / "out", "predictions")
    assert store["predicted"].shape == (24, 8)
    assert store.ids("gene_id").tolist() == cohort.genes[2:10]
    assert store.ids("spot_id").tolist() == cohort.counts("d").obs_names.tolist()
    assert store.attrs["slide"] == "d"
    assert (store.attrs["experiment"], store.attrs["fold"], store.attrs["seed"]) == ("toy", 1, 0)
    assert store.attrs["space"] == "log1p_cp10k"
    assert store.attrs["checkpoint_sha256"] == file_sha256(checkpoint)
    assert store.attrs["panel_sha256"] == load_state(checkpoint)[2].panel.sha256


@pytest.mark.parametrize("method", ["ridge", "mlp", "shuffled"])
def test_prediction_depends_on_content_and_not_on_paths(method, cohort, fitted, tmp_path):
    checkpoint = fitted(method)
    predict(**call(cohort, checkpoint, tmp_path / "here"))
    shutil.move(cohort.folder, tmp_path / "elsewhere")
    cohort.folder = tmp_path / "elsewhere"
    shutil.copy(checkpoint, tmp_path / "other.safetensors")
    predict(**call(cohort, tmp_path / "other.safetensors", tmp_path / "there"))
    assert (tmp_path / "here" / MANIFEST).read_bytes() == (tmp_path / "there" / MANIFEST).read_bytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"experiment": "other"}, {"fold": 2}])
def test_random_stream_is_named_by_seed_experiment_and_fold(change, cohort, fitted, tmp_path):
    checkpoint = fitted("shuffled")
    predict(**call(cohort, checkpoint, tmp_path / "one"))
    predict(**call(cohort, checkpoint, tmp_path / "two", **change))
    one, two = (open_store(tmp_path / name, "predictions")["predicted"] for name in ("one", "two"))
    assert not np.array_equal(one, two)


def test_oracle_equals_the_measured_values_in_the_target_space(cohort, fitted, tmp_path):
    predict(**call(cohort, fitted("oracle"), tmp_path / "out", answers=cohort.files("d")["expression"]))
    expected = target_matrix(cohort.counts("d"), gene_ids=cohort.genes[2:10], target=Target(space=Space.LOG1P_CP10K))
    np.testing.assert_array_equal(open_store(tmp_path / "out", "predictions")["predicted"], expected)


def test_ceiling_takes_fractional_expectations_in_any_order(cohort, fitted, tmp_path):
    expected = cohort.counts("d")
    expected.X = expected.X.astype(np.float64) * 1.5 + 0.25 * (expected.X > 0)
    expected[::-1].copy().write_h5ad(tmp_path / "expected.h5ad")
    predict(**call(cohort, fitted("ceiling"), tmp_path / "out", answers=tmp_path / "expected.h5ad"))
    wanted = target_matrix(expected, gene_ids=cohort.genes[2:10], target=Target(space=Space.LOG1P_CP10K))
    np.testing.assert_array_equal(open_store(tmp_path / "out", "predictions")["predicted"], wanted)


@pytest.mark.parametrize(("method", "given"), [("ridge", True), ("oracle", False)])
def test_answers_go_to_controls_and_to_nobody_else(method, given, cohort, fitted, tmp_path):
    answers = cohort.files("d")["expression"] if given else None
    with pytest.raises(ValueError, match=f"{method} needs answers"):
        predict(**call(cohort, fitted(method), tmp_path / "out", answers=answers))


def test_features_of_another_width_are_refused(cohort, fitted, tmp_path):
    features = {"patch": cohort.files("d")["features"]["patch"][:1]}
    with pytest.raises(DataContractError, match=r"features as in the fit: \{'patch': 5\}; found \{'patch': 3\}"):
        predict(**call(cohort, fitted("ridge"), tmp_path / "out", features=features))


def doctored(checkpoint, *, tensors=None, **metadata):
    values, texts = read_checkpoint(checkpoint)
    write_checkpoint(checkpoint, values | (tensors or {}), texts | metadata)
    return checkpoint


def test_predictions_that_are_not_finite_are_refused_and_nothing_is_written(cohort, fitted, tmp_path):
    intercept = np.zeros(8, dtype=np.float32)
    intercept[3] = np.inf
    checkpoint = doctored(fitted("ridge"), tensors={"intercept": intercept})
    with pytest.raises(DataContractError, match="inf at spot '0x0', gene 'ENSG005'"):
        predict(**call(cohort, checkpoint, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_whose_genes_were_changed_is_refused(cohort, fitted, tmp_path):
    checkpoint = fitted("ridge")
    spec = read_checkpoint(checkpoint)[1]["spec"]
    doctored(checkpoint, spec=spec.replace('"ENSG002"', '"ENSG011"', 1))
    with pytest.raises(DataContractError, match="panel_sha256"):
        predict(**call(cohort, checkpoint, tmp_path / "out"))


def test_a_checkpoint_with_an_unknown_option_is_refused(cohort, fitted, tmp_path):
    checkpoint = fitted("ridge")
    doctored(checkpoint, config='{"alhpa": 1.0}')
    with pytest.raises(DataContractError, match="did you mean 'alpha'"):
        predict(**call(cohort, checkpoint, tmp_path / "out"))


def test_a_foreign_pickle_is_refused(cohort, tmp_path):
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(DataContractError, match="pickles are never loaded"):
        predict(**call(cohort, tmp_path / "model.pt", tmp_path / "out"))


def test_shuffled_feature_rows_are_refused(cohort, fitted, tmp_path):
    checkpoint = fitted("ridge")
    store = open_store(cohort.folder / "d.first", "features")
    cohort.write_features("d", "first", store["features"][::-1], store.ids("spot_id")[::-1])
    with pytest.raises(DataContractError, match="the same 24 ids in another order"):
        predict(**call(cohort, checkpoint, tmp_path / "out"))


def test_batch_on_a_device_predicts_as_on_the_host(cohort, fitted):
    """The network runs where the batch lies; here both are the CPU, one through torch tensors."""
    from stainscript.batches.dataset import load_slides

    name, options, spec, state = load_state(fitted("mlp"))
    entry = {key: value for key, value in cohort.files("d").items() if key != "expression"}
    batch = load_slides(slides=[entry])
    method, cfg = methods.load(name), methods.configure(name, options)
    plain = method.predict(cfg, spec, state, batch, None)
    moved = method.predict(cfg, spec, state, batch.to("cpu"), None)
    assert plain.tobytes() == moved.tobytes()
    assert dataclasses.asdict(cfg) == options
