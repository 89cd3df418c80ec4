"""Params hold what a step depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from stainscript.errors import DataContractError
from stainscript.plan.jobs import Plan

RIDGE, MLP, MEAN = "phantom.hmhvg.ridge.morphology", "phantom.hmhvg.mlp.morphology", "phantom.hmhvg.mean.none"


@pytest.fixture
def plan(repository: Path) -> Callable[..., Plan]:
    def make(change: Callable[[dict], object] = lambda c: None) -> Plan:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        change(raw)
        return Plan(raw, repository=repository)

    return make


def fit_of(experiment: str, fold: int = 0) -> SimpleNamespace:
    return SimpleNamespace(experiment=experiment, fold=str(fold), seed="0")


def test_precision_matters_to_trained_methods_alone(plan: Callable[..., Plan]) -> None:
    before, after = plan(), plan(lambda c: c["hardware"].update(precision="bf16-mixed"))
    assert before.fit_params(fit_of(RIDGE)) == after.fit_params(fit_of(RIDGE))
    assert before.fit_params(fit_of(MLP)) != after.fit_params(fit_of(MLP))


def test_the_resume_file_is_named_by_what_the_fit_depends_on(plan: Callable[..., Plan]) -> None:
    before = plan().fit_params(fit_of(MLP))["resume"]
    after = plan(lambda c: c["methods"]["mlp"].update(options={"epochs": 3})).fit_params(fit_of(MLP))["resume"]
    assert before != after
    assert before.startswith("results/.resume/")
    assert plan().fit_params(fit_of(MLP))["resume"] == before


def test_folds_differ_in_their_slides_and_resume_files(plan: Callable[..., Plan]) -> None:
    first, second = (plan().fit_params(fit_of(MLP, fold)) for fold in (0, 1))
    assert set(first["spec"]["train"]) != set(second["spec"]["train"])
    assert first["resume"] != second["resume"]


def test_a_method_without_views_reads_no_features(plan: Callable[..., Plan]) -> None:
    assert not [name for name in plan().fit_inputs(fit_of(MEAN)) if "features" in name]
    assert [name for name in plan().fit_inputs(fit_of(RIDGE)) if "features" in name]


def test_a_gpu_is_asked_for_where_one_is_of_use(plan: Callable[..., Plan]) -> None:
    assert plan().fit_gpus(fit_of(MLP)) == 1
    assert plan().fit_gpus(fit_of(RIDGE)) == 0
    assert plan(lambda c: c["hardware"].update(accelerator="cpu")).fit_gpus(fit_of(MLP)) == 0
    assert plan(lambda c: c["hardware"].update(devices=2)).fit_gpus(fit_of(MLP)) == 2


def test_a_panel_over_the_whole_dataset_reads_it_and_the_table_says_so(plan: Callable[..., Plan]) -> None:
    wildcards = SimpleNamespace(
        dataset="phantom", split="leave_one_patient_out", fold="0", panel="hmhvg", protocol="hmhvg"
    )
    honest, leaking = plan(), plan(lambda c: c["panels"]["hmhvg"].update(scope="dataset"))
    assert len(honest.panel_inputs(wildcards)) == 4
    assert len(leaking.panel_inputs(wildcards)) == 6
    rows = [made.table_params(SimpleNamespace(chosen="phantom"))["experiments"] for made in (honest, leaking)]
    assert {row["note"] for row in rows[0]} == {""}
    assert {row["note"] for row in rows[1]} == {"genes chosen on all slides, test slides included"}


def test_moved_seeds_and_extra_entries_leave_other_fits_alone(plan: Callable[..., Plan]) -> None:
    def change(config: dict) -> None:
        config["methods"]["ridge_strong"] = {"method": "ridge", "options": {"alpha": 1000.0}}
        config["encoders"]["another"] = {"kind": "timm:resnet10t"}

    assert plan(change).fit_params(fit_of(RIDGE)) == plan().fit_params(fit_of(RIDGE))


def test_weights_that_are_not_there_stop_the_plan(plan: Callable[..., Plan]) -> None:
    with pytest.raises(DataContractError, match=r"nowhere\.safetensors: path: expected an existing file"):
        plan(lambda c: c["encoders"]["morphology"].update(kind="timm:resnet10t", weights="nowhere.safetensors"))
