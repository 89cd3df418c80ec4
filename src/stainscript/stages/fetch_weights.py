"""Stage ``fetch_weights``: the published file of one encoder, from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from stainscript import encoders
from stainscript.encoders import hub


def fetch_weights(*, kind: str, revision: str, sha256: str | None, out: str | Path) -> None:
    """Fetch the weights of the published encoder ``kind`` to the file ``out``, with the user's own token.

    revision: branch, tag or commit; sha256: what the file must hash to, ``None``: what the hub states. Raises
    ``DataContractError`` where the hub does not give the file, with where to ask and where to put it by hand.
    """
    hub.fetch(encoders.card(kind), revision=revision, sha256=sha256, out=out)
