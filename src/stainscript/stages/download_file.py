"""One published file → its place in the dataset's root, and a record of what it is."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stainscript.artifacts.files import file_sha256, write_json
from stainscript.downloads.fetch import download
from stainscript.downloads.part import Received, friendly
from stainscript.downloads.server import NotThere
from stainscript.downloads.sources import STAGING, Source
from stainscript.downloads.unpack import DamagedArchive, unpack
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

TOKEN_HOST = "huggingface.co"


def download_file(
    *,
    dataset: str,
    source: Mapping[str, Any],
    root: str | Path,
    out: str | Path,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Fetch, check and unpack one row of the dataset's manifest, then write its record ``out`` (JSON).

    source: fields of ``sources.Source``, templates filled in; root: the dataset's folder, made if absent; options: of
    ``download``. The data are the user's: a file in place is checked and kept, one of other content is an error, and
    nothing is ever overwritten or deleted but what this stage itself left half done. An optional file that is not
    published is recorded as absent. A token in the environment's
    HF_TOKEN goes to the Hugging Face hub alone.
    """
    row, root = Source(**source), Path(root).expanduser()
    logger.info("%s: %s; licence: %s", dataset, row.path, row.licence)
    place = root / row.path
    record = {"dataset": dataset, "path": row.path, "url": row.url, "licence": row.licence, "unpack": row.unpack}
    try:
        if not row.url:
            received = _by_hand(row, place)
        elif row.unpack:
            received, record["members"] = _archive(row, root, place, options or {})
        else:
            received = _fetch(row, place, options or {})
    except NotThere:
        if not row.optional:
            raise
        logger.info("%s: not published, and not needed", row.url)
        write_json(out, record | {"absent": True})
        return
    record |= {"size": received.size, "sha256": received.sha256, "kept": received.kept}
    write_json(out, record | {"checked": bool(row.sha256)})


def _fetch(row: Source, target: Path, options: Mapping[str, Any]) -> Received:
    return download(
        row.url,
        target=target,
        size=row.size,
        sha256=row.sha256,
        gate=row.gate,
        headers=_token_header(row.url),
        **options,
    )


def _archive(row: Source, root: Path, place: Path, options: Mapping[str, Any]) -> tuple[Received, list[str]]:
    """Through a staging folder in the root, so that the bytes to resume survive a kill and no half is in place."""
    staging = root / STAGING / f"{hashlib.sha256(row.url.encode()).hexdigest()[:16]}.{row.unpack}"
    received = _fetch(row, staging, options)
    with friendly(place):
        try:
            members = unpack(staging, kind=row.unpack, target=place, members=row.members, gate=row.gate)
        except DamagedArchive:
            staging.unlink()  # kept, it would be taken for the published one
            raise
        staging.unlink()
        if not any(staging.parent.iterdir()):
            staging.parent.rmdir()
    logger.info("%s: %d files unpacked", place, len(members))
    return received, members


def _by_hand(row: Source, place: Path) -> Received:
    if not place.is_file():
        raise DataContractError(
            place, "file", expected="a file put there by hand: it has no public address", found="none", remedy=row.gate
        )
    received = Received(size=place.stat().st_size, sha256=file_sha256(place), kept=True)
    if row.sha256 and received.sha256 != row.sha256:
        raise DataContractError(place, "SHA-256", expected=row.sha256, found=received.sha256, remedy=row.gate)
    return received


def _token_header(url: str) -> dict[str, str]:
    token, parts = os.environ.get("HF_TOKEN", "").strip(), urlsplit(url)
    if not token or (parts.scheme, parts.hostname) != ("https", TOKEN_HOST):
        return {}
    return {"Authorization": f"Bearer {token}"}
