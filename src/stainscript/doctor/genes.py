"""What gene inputs need from outside: published tables, addresses and keys in the environment, weights for texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stainscript.config import Config, DescriptionRule, Ncbi, Reference
from stainscript.config.references import BUILTIN
from stainscript.doctor.findings import Finding, from_error
from stainscript.doctor.machine import has_token
from stainscript.encoders import text as text_encoders
from stainscript.encoders.base import HUB, RANDOM
from stainscript.errors import StainscriptError
from stainscript.plan import paths
from stainscript.plan.cohorts import locate


def genes(config: Config, *, datasets: list[str], repository: Path) -> list[Finding]:
    """One finding a table, a kind of description and a text encoder that a run on ``datasets`` reads."""
    described = sorted({name for grid in config.genes for name in grid.descriptions})
    encoders = sorted({name for grid in config.genes for name in grid.text_encoders})
    return [
        *(_reference(name, config.references[name], repository) for name in _references(config, datasets)),
        *(_description(name, config.descriptions[name]) for name in described),
        *(_text_encoder(name, config, repository) for name in encoders),
    ]


def _references(config: Config, datasets: list[str]) -> list[str]:
    """Tables that jobs will read: of the datasets' species, of the protocols' panels, and of what the grids ask for."""

    def named() -> Iterator[str | None]:
        yield from (getattr(config.identifiers, config.datasets[name].species) for name in datasets)
        yield from (config.panels[protocol.panel].vocabulary for protocol in config.protocols.values())
        for grid in config.genes:
            for rule in (config.tokens[name] for name in grid.tokens):
                yield from (rule.vocabulary, rule.symbols, rule.means)
            yield from (config.groups[name].gene_sets for name in grid.groups)
            yield from (config.descriptions[name].gene_sets for name in grid.descriptions)
            for pathways in (config.pathways[name] for name in grid.pathways):
                yield from (pathways.gene_sets, pathways.universe_file)
        for chosen in config.experiment_sets.values():
            yield from (config.pathways[name].gene_sets for name in chosen.pathways)

    return sorted({name for name in named() if name not in (None, BUILTIN)})


def _reference(name: str, entry: Reference, repository: Path) -> Finding:
    subject = f"references.{name}"
    if entry.file is not None:
        try:
            return Finding(level="ok", subject=subject, found=f"{locate(entry.file, repository)}; {entry.licence}")
        except StainscriptError as error:
            return from_error(error, subject=subject)
    if Path(paths.reference(name, entry.published_name)).is_file():
        return Finding(level="ok", subject=subject, found=f"fetched before; licence: {entry.licence}")
    source = entry.url or f"MSigDB {entry.release}, {entry.msigdb}"
    return Finding(level="note", subject=subject, found=f"to be fetched: {source}; licence: {entry.licence}")


def _description(name: str, entry: DescriptionRule) -> Finding:
    """A variable that is not set is missing; its value is never looked at beyond that."""
    subject = f"descriptions.{name}"
    asked = (entry.ncbi or Ncbi()) if entry.source == "ncbi" else None
    wanted = [] if asked is None else [asked.email_env]
    wanted += [entry.rewrite.key_env] if entry.rewrite is not None and entry.rewrite.key_env is not None else []
    absent = [variable for variable in wanted if not os.environ.get(variable, "").strip()]
    if absent:
        remedy = f"export {' and '.join(absent)}, or describe genes offline (source: names)"
        return Finding(level="missing", subject=subject, found=f"{', '.join(absent)} not set", remedy=remedy)
    where = [asked.base_url] if asked is not None else []
    where += [f"{entry.rewrite.base_url} ({entry.rewrite.model})"] if entry.rewrite is not None else []
    if not where:
        return Finding(level="ok", subject=subject, found="offline")
    return Finding(level="note", subject=subject, found=f"asks {' and '.join(where)} for what is not kept yet")


def _text_encoder(name: str, config: Config, repository: Path) -> Finding:
    entry, subject = config.text_encoders[name], f"text_encoders.{name}"
    try:
        text_encoders.check(entry.kind, field=f"{subject}.kind")
        text_encoders.check_weights(entry.kind, entry.weights, field=subject)
        if entry.weights not in (None, HUB, RANDOM):
            return Finding(level="ok", subject=subject, found=str(locate(entry.weights, repository)))
    except StainscriptError as error:
        return from_error(error, subject=subject)
    card = text_encoders.card(entry.kind)
    if entry.weights is None:
        return Finding(level="ok", subject=subject, found="needs no weights")
    if entry.weights == RANDOM:
        return Finding(level="note", subject=subject, found=f"random weights from seed {entry.seed}")
    if Path(paths.text_weights(name)).is_dir():
        return Finding(level="ok", subject=subject, found=f"fetched before; licence: {card.licence}")
    if card.gated and not has_token():
        remedy = f"ask for access at {card.url}, then set HF_TOKEN; or name a folder with its files as weights"
        found = f"gated, and no token here; licence: {card.licence}"
        return Finding(level="missing", subject=subject, found=found, remedy=remedy)
    return Finding(level="note", subject=subject, found=f"to be fetched from {card.url}; licence: {card.licence}")
