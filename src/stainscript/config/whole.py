"""The whole config, and the check that every name in it leads somewhere."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from stainscript.config.base import Name, Strict
from stainscript.config.experiments import ExperimentSet, Hardware, MethodEntry, Protocol, Split
from stainscript.config.genes import PanelRule
from stainscript.config.images import Dataset, Encoder, FeatureGrid, Quality, View
from stainscript.errors import unknown_name

FROM_FILES = ("protocols", "experiment_sets")  # keys of the whole config that config.yaml itself may not hold


class Config(Strict):
    """The whole config: ``config.yaml`` with the protocols and experiment sets it names."""

    experiments: tuple[Name, ...] = ()
    features: tuple[FeatureGrid, ...] = Field((), description="features to make besides what experiments need")
    datasets: dict[Name, Dataset]
    views: dict[Name, View]
    encoders: dict[Name, Encoder]
    splits: dict[Name, Split]
    panels: dict[Name, PanelRule]
    methods: dict[Name, MethodEntry]
    hardware: Hardware = Hardware()
    quality: Quality = Quality()
    keep_patches: bool = False
    download: tuple[Name, ...] = Field((), description="datasets that the target download fetches into their root")
    bootstrap: int = Field(2000, ge=0, description="patient-level bootstrap resamples; 0: no intervals")
    protocols: dict[Name, Protocol] = Field(default_factory=dict)
    experiment_sets: dict[Name, ExperimentSet] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        if not (self.experiments or self.features or self.download):
            raise ValueError("experiments, features or download, else there is nothing to do")
        for name in self.download:
            check_known("config.yaml", "download", name, self.datasets)
        for number, wanted in enumerate(self.features):
            for noun in ("datasets", "views", "encoders"):
                for value in getattr(wanted, noun):
                    check_known("config.yaml", f"features.{number}.{noun}", value, getattr(self, noun))
        for name, protocol in self.protocols.items():
            path = f"workflow/protocols/{name}.yaml"
            for noun, value in (("panel", protocol.panel), ("split", protocol.split)):
                check_known(path, noun, value, getattr(self, noun + "s"))
            for role, view in protocol.views.items():
                check_known(path, f"views.{role}", view, self.views)
        for name, chosen in self.experiment_sets.items():
            path = f"workflow/experiments/{name}.yaml"
            for grid in chosen.grids:
                for noun in ("datasets", "protocols", "methods"):
                    for value in getattr(grid, noun):
                        check_known(path, noun, value, getattr(self, noun))
                for value in grid.encoders:
                    for part in value.split("+"):
                        check_known(path, "encoders", part, self.encoders)
        return self


def check_known(path: str, field: str, name: str, known: Any) -> None:
    """Raise ``DataContractError`` with the near alternatives unless ``name`` is one of ``known``."""
    if name not in known:
        raise unknown_name(path, field, name, known)
