"""Grids become experiments: one name each, whatever combination brought them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stainscript import config
from stainscript.errors import DataContractError
from stainscript.plan.experiments import expand


@pytest.fixture
def expanded(repository: Path) -> Callable:
    def run(grids: list[dict], change: Callable[[dict], object] = lambda c: None) -> dict:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        change(raw)
        loaded = config.load(raw, folders=[repository / "workflow"])
        chosen = config.ExperimentSet(title="t", grids=tuple(config.Grid(**grid) for grid in grids))
        return expand(loaded.model_copy(update={"experiment_sets": {"one": chosen}}))

    return run


def grid(**changes: object) -> dict:
    plain = {"datasets": ("phantom",), "protocols": ("hmhvg",), "methods": ("ridge",), "encoders": ("morphology",)}
    return plain | changes


def test_a_grid_is_every_combination(expanded: Callable) -> None:
    found = expanded([grid(methods=("ridge", "mlp"), encoders=("morphology", "resnet18_random"))])
    assert sorted(found) == [
        "phantom.hmhvg.mlp.morphology",
        "phantom.hmhvg.mlp.resnet18_random",
        "phantom.hmhvg.ridge.morphology",
        "phantom.hmhvg.ridge.resnet18_random",
    ]


def test_a_method_without_views_is_one_experiment_whatever_the_encoders(expanded: Callable) -> None:
    found = expanded([grid(methods=("mean",), encoders=("morphology", "resnet18_random"))])
    assert list(found) == ["phantom.hmhvg.mean.none"]
    assert found["phantom.hmhvg.mean.none"].encoders == ()


def test_seeds_of_two_grids_are_united(expanded: Callable) -> None:
    found = expanded([grid(seeds=(0, 1)), grid(seeds=(1, 2), unmeasured=True)])
    assert found["phantom.hmhvg.ridge.morphology"].seeds == (0, 1, 2)
    assert found["phantom.hmhvg.ridge.morphology"].unmeasured


def test_joined_encoders_stay_in_order(expanded: Callable) -> None:
    found = expanded([grid(encoders=("resnet18_random+morphology",))])
    assert found["phantom.hmhvg.ridge.resnet18_random+morphology"].encoders == ("resnet18_random", "morphology")


def test_controls_never_predict_unmeasured_slides(expanded: Callable) -> None:
    assert not expanded([grid(methods=("oracle",), unmeasured=True)])["phantom.hmhvg.oracle.none"].unmeasured


def test_a_view_that_the_protocol_lacks_is_named(expanded: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from stainscript.methods.ridge.config import Config
    from stainscript.types import Needs

    monkeypatch.setattr(Config, "needs", property(lambda self: Needs(views=("patch", "region"))))
    with pytest.raises(DataContractError, match=r"hmhvg\.yaml: views: .*patch, region; found no region"):
        expanded([grid()])
