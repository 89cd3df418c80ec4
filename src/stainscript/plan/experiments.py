"""Experiment sets → experiments: every combination of a grid under one readable name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from stainscript import methods
from stainscript.config import Config
from stainscript.errors import DataContractError, unknown_name
from stainscript.types import Needs

NO_ENCODER = "none"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One row of a table: dataset × protocol × method × encoder. Its name is its path under ``results/``."""

    dataset: str
    protocol: str
    entry: str  # name of the method's entry in config.yaml
    encoder: str  # encoder names joined by +, or "none"
    method: str
    options: dict[str, Any] = field(hash=False)
    needs: Needs
    seeds: tuple[int, ...]
    sets: tuple[str, ...]
    unmeasured: bool = False

    @property
    def name(self) -> str:
        return f"{self.dataset}.{self.protocol}.{self.entry}.{self.encoder}"

    @property
    def encoders(self) -> tuple[str, ...]:
        return () if self.encoder == NO_ENCODER else tuple(self.encoder.split("+"))


def expand(config: Config) -> dict[str, Experiment]:
    """All experiments of the chosen sets, by name. One that stands in several grids or sets is one experiment."""
    found: dict[str, Experiment] = {}
    for set_name, chosen in config.experiment_sets.items():
        for grid in chosen.grids:
            for dataset in grid.datasets:
                for protocol in grid.protocols:
                    for entry in grid.methods:
                        for encoder in grid.encoders:
                            made = _experiment(config, set_name, grid, dataset, protocol, entry, encoder)
                            found[made.name] = _merged(found.get(made.name), made)
    return found


def _experiment(
    config: Config, set_name: str, grid: Any, dataset: str, protocol: str, entry: str, encoder: str
) -> Experiment:
    method = config.methods[entry].method
    options, needs = _checked(entry, method, config.methods[entry].options)
    missing = [view for view in needs.views if view not in config.protocols[protocol].views]
    if missing:
        raise DataContractError(
            f"workflow/protocols/{protocol}.yaml",
            "views",
            expected=f"the views that {entry} needs: {', '.join(needs.views)}",
            found=f"no {', '.join(missing)}",
            remedy="add the view to the protocol, or leave the method out of this grid",
        )
    return Experiment(
        dataset=dataset,
        protocol=protocol,
        entry=entry,
        encoder=encoder if needs.views else NO_ENCODER,
        method=method,
        options=options,
        needs=needs,
        seeds=tuple(grid.seeds),
        sets=(set_name,),
        unmeasured=grid.unmeasured and needs.answers is None,
    )


def _merged(old: Experiment | None, new: Experiment) -> Experiment:
    if old is None:
        return new
    values = {**vars(new)}
    values["seeds"] = tuple(sorted({*old.seeds, *new.seeds}))
    values["sets"] = tuple(dict.fromkeys((*old.sets, *new.sets)))
    values["unmeasured"] = old.unmeasured or new.unmeasured
    return Experiment(**values)


def _checked(entry: str, method: str, options: dict[str, Any]) -> tuple[dict[str, Any], Needs]:
    """The method's full option set, validated by its own ``Config``, and what it needs."""
    if method not in methods.names():
        raise unknown_name("config.yaml", f"methods.{entry}.method", method, methods.names())
    made = methods.configure(method, options, field=f"methods.{entry}.options")
    return TypeAdapter(type(made)).dump_python(made, mode="json"), made.needs
