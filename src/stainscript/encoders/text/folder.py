"""The published files of a text encoder: found, checked against each other, and loaded strictly."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from stainscript.encoders.base import HUB
from stainscript.encoders.text.base import SECTION, TextCard, weights_wanted
from stainscript.encoders.text.tokens import Tokens
from stainscript.encoders.weights import load_strictly, read_weights
from stainscript.errors import DataContractError

PREFERRED = "model.safetensors"  # where a folder holds it beside the published pickle
CONFIG = "config.json"


def locate(card: TextCard, weights: str | Path, *, revision: str) -> tuple[Path, str]:
    """The folder with the published files, and where they come from in words."""
    if weights == HUB:
        hub = importlib.import_module("stainscript.encoders.text.hub")  # by name: how files come changes no vector
        return hub.cached(card, revision=revision), f"hub: {card.repository} at {revision}"
    folder = Path(weights)
    if not folder.is_dir():
        found = "a file, not its folder" if folder.exists() else "no such folder"
        raise weights_wanted(card, path=folder, field=f"{SECTION}.<name of {card.name}>.weights", found=found)
    return folder, f"folder {folder.name}"


def read_tokens(source: ModuleType, folder: Path, *, rows: int) -> Tokens:
    """The vocabulary, which must have as many rows as the network."""
    card: TextCard = source.CARD
    absent = [name for name in card.others if name != CONFIG and not (folder / name).is_file()]
    if absent:
        raise DataContractError(
            folder,
            "tokeniser",
            expected=", ".join(name for name in card.others if name != CONFIG),
            found=f"no {', '.join(absent)}",
            remedy=f"put it beside the weights; {card.how_to_get}",
        )
    tokens: Tokens = source.tokens(folder)
    if tokens.rows != rows:
        raise DataContractError(
            tokens.source or folder,
            "vocabulary",
            expected=f"{rows} rows, as the weights of {card.name} have",
            found=f"{tokens.rows} rows",
            remedy=f"take the vocabulary from where the weights are: {card.how_to_get}; if it is "
            "theirs, say so in options (vocab_size)",
        )
    return tokens


def check_config(source: ModuleType, folder: Path, shape: dict[str, Any]) -> None:
    """What a configuration says of the network must be so: the number of heads, say, shows in no tensor."""
    path = folder / CONFIG
    if CONFIG not in source.CARD.others or not path.is_file():
        return
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataContractError(
            path, "format", expected="JSON", found=str(error)[:80], remedy="fetch the published file again"
        ) from error
    said = said.get(getattr(source, "CONFIG_PART", ""), said)
    for name, value in shape.items():
        if name in said and said[name] != value:
            raise DataContractError(
                path,
                name,
                expected=f"{value}, as {source.CARD.name} has",
                found=said[name],
                remedy=f"this is another model: name its kind, or fetch {source.CARD.url}",
            )


def read_network(
    source: ModuleType, folder: Path, shape: dict[str, Any], *, sha256: str | None
) -> tuple[torch.nn.Module, str]:
    """The network with its weights, strictly, and the SHA-256 of their file."""
    card: TextCard = source.CARD
    path = next((folder / name for name in (PREFERRED, card.file) if (folder / name).is_file()), None)
    if path is None:
        raise weights_wanted(
            card,
            path=folder,
            field=f"{SECTION}.<name of {card.name}>.weights",
            found=f"neither {PREFERRED} nor {card.file}",
        )
    tensors, identity = read_weights(path, sha256=sha256)
    with torch.device("meta"):  # shapes alone: the file's tensors take their places, nothing is drawn or copied
        network = source.network(shape)
    load_strictly(
        network,
        tensors,
        path=path,
        without=source.LEFT_OUT,
        rename=getattr(source, "rename", None),
        remedy=f"give the published file: {card.how_to_get}",
        assign=True,
    )
    return network, identity
