import csv
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pytest

from stainscript import methods, seeds
from stainscript.artifacts.stores import open_store
from stainscript.errors import DataContractError
from stainscript.methods.base import State, load_state
from stainscript.stages import fit as stage
from stainscript.stages.fit import fit, load

QUICK = {"hidden": 8, "epochs": 4, "batch_size": 16}
SMALL = {"mlp": QUICK, "hest_probe": {"components": 3}}
FILES = ("checkpoint.safetensors", "history.csv", "run.json")

# what a job does, with every epoch logged and saved
JOB = """
import json, logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
from stainscript.training import progress
progress.PLAIN_LINE_SECONDS = 0.0
from stainscript.stages.fit import fit
fit(**json.load(open(sys.argv[1])))
"""


def arguments(cohort, folder: Path, method: str, **options):
    return {
        "spec": cohort.spec(method, **options),
        "inputs": cohort.inputs(),
        "checkpoint": str(folder / "checkpoint.safetensors"),
        "history": str(folder / "history.csv"),
        "run_record": str(folder / "run.json"),
        "resume": str(folder / "resume" / "0123abcd"),
    }


@pytest.mark.parametrize("method", methods.names())
def test_every_method_leaves_checkpoint_history_and_record(method, cohort, tmp_path):
    options = SMALL.get(method, {})
    fit(**arguments(cohort, tmp_path / "run", method, **options))
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.is_file()) == sorted(FILES)
    assert list((tmp_path / "run" / "resume").glob("*")) == []
    name, found, spec, _ = load_state(tmp_path / "run" / "checkpoint.safetensors")
    assert name == method
    assert found | options == found
    assert spec.panel.gene_ids == tuple(cohort.genes[2:10])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["digests"] == {"config": "1", "code": "2", "environment": "3", "split": "4"}
    assert record["options"] == json.loads(json.dumps(found))
    assert record["panel"]["sha256"] == spec.panel.sha256
    assert record["spots"] == {"train": 54, "val": 18}
    assert record["device"] == "cpu"
    assert record["resumed_from_epoch"] is None
    assert record["wall_s"] > 0
    assert record["peak_host_mib"] > 10
    assert {"git", "versions", "platform", "peak_device_mib"} <= set(record)
    epochs = len(list(csv.DictReader((tmp_path / "run" / "history.csv").open())))
    assert epochs == (4 if method == "mlp" else 0)


@pytest.mark.parametrize("method", ["ridge", "mlp"])
def test_same_fit_gives_the_same_bytes(method, cohort, tmp_path):
    options = SMALL.get(method, {})
    for folder in ("one", "two"):
        fit(**arguments(cohort, tmp_path / folder, method, **options))
    for name in FILES[:2]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_history_reads_back_exactly(tmp_path):
    row = {"phase": 0, "epoch": 1, "train_loss": 1 / 3, "lr": 1e-3}
    stage.write_history(tmp_path / "history.csv", [row, {**row, "epoch": 2, "val_loss": 0.1}])
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == "phase,epoch,train_loss,lr,val_loss"
    assert lines[1] == "0,1,0.3333333333333333,0.001,"


def test_method_without_views_reads_no_features(cohort, tmp_path):
    call = arguments(cohort, tmp_path, "mean")
    for files in call["inputs"]["slides"].values():
        files["features"] = {"patch": ["/nowhere"]}
    call["spec"]["views"] = {}
    fit(**call)
    assert load_state(call["checkpoint"])[2].feature_width == {}


def test_a_view_without_encoder_is_named(cohort, tmp_path):
    call = arguments(cohort, tmp_path, "ridge", view="region")
    with pytest.raises(DataContractError, match=r"views of toy\.ridge: .*each of region; found none for region"):
        fit(**call)


def test_unknown_option_is_refused_before_anything_is_read(cohort, tmp_path):
    call = arguments(cohort, tmp_path, "mlp", hiden=3)
    call["inputs"] = {}
    with pytest.raises(DataContractError, match="did you mean 'hidden'"):
        fit(**call)


def test_validation_slides_stay_out_of_the_training_spots(cohort):
    spec = cohort.spec("mlp") | {"train": ["a", "b"], "val": ["c"], "val_spot_fraction": 0.0}
    _, data = load(spec=spec, inputs=cohort.inputs(), cfg=methods.configure("mlp", {}))
    assert data.train.slides == ("a", "b")
    assert data.val.slides == ("c",)


def test_without_validation_mlp_says_what_to_set(cohort, tmp_path):
    call = arguments(cohort, tmp_path, "mlp", **QUICK)
    call["spec"]["val_spot_fraction"] = 0.0
    with pytest.raises(DataContractError, match="patience: null and weights: last"):
        fit(**call)
    call["spec"]["options"] |= {"patience": None, "weights": "last"}
    fit(**call)
    assert "val_loss" not in Path(call["history"]).read_text()


def test_shuffled_rows_of_one_feature_store_end_the_fit_and_write_nothing(cohort, tmp_path):
    store = open_store(cohort.folder / "b.first", "features")
    order = seeds.generator(0, "rows").permutation(24)
    cohort.write_features("b", "first", store["features"][order], store.ids("spot_id")[order])
    with pytest.raises(DataContractError, match=r"b\.first: spot_id"):
        fit(**arguments(cohort, tmp_path / "run", "ridge"))
    assert not (tmp_path / "run").exists()


def resume_files(call) -> list[Path]:
    """The resume file, whose name goes on with the digest of the inputs."""
    return list(Path(call["resume"]).parent.glob(Path(call["resume"]).name + ".*"))


def test_resume_file_outlives_a_failure_to_write_the_checkpoint(cohort, tmp_path, monkeypatch, caplog):
    call = arguments(cohort, tmp_path, "mlp", **QUICK) | {"save_every_s": 0.0}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stage, "save_state", full)
        with pytest.raises(OSError, match="No space"):
            fit(**call)
    assert len(resume_files(call)) == 1
    assert not Path(call["checkpoint"]).exists()
    with caplog.at_level(logging.INFO):
        fit(**call)
    assert "resumed toy.mlp/fold1/seed0 at epoch 4" in caplog.text
    assert json.loads(Path(call["run_record"]).read_text())["resumed_from_epoch"] == 4
    assert resume_files(call) == []


def test_seconds_between_resume_points_come_from_the_caller(cohort, tmp_path, monkeypatch):
    seen = []

    class Recorder:
        def fit(self, cfg, spec, data, run):
            seen.append((run.save_every_s, run.threads, run.resume_path.stem))
            return State(tensors={})

    monkeypatch.setattr(stage.methods, "load", lambda name: Recorder())
    fit(**arguments(cohort, tmp_path, "mean"), save_every_s=7.0)
    assert seen == [(7.0, 1, "0123abcd")]


def test_a_fit_killed_at_three_random_moments_ends_with_the_bytes_of_an_uninterrupted_one(cohort, tmp_path):
    """SIGKILL in the middle of epochs chosen at random, seen from the job's own progress lines."""
    options = {"hidden": 16, "epochs": 200, "batch_size": 8, "patience": None, "schedule": "cosine"}
    whole = arguments(cohort, tmp_path / "whole", "mlp", **options)
    fit(**whole)
    call = arguments(cohort, tmp_path / "killed", "mlp", **options) | {"save_every_s": 0.0}
    (tmp_path / "call.json").write_text(json.dumps(call))
    moments = sorted(seeds.generator(0, "moments").choice(np.arange(5, 160), size=3, replace=False).tolist())
    reached = 0
    for moment in moments:
        resumed, reached = killed_job(tmp_path / "call.json", at_epoch=moment)
        assert resumed is None or resumed <= moment
        assert reached >= moment
        assert not Path(call["checkpoint"]).exists()
        assert len(resume_files(call)) == 1
    resumed, _ = killed_job(tmp_path / "call.json", at_epoch=None)
    assert resumed is not None
    assert resumed >= moments[-1] - 1  # the resume point of an epoch is written just after its line
    assert json.loads(Path(call["run_record"]).read_text())["resumed_from_epoch"] == resumed
    for name in FILES[:2]:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert resume_files(call) == []


def killed_job(call: Path, *, at_epoch: int | None) -> tuple[int | None, int]:
    """Run the job and kill it when it says that it is at ``at_epoch`` (``None``: let it end).

    Returns the epoch that it resumed from, and the last one it told of.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", JOB, str(call)]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    resumed, epoch = None, 0
    for line in job.stderr:
        if match := re.search(r"resumed \S+ at epoch (\d+)", line):
            resumed = int(match[1])
        if match := re.search(r": epoch (\d+) of", line):
            epoch = int(match[1])
        if at_epoch is not None and epoch >= at_epoch:
            job.send_signal(signal.SIGKILL)
            break
    job.stderr.close()
    assert job.wait() == (0 if at_epoch is None else -signal.SIGKILL)
    return resumed, epoch


def forget(cohort, slide, *genes):
    """Leave ``genes`` out of the counts of a slide: it does not measure them."""
    path = cohort.files(slide)["expression"]
    adata = anndata.read_h5ad(path)
    adata[:, ~adata.var_names.isin(genes)].copy().write_h5ad(path)


@pytest.mark.parametrize("method", methods.names())
def test_every_method_fits_a_panel_that_one_training_slide_measures_in_part(method, cohort, tmp_path):
    forget(cohort, "b", "ENSG004", "ENSG007")
    call = arguments(cohort, tmp_path, method, **SMALL.get(method, {}))
    fit(**call)
    name, _, spec, state = load_state(call["checkpoint"])
    assert (name, spec.panel.gene_ids) == (method, tuple(cohort.genes[2:10]))
    assert all(np.isfinite(values).all() for values in state.tensors.values())


def test_a_gene_that_one_slide_does_not_measure_has_the_mean_of_the_others(cohort, tmp_path):
    _, before = load(spec=cohort.spec("mean"), inputs=cohort.inputs(), cfg=methods.configure("mean", {}))
    forget(cohort, "b", "ENSG004")
    call = arguments(cohort, tmp_path, "mean")
    fit(**call)
    gene, slides = before.everything.target[:, 2], before.everything.slide_index
    assert abs(gene.mean() - gene[slides != 1].mean()) > 1e-3
    np.testing.assert_allclose(load_state(call["checkpoint"])[3].tensors["mean"][2], gene[slides != 1].mean(), 1e-6)


def test_a_validation_slide_need_not_measure_what_training_slides_do(cohort):
    forget(cohort, "c", "ENSG004")
    spec = cohort.spec("mlp") | {"train": ["a", "b"], "val": ["c"], "val_spot_fraction": 0.0}
    _, data = load(spec=spec, inputs=cohort.inputs(), cfg=methods.configure("mlp", {}))
    assert data.train.measured is None
    assert data.val.measured.tolist() == [[True, True, False, True, True, True, True, True]]


def test_a_panel_gene_that_no_training_slide_measures_ends_the_fit_with_its_name(cohort, tmp_path):
    """That a validation slide measures it does not help: nothing could be learnt of it."""
    for slide in "ab":
        forget(cohort, slide, "ENSG004")
    call = arguments(cohort, tmp_path / "run", "mlp", **QUICK)
    call["spec"] |= {"train": ["a", "b"], "val": ["c"], "val_spot_fraction": 0.0}
    with pytest.raises(DataContractError, match=r"panel\.tsv: gene_id: .*2 training slides measures; found ENSG004"):
        fit(**call)
    assert not (tmp_path / "run").exists()
