"""Stage ``fetch_text_weights``: the published files of one text encoder, from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from stainscript.encoders import text as text_encoders
from stainscript.encoders.text import hub


def fetch_text_weights(*, kind: str, revision: str, sha256: str | None, out: str | Path) -> None:
    """Fetch weights and vocabulary of the text encoder ``kind`` into the folder ``out``, with the user's own token.

    revision: branch, tag or commit; sha256: what the file of weights must hash to, ``None``: what the hub states.
    Raises ``DataContractError`` where the hub does not give a file, with where to ask and where to put it by hand.
    """
    hub.fetch(text_encoders.card(kind), revision=revision, sha256=sha256, out=out)
