"""A wrong config stops before any job and says what would be right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stainscript import config
from stainscript.errors import DataContractError


@pytest.fixture
def load(repository: Path) -> Callable:
    def run(change: Callable[[dict], object] | None = None) -> config.Config:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        if change is not None:
            change(raw)
        return config.load(raw, folders=[repository / "workflow"])

    return run


def test_the_config_of_the_repository_is_legal(load: Callable) -> None:
    loaded = load()
    assert loaded.experiments == ("phantom",)
    assert loaded.protocols["hmhvg"].target.space == "log1p_cp10k"
    assert loaded.splits["leave_one_patient_out"].validation.fraction == 0.1


def test_every_shipped_experiment_set_and_protocol_is_legal(load: Callable, repository: Path) -> None:
    names = sorted(path.stem for path in (repository / "workflow/experiments").glob("*.yaml"))
    assert {"phantom", "her2st"} <= set(names)
    loaded = load(lambda c: c.update(experiments=names))
    assert set(loaded.experiment_sets) == set(names)
    for path in (repository / "workflow/protocols").glob("*.yaml"):
        config.Protocol.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(experimnts=["x"]), "experimnts.*experiments"),
        (
            lambda c: c["hardware"].update(thread=2),
            "hardware.thread: expected one of .*threads.*did you mean 'threads'",
        ),
        (lambda c: c["splits"]["leave_one_slide_out"].update(sheme="x"), "did you mean 'scheme'"),
        (lambda c: c["views"]["patch"].update(width_px="wide"), "views.patch.width_px"),
        (lambda c: c["views"]["patch"].update(mpp=-1), "greater than 0"),
        (lambda c: c.update(experiments=["phanton"]), "did you mean 'phantom'"),
        (lambda c: c["panels"].pop("hmhvg"), "panel: expected one of .*hmhvg_stem.*; found 'hmhvg'"),
        (
            lambda c: c["encoders"].pop("morphology"),
            "encoders: expected one of .*resnet18_random.*; found 'morphology'",
        ),
        (lambda c: c["methods"].pop("ridge"), "found 'ridge'"),
        (lambda c: c.update(protocols={}), "put it into a file of workflow/protocols/"),
        (lambda c: c["panels"]["hmhvg"].update(n=0), "panels.hmhvg.n"),
        (lambda c: c["datasets"].update({"a/b": {"sheet": "x"}}), "datasets"),
    ],
)
def test_a_wrong_key_or_value_is_named(change: Callable, words: str, load: Callable) -> None:
    with pytest.raises(DataContractError, match=words):
        load(change)


def test_an_error_names_file_field_expected_found_and_remedy(load: Callable) -> None:
    with pytest.raises(DataContractError) as caught:
        load(lambda c: c["hardware"].update(precision="8bit"))
    text = str(caught.value)
    assert text.startswith("config.yaml: hardware.precision: expected ")
    assert "found '8bit'" in text
    assert "Remedy: " in text


def test_a_working_folder_may_bring_its_own_sets_and_protocols(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    own = yaml.safe_load((repository / "workflow/experiments/phantom.yaml").read_text()) | {"title": "mine"}
    (tmp_path / "experiments/phantom.yaml").write_text(yaml.safe_dump(own))
    raw = yaml.safe_load((repository / "config.yaml").read_text())
    loaded = config.load(raw, folders=[tmp_path, repository / "workflow"])
    assert loaded.experiment_sets["phantom"].title == "mine"
    assert "hmhvg" in loaded.protocols


def test_the_schemas_for_editors_are_those_of_the_models(repository: Path) -> None:
    """`make schemas` writes them."""
    for name, schema in config.schemas().items():
        assert json.loads((repository / "workflow/schemas" / name).read_text()) == json.loads(json.dumps(schema))


def test_the_alternatives_named_are_keys_that_config_yaml_may_hold(load: Callable) -> None:
    with pytest.raises(DataContractError) as caught:
        load(lambda c: c.update(hardwear={}))
    assert "experiment_sets" not in caught.value.expected
    assert "experiments" in caught.value.expected
