"""Weights from the Hugging Face hub, with the user's own token, which goes into the request and nowhere else."""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile
from pathlib import Path

from huggingface_hub import get_token, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from stainscript.artifacts.files import complete_file, file_sha256
from stainscript.encoders.base import HUB, Card, weights_wanted
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(card: Card, *, revision: str, sha256: str | None, out: str | Path, section: str = "encoders") -> str:
    """The card's published file at ``out``, complete or not at all; returns its SHA-256.

    revision: branch, tag or commit of the repository; sha256: what the file must hash to; section: the config's, for
    errors. The hub's address is ``HF_ENDPOINT`` where that is set, the token ``HF_TOKEN`` or the file that
    ``hf auth login`` writes. Raises ``DataContractError`` for a gate (no token, a refused one, no access granted), an
    unknown revision or file, no connection, and another hash.
    """
    out = Path(out)
    if card.repository is None:
        raise weights_wanted(card, path="config.yaml", field=f"{section}.<name of {card.name}>.weights", found=HUB)
    with complete_file(out) as temporary:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".partial-", suffix=f"-{out.name}") as folder:
            arrived = _download(card, revision=revision, folder=folder, section=section)
            commit, etag = _recorded(arrived, card)
            arrived.replace(temporary)
        found = file_sha256(temporary)
        expected = sha256 or (etag if _SHA256.fullmatch(etag) else found)
        if found != expected:
            raise DataContractError(
                out,
                "weights_sha256",
                expected=expected,
                found=found,
                remedy=f"the file of {card.url} at {commit} is another one: pin {section}.<name>.revision, correct "
                "weights_sha256, or fetch it again if the hub itself stated this hash",
            )
        size = temporary.stat().st_size
    logger.info("fetched %s of %s at %s: %d bytes, %s", card.file, card.repository, commit, size, card.licence)
    return found


def _download(card: Card, *, revision: str, folder: str, section: str) -> Path:
    try:
        return Path(
            hf_hub_download(
                card.repository,
                card.file,
                revision=revision,
                local_dir=folder,
                endpoint=os.environ.get("HF_ENDPOINT"),
                token=get_token() or False,
            )
        )
    except (HTTPError, EntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise  # a matter of the disk, which complete_file explains
        raise explained(error, card, revision=revision, section=section) from error


def explained(error: Exception, card: Card, *, revision: str, section: str) -> DataContractError:
    """The hub's answer as an error that says what to do."""
    by_hand = f"or bring it by hand: {card.how_to_get}, and set {section}.<name>.weights to its path"
    status = getattr(getattr(error, "response", None), "status_code", None)
    field, expected = f"weights of {card.name}", f"{card.file} at revision {revision}"
    if isinstance(error, GatedRepoError) or (isinstance(error, RepositoryNotFoundError) and card.gated):
        expected = f"access to {card.url}, which is gated ({card.licence})"
        if get_token() is None:
            found = "no token: neither HF_TOKEN nor a token file"
            remedy = f"ask for access at {card.url}, then set HF_TOKEN or run 'hf auth login'"
        else:
            found = "a token whose owner was not granted access"
            remedy = f"ask for access at {card.url} with the account that the token belongs to, and wait for the grant"
    elif status == 401:
        found, remedy = "a token that the hub refuses", "make a new token (read access) and set HF_TOKEN to it"
    elif isinstance(error, RevisionNotFoundError):
        field, expected = f"revision of {card.name}", f"a branch, tag or commit of {card.url}"
        found, remedy = repr(revision), f"correct {section}.<name>.revision; main is the newest"
    elif isinstance(error, LocalEntryNotFoundError):
        found = "no connection to the hub"
        remedy = "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or run this rule where there is a network"
    elif isinstance(error, EntryNotFoundError):
        found, remedy = "no such file there", f"correct {section}.<name>.revision"
    else:
        found, remedy = f"HTTP status {status}" if status else type(error).__name__, "try again later"
    return DataContractError(card.url, field, expected=expected, found=found, remedy=f"{remedy}; {by_hand}")


def _recorded(arrived: Path, card: Card) -> tuple[str, str]:
    """Commit and ETag that the hub stated, from the note that its library leaves beside the file."""
    note = arrived.parent / ".cache" / "huggingface" / "download" / f"{card.file}.metadata"
    lines = note.read_text(encoding="utf-8").splitlines() if note.is_file() else []
    return (lines[0], lines[1]) if len(lines) > 1 else ("an unknown commit", "")
