"""The whole config, and the check that every name in it leads somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from stainscript.config.base import Name, Strict
from stainscript.config.experiments import ExperimentSet, Hardware, MethodEntry, Protocol, Split
from stainscript.config.genes import (
    DescriptionRule,
    EnrichmentRule,
    GroupRule,
    PanelRule,
    PathwayRule,
    ProgrammeRule,
    Statistics,
    TextEncoder,
    TokenRule,
)
from stainscript.config.images import Dataset, Encoder, FeatureGrid, Quality, View
from stainscript.config.references import BUILTIN, GeneGrid, Identifiers, Reference
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
    references: dict[Name, Reference] = Field(default_factory=dict)
    identifiers: Identifiers = Identifiers()
    statistics: Statistics = Statistics()
    tokens: dict[Name, TokenRule] = Field(default_factory=dict)
    groups: dict[Name, GroupRule] = Field(default_factory=dict)
    pathways: dict[Name, PathwayRule] = Field(default_factory=dict)
    enrichment: EnrichmentRule = EnrichmentRule()
    programmes: ProgrammeRule = ProgrammeRule()
    descriptions: dict[Name, DescriptionRule] = Field(default_factory=dict)
    text_encoders: dict[Name, TextEncoder] = Field(default_factory=dict)
    gene_text_cache: str = Field("cache/gene_text.jsonl", description="what was fetched and paid for; outlives results")
    genes: tuple[GeneGrid, ...] = Field((), description="gene inputs to make besides what experiments need")
    hardware: Hardware = Hardware()
    quality: Quality = Quality()
    keep_patches: bool = False
    download: tuple[Name, ...] = Field((), description="datasets that the target download fetches into their root")
    bootstrap: int = Field(2000, ge=0, description="patient-level bootstrap resamples; 0: no intervals")
    protocols: dict[Name, Protocol] = Field(default_factory=dict)
    experiment_sets: dict[Name, ExperimentSet] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        if not (self.experiments or self.features or self.genes or self.download):
            raise ValueError("experiments, features, genes or download, else there is nothing to do")
        for name in self.download:
            check_known("config.yaml", "download", name, self.datasets)
        for section in ("features", "genes"):
            for number, wanted in enumerate(getattr(self, section)):
                for noun in sorted(set(type(wanted).model_fields) & set(Config.model_fields) - {"statistics"}):
                    for value in getattr(wanted, noun):
                        check_known("config.yaml", f"{section}.{number}.{noun}", value, getattr(self, noun))
        self._references_resolve()
        for name, protocol in self.protocols.items():
            path = f"workflow/protocols/{name}.yaml"
            for noun, value in (("panel", protocol.panel), ("split", protocol.split)):
                check_known(path, noun, value, getattr(self, noun + "s"))
            for role, view in protocol.views.items():
                check_known(path, f"views.{role}", view, self.views)
        for name, chosen in self.experiment_sets.items():
            path = f"workflow/experiments/{name}.yaml"
            for value in chosen.pathways:
                check_known(path, "pathways", value, self.pathways)
            for grid in chosen.grids:
                for noun in ("datasets", "protocols", "methods"):
                    for value in getattr(grid, noun):
                        check_known(path, noun, value, getattr(self, noun))
                for value in grid.encoders:
                    for part in value.split("+"):
                        check_known(path, "encoders", part, self.encoders)
        return self

    def _references_resolve(self) -> None:
        """Every table that a section names is one of ``references``."""
        named: list[tuple[str, str | None]] = [
            (f"identifiers.{species}", getattr(self.identifiers, species)) for species in ("human", "mouse")
        ]
        named += [(f"panels.{name}.vocabulary", panel.vocabulary) for name, panel in self.panels.items()]
        keys = {
            "tokens": ("vocabulary", "symbols", "means"),
            "groups": ("gene_sets",),
            "pathways": ("gene_sets", "universe_file"),
            "descriptions": ("gene_sets",),
        }
        for section, fields in keys.items():
            for name, entry in getattr(self, section).items():
                named += [(f"{section}.{name}.{field}", getattr(entry, field)) for field in fields]
        for field, value in named:
            if value not in (None, BUILTIN):
                check_known("config.yaml", field, value, self.references)


def check_known(path: str | Path, field: str, name: str, known: Any) -> None:
    """Raise ``DataContractError`` with the near alternatives unless ``name`` is one of ``known``."""
    if name not in known:
        raise unknown_name(path, field, name, known)
