"""The interface of a method: ``fit`` and ``predict``; everything else is composition."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from stainscript.artifacts.checkpoints import read_checkpoint, write_checkpoint
from stainscript.batches.batch import SpotBatch, join
from stainscript.errors import DataContractError
from stainscript.training.run import FitReport, RunContext
from stainscript.types import Panel, Space, Target, canonical_json

METADATA = ("method", "config", "spec", "facts", "panel_sha256")


@dataclass(frozen=True, kw_only=True)
class ProblemSpec:
    """What is to be predicted from what: genes, space, and the width of each view's features."""

    panel: Panel
    target: Target
    feature_width: dict[str, int]  # view → D


@dataclass(frozen=True, kw_only=True)
class FitData:
    """A fold's training side. ``val`` is carved from training slides; ``None`` when validation is off."""

    train: SpotBatch
    val: SpotBatch | None = None

    @property
    def everything(self) -> SpotBatch:
        """Training and validation spots together: closed-form methods have no use for a validation set."""
        return self.train if self.val is None else join([self.train, self.val])


@dataclass(frozen=True, kw_only=True)
class State:
    """A fitted method: named arrays, and JSON facts that ``predict`` needs to use them."""

    tensors: dict[str, np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)
    report: FitReport = field(default_factory=FitReport)


@runtime_checkable
class Method(Protocol):
    """What ``methods.load(name)`` gives: an object with the method's name, its config class and two verbs."""

    name: ClassVar[str]
    Config: ClassVar[type]

    def fit(self, cfg: Any, spec: ProblemSpec, data: FitData, run: RunContext) -> State:
        """Learn from ``data`` alone."""
        ...

    def predict(
        self, cfg: Any, spec: ProblemSpec, state: State, batch: SpotBatch, generator: np.random.Generator
    ) -> np.ndarray:
        """Predict (S, G) float32 in ``spec.target``'s space for the spots of ``batch``, which has no target."""
        ...


def save_state(path: str | Path, *, method: str, cfg: Any, spec: ProblemSpec, state: State) -> None:
    """Write ``checkpoint.safetensors``: tensors, and method, config, spec and facts as JSON metadata."""
    metadata = {
        "method": method,
        "config": canonical_json(asdict(cfg)),
        "spec": canonical_json(asdict(spec)),
        "facts": canonical_json(state.facts),
        "panel_sha256": spec.panel.sha256,
    }
    write_checkpoint(path, state.tensors, metadata)


def load_state(path: str | Path) -> tuple[str, dict[str, Any], ProblemSpec, State]:
    """Read what ``save_state`` wrote: method name, config as a dict, spec, state."""
    tensors, metadata = read_checkpoint(path)
    missing = set(METADATA) - set(metadata)
    if missing:
        raise DataContractError(
            path, "metadata", expected=", ".join(METADATA), found=f"no {sorted(missing)}", remedy="fit again"
        )
    raw = json.loads(metadata["spec"])
    panel = {key: tuple(value) if isinstance(value, list) else value for key, value in raw["panel"].items()}
    spec = ProblemSpec(
        panel=Panel(**panel),
        target=Target(**{**raw["target"], "space": Space(raw["target"]["space"])}),
        feature_width=raw["feature_width"],
    )
    if spec.panel.sha256 != metadata["panel_sha256"]:
        raise DataContractError(
            path,
            "panel_sha256",
            expected=metadata["panel_sha256"][:12],
            found=f"{spec.panel.sha256[:12]} for the genes listed",
            remedy="the checkpoint was changed after it was written; fit again",
        )
    return (
        metadata["method"],
        json.loads(metadata["config"]),
        spec,
        State(tensors=tensors, facts=json.loads(metadata["facts"])),
    )
