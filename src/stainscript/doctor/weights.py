"""Encoders' weights: are they here, are they whole, under which licence, and where to ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from stainscript import encoders
from stainscript.artifacts.files import file_sha256
from stainscript.config import Config, Encoder
from stainscript.doctor.findings import Finding, from_error, size
from stainscript.doctor.machine import has_token
from stainscript.encoders.base import HUB, RANDOM, Card
from stainscript.errors import StainscriptError
from stainscript.plan import paths
from stainscript.plan.cohorts import locate

YES = ("1", "true", "yes", "on")  # of HF_HUB_OFFLINE, as the hub's client reads it


def weights(config: Config, names: Iterable[str], *, repository: Path) -> list[Finding]:
    """One finding an encoder in use."""
    return [_of(name, config.encoders[name], repository) for name in sorted(names)]


def card_of(kind: str) -> Card | None:
    """The published encoder's card; ``None`` for timm's models, for ``morphology`` and for a misspelt kind."""
    return encoders.card(kind) if kind in encoders.published() else None


def on_hub(kind: str) -> bool:
    """Whether the published encoder's weights are on the hub."""
    card = card_of(kind)
    return card is not None and card.repository is not None


def to_fetch(config: Config, names: Iterable[str]) -> list[Card]:
    """Cards of the encoders whose weights a run will fetch from the hub."""
    return [
        card
        for name in names
        if config.encoders[name].weights == HUB
        and (card := card_of(config.encoders[name].kind)) is not None
        and not Path(paths.weights(name, card.file)).is_file()
    ]


def _of(name: str, entry: Encoder, repository: Path) -> Finding:
    subject = f"{name} ({entry.kind})" if name != entry.kind else name
    try:
        encoders.check(entry.kind, field=f"encoders.{name}.kind")
        encoders.check_weights(entry.kind, entry.weights, field=f"encoders.{name}")
    except StainscriptError as error:
        return from_error(error, subject=subject)
    card = card_of(entry.kind)
    licence = f"licence: {card.licence}" if card is not None else "licence: see where the weights come from"
    if not encoders.needs_gpu(entry.kind):
        return Finding(level="ok", subject=subject, found="needs no weights")
    if entry.weights in (None, RANDOM):
        found = f"random weights from seed {entry.seed}: an untrained network"
        return Finding(level="note", subject=subject, found=found)
    if card is not None and entry.weights == HUB:
        return _on_hub(name, subject, card, licence)
    return _on_disk(name, subject, entry, card, licence, repository)


def _on_hub(name: str, subject: str, card: Card, licence: str) -> Finding:
    by_hand = f"or put its {card.file} anywhere and set encoders.{name}.weights to the path"
    if Path(paths.weights(name, card.file)).is_file():
        return Finding(level="ok", subject=subject, found=f"fetched before; {licence}")
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in YES:
        remedy = f"unset HF_HUB_OFFLINE, {by_hand} ({card.url})"
        return Finding(
            level="missing", subject=subject, found=f"on the hub, and HF_HUB_OFFLINE is set; {licence}", remedy=remedy
        )
    if card.gated and not has_token():
        remedy = f"ask for access at {card.url}, then set HF_TOKEN or run 'hf auth login'; {by_hand}"
        return Finding(level="missing", subject=subject, found=f"gated, and no token here; {licence}", remedy=remedy)
    amount = f"about {size(4 * card.parameters)}"
    if card.gated:
        found = f"to be fetched from the hub ({amount}) with the token found here; {licence}"
        remedy = f"whether its account was granted access shows when it is fetched; if not: {card.url}"
        return Finding(level="note", subject=subject, found=found, remedy=remedy)
    return Finding(level="ok", subject=subject, found=f"to be fetched from the hub ({amount}), not gated; {licence}")


def _on_disk(name: str, subject: str, entry: Encoder, card: Card | None, licence: str, repository: Path) -> Finding:
    ask = f"correct encoders.{name}.weights to a file of weights"
    if card is not None:
        ask = f"{card.how_to_get}; set encoders.{name}.weights to its path or folder"

    def absent(found: str, remedy: str = ask) -> Finding:
        return Finding(level="missing", subject=subject, found=f"{found}; {licence}", remedy=remedy)

    try:
        path = locate(str(entry.weights), repository)
    except StainscriptError:
        return absent(f"no file {entry.weights}")
    if path.is_dir() and card is None:
        return absent(f"{path} is a folder")
    path = path / card.file if path.is_dir() and card is not None else path
    if not path.is_file():
        return absent(f"no file {path}")
    held = path.stat().st_size
    if card is not None and held < card.parameters:  # a byte a parameter would be too few already
        again = "copy or fetch the file again; a few hundred bytes are a Git LFS pointer, not the weights"
        return absent(f"{path} has {held:,} bytes, too few for {card.parameters:,} parameters", again)
    if entry.weights_sha256 and (sha256 := file_sha256(path)) != entry.weights_sha256:
        again = f"fetch the file again, or correct encoders.{name}.weights_sha256 if another version is meant"
        return absent(f"{path} hashes to {sha256}, not to {entry.weights_sha256}", again)
    checked = ", hash as configured" if entry.weights_sha256 else ""
    return Finding(level="ok", subject=subject, found=f"{path}{checked}; {licence}")
