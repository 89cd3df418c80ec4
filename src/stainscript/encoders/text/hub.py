"""The files of a text encoder from where they are published, with the user's own token."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from huggingface_hub import get_token, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HTTPError

from stainscript.artifacts.files import complete_folder
from stainscript.downloads.fetch import download
from stainscript.encoders import hub
from stainscript.encoders.text.base import SECTION, TextCard

ATTEMPTS = 3  # tries in a row of a small file


def fetch(card: TextCard, *, revision: str, sha256: str | None, out: str | Path) -> str:
    """All files of the card in the folder ``out``, complete or not at all; returns the SHA-256 of the weights.

    revision: branch, tag or commit of the repository; sha256: what the weights must hash to. Raises
    ``DataContractError`` as ``encoders.hub.fetch`` does.
    """
    with complete_folder(out) as folder:
        identity = hub.fetch(card, revision=revision, sha256=sha256, out=folder / card.file, section=SECTION)
        for name in _on_the_hub(card):
            one = dataclasses.replace(card, file=name)
            hub.fetch(one, revision=revision, sha256=None, out=folder / name, section=SECTION)
        _elsewhere(card, folder)
    return identity


def cached(card: TextCard, *, revision: str) -> Path:
    """The folder of the hub's own cache (``HF_HOME``) that holds all files of the card, fetched where they are absent.

    Raises ``DataContractError`` for a gate, an unknown revision or file, and no connection.
    """
    arrived = Path()
    for name in (card.file, *_on_the_hub(card)):
        try:
            arrived = Path(
                hf_hub_download(
                    card.repository,
                    name,
                    revision=revision,
                    endpoint=os.environ.get("HF_ENDPOINT"),
                    token=get_token() or False,
                )
            )
        except (HTTPError, EntryNotFoundError, OSError) as error:
            if isinstance(error, OSError) and error.errno in hub.DISK_ERRORS:
                raise
            wanted = dataclasses.replace(card, file=name)
            raise hub.explained(error, wanted, revision=revision, section=SECTION) from error
    _elsewhere(card, arrived.parent)
    return arrived.parent


def _on_the_hub(card: TextCard) -> tuple[str, ...]:
    return card.others if card.elsewhere is None else ()


def _elsewhere(card: TextCard, folder: Path) -> None:
    """The vocabulary that is published apart from the weights, beside them; one that is there is checked and kept."""
    if card.elsewhere is not None:
        url, sha256 = card.elsewhere
        download(url, target=folder / card.others[0], sha256=sha256, attempts=ATTEMPTS)
