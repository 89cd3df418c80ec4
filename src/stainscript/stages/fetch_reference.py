"""Stage ``fetch_reference``: one published table of genes or gene sets, checked, and logged with its licence."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import file_sha256, write_json
from stainscript.downloads.fetch import download
from stainscript.downloads.server import NotThere
from stainscript.errors import DataContractError
from stainscript.stages.fetch_gene_sets import fetch_gene_sets

logger = logging.getLogger(__name__)


def fetch_reference(*, reference: Mapping[str, Any], out: str | Path, options: Mapping[str, Any] | None = None) -> None:
    """Fetch a reference to the file ``out``, completely or not at all, with its record ``<out>.json`` beside it.

    reference: url, or msigdb with its release; sha256 (``None``: not known beforehand, the record states what came);
    licence; options: of ``downloads.fetch.download``. Raises ``DataContractError`` where the address does not give the
    file or its content differs, with the remedy to name a copy of your own.
    """
    out = Path(out)
    by_hand = f"download it by hand and name it under references, as file; licence: {reference['licence']}"
    if reference["msigdb"] is not None:
        fetch_gene_sets(collection=reference["msigdb"], version=reference["release"], out=out)
        _check(out, reference["sha256"], source=reference["msigdb"], remedy=by_hand)
    else:
        url, wanted = reference["url"], {"sha256": reference["sha256"] or "", "gate": by_hand, **(options or {})}
        try:
            received = download(url, target=out, **wanted)
        except NotThere:
            moved = f"the address has changed: correct url, or {by_hand}"
            raise _wrong(url, "download", "a file", "HTTP 404, there is none", moved) from None
        with out.open("rb") as handle:
            head = handle.read(64).lstrip().lower()
        if head.startswith((b"<!doctype", b"<html")):
            out.unlink()
            moved = f"the address asks for a login or has moved: {by_hand}"
            raise _wrong(url, "content", "a table", "a web page", moved)
        facts = {"url": url, "release": reference["release"], "licence": reference["licence"]}
        write_json(f"{out}.json", facts | {"size": received.size, "sha256": received.sha256})
    logger.info("%s: licence: %s", out, reference["licence"])


def _check(path: Path, sha256: str | None, *, source: str, remedy: str) -> None:
    found = file_sha256(path)
    if sha256 not in (None, found):
        path.unlink()
        raise _wrong(source, "SHA-256", sha256, found, f"correct sha256 of the reference, or {remedy}")


def _wrong(path: str, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
