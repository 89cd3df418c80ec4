"""What all chapters of the plan share: the config read and checked, slides, folds, experiments, digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stainscript import encoders
from stainscript.artifacts.provenance import environment_digest
from stainscript.config import Config, Encoder, Protocol, load
from stainscript.encoders.base import weights_wanted
from stainscript.errors import DataContractError
from stainscript.plan import paths
from stainscript.plan.cohorts import Row, locate, read_cohorts
from stainscript.plan.experiments import Experiment, expand
from stainscript.plan.folds import folds_of
from stainscript.types import Fold


class PlanBase:
    """The config's experiments on the slides that are here. ``w`` is always a rule's wildcards."""

    def __init__(self, raw: dict[str, Any], *, repository: str | Path) -> None:
        self.repository = Path(repository)
        self.config: Config = load(raw, folders=("workflow", self.repository / "workflow"))
        self.experiments: dict[str, Experiment] = expand(self.config)
        self._check_encoders()
        self._check_answers()
        self._check_subsets()
        alone = {name for wanted in (*self.config.features, *self.config.genes) for name in wanted.datasets}
        datasets = sorted({e.dataset for e in self.experiments.values()} | alone)
        self.cohorts: dict[str, dict[str, Row]] = read_cohorts(
            self.config, datasets=datasets, repository=self.repository
        )
        grids = self.config.genes
        asked = {
            (dataset, self.config.protocols[p].split) for g in grids for dataset in g.datasets for p in g.protocols
        }
        pairs = sorted({(e.dataset, self.protocol(e).split) for e in self.experiments.values()} | asked)
        self.folds: dict[tuple[str, str], list[Fold]] = {
            (dataset, split): folds_of(
                self.config,
                dataset=dataset,
                split=split,
                patients={row.slide: row.patient for row in self.cohorts[dataset].values() if row.measured},
            )
            for dataset, split in pairs
        }

    @property
    def measured(self) -> list[str]:
        return sorted({row.slide for rows in self.cohorts.values() for row in rows.values() if row.measured})

    @property
    def unmeasured(self) -> list[str]:
        return sorted({row.slide for rows in self.cohorts.values() for row in rows.values() if not row.measured})

    @property
    def controls(self) -> list[str]:
        """Experiments whose method is handed the answers: the oracle and the ceiling."""
        return sorted(name for name, e in self.experiments.items() if e.needs.answers)

    @property
    def honest(self) -> list[str]:
        return sorted(set(self.experiments) - set(self.controls))

    def environment(self, name: str) -> str:
        """Digest of ``envs/<name>.yaml`` as parsed."""
        return environment_digest(self.repository / "envs" / f"{name}.yaml")

    def protocol(self, e: Experiment) -> Protocol:
        return self.config.protocols[e.protocol]

    def folds_of(self, e: Experiment) -> list[Fold]:
        return self.folds[e.dataset, self.protocol(e).split]

    def test_slides(self, e: Experiment) -> list[str]:
        return sorted({name for fold in self.folds_of(e) for name in fold.test})

    def of(self, w: Any) -> tuple[Experiment, Fold]:
        e = self.experiments[w.experiment]
        return e, self.folds_of(e)[int(w.fold)]

    def row(self, w: Any) -> Row:
        return self.cohorts[w.dataset][w.slide]

    def hardware(self, *keys: str) -> dict[str, Any]:
        values = self.config.hardware.model_dump(mode="json")
        return {key: values[key] for key in keys}

    def panel_file(self, e: Experiment, fold: int) -> str:
        protocol = self.protocol(e)
        return paths.panel(e.dataset, protocol.split, fold, protocol.panel, e.protocol)

    def cohort_files(self, e: Experiment) -> list[str]:
        return [paths.expression(e.dataset, name) for name, row in self.cohorts[e.dataset].items() if row.measured]

    def slide_files(self, e: Experiment, slide: str) -> dict[str, Any]:
        views = self.protocol(e).views
        return {
            "info": paths.info(e.dataset, slide),
            "spots": paths.spots(e.dataset, slide),
            "features": {
                role: [paths.features(e.dataset, views[role], encoder, slide) for encoder in e.encoders]
                for role in e.needs.views
            },
        }

    def _check_encoders(self) -> None:
        used = {part for e in self.experiments.values() for part in e.encoders}
        for name in sorted(used | {part for wanted in self.config.features for part in wanted.encoders}):
            encoder = self.config.encoders[name]
            encoders.check(encoder.kind, field=f"encoders.{name}.kind")
            encoders.check_weights(encoder.kind, encoder.weights, field=f"encoders.{name}")
            if encoder.weights not in (None, "hub", "random"):
                weights_file(encoder, repository=self.repository, field=f"encoders.{name}.weights")

    def _check_answers(self) -> None:
        for e in self.experiments.values():
            if e.needs.answers == "expected" and self.config.datasets[e.dataset].generator is None:
                raise DataContractError(
                    "config.yaml",
                    f"methods.{e.entry}",
                    expected=f"a generated dataset, whose true expectation is known, for {e.method}",
                    found=f"{e.dataset}, which is measured",
                    remedy=f"leave {e.entry} out of this dataset's grids; oracle brackets measured data",
                )
            if e.needs.answers == "expected" and self.config.identifiers.names != "published":
                raise DataContractError(
                    "config.yaml",
                    "identifiers.names",
                    expected=f"published, as {e.entry}'s true expectation is named",
                    found=self.config.identifiers.names,
                    remedy=f"leave {e.entry} out of the experiments, or the names as published",
                )

    def _check_subsets(self) -> None:
        """HEG and HVG over a whole cohort need every gene on every slide."""
        for name, protocol in self.config.protocols.items():
            if protocol.subsets.scope == "dataset" and self.config.panels[protocol.panel].missing == "mask":
                raise DataContractError(
                    f"workflow/protocols/{name}.yaml",
                    "subsets.scope",
                    expected=f"train, for panel {protocol.panel} masks genes that a slide does not measure",
                    found="dataset",
                    remedy="set subsets.scope: train, or a panel with missing: error",
                )


def weights_file(encoder: Encoder, *, repository: Path, field: str) -> Path:
    """The file that an encoder's ``weights`` point to, themselves or as the folder that holds the published file.

    Raises ``DataContractError`` where there is none; for a published encoder it says where to ask for it. field: the
    config's key, for the message.
    """
    card = encoders.card(encoder.kind) if encoder.kind in encoders.published() else None
    try:
        path = locate(encoder.weights, repository)
    except DataContractError:
        if card is None:
            raise
        path = Path(encoder.weights)
    path = path / card.file if card is not None and path.is_dir() else path
    if card is not None and not path.is_file():
        raise weights_wanted(card, path="config.yaml", field=field, found=f"no file {path}")
    return path


def leaves(value: Any) -> Iterator[str]:
    """The paths in nested mappings and lists, in order."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value
