"""Fetch one published file: resumed where it broke off, checked while it streams, complete at its place or absent.

The bytes collect in ``<target>.part``; beside it ``<target>.part.json`` keeps the address and the server's validator
(ETag or Last-Modified), so that a file which changed in between is not spliced. Tokens travel in ``headers`` only:
neither the log nor the sidecar nor an error ever shows a header or an address that a redirect led to.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from stainscript import seeds
from stainscript.downloads.part import Part, Received, check_room, existing, friendly
from stainscript.downloads.server import (
    Passing,
    Reporter,
    blocks_of,
    check_status,
    continues,
    error_of,
    in_words,
    total_bytes,
    validator_of,
)

logger = logging.getLogger(__name__)

PROGRESS_BYTES = 1 << 20  # a broken try that brought so much more does not count against ``attempts``
BACKOFF_CAP_S = 120.0


def download(
    url: str,
    *,
    target: str | Path,
    size: int | None = None,
    sha256: str = "",
    attempts: int = 6,
    backoff_s: float = 2.0,
    timeout_s: float = 60.0,
    headers: Mapping[str, str] | None = None,
    gate: str = "",
    seed: int = 0,
    session: requests.Session | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Received:
    """Fetch ``url`` to ``target``. A file that is there already is checked and kept, never replaced.

    size (bytes), sha256: what it must be, where published. attempts: tries in a row without progress. backoff_s: the
    n-th wait is drawn from 0 to backoff_s · 2ⁿ (full jitter). timeout_s: without an answer or a byte. gate: how to get
    access, for the error. Raises ``DataContractError``: refused or absent at the address, wrong content (its part is
    deleted), given up, no room (its part is kept), no permission.
    """
    target = Path(target)
    with friendly(target):
        if target.exists():
            return existing(target, size=size, sha256=sha256)
        part = Part(target, url)
        target.parent.mkdir(parents=True, exist_ok=True)
        rng = seeds.generator(seed, "download", url)
        own = contextlib.nullcontext(session) if session is not None else requests.Session()
        with own as active:
            failures, furthest = 0, part.size
            while True:
                try:
                    digest = _attempt(
                        url, part, active, size=size, timeout_s=timeout_s, headers=headers or {}, gate=gate, clock=clock
                    )
                    if _is_right(part, digest, url=url, size=size, sha256=sha256):
                        break
                    reason, wait_s = "the resumed file is not the published one: starting again", None
                except (Passing, requests.RequestException) as error:
                    reason, wait_s = in_words(error, timeout_s), getattr(error, "wait_s", None)
                failures = 0 if part.size >= furthest + PROGRESS_BYTES else failures + 1
                furthest = max(furthest, part.size)
                if failures >= attempts:
                    raise error_of(
                        url,
                        "the file",
                        f"{reason}, {attempts} times in a row",
                        "try again later: what has arrived is kept and the download resumes there",
                    )
                if wait_s is None:
                    wait_s = float(rng.uniform(0, min(BACKOFF_CAP_S, backoff_s * 2**failures)))
                logger.warning("%s: %s; next try in %.1f s", url, reason, wait_s)
                sleep(wait_s)
        received = Received(size=part.size, sha256=digest, kept=False)
        part.finish()
    checked = "as published" if sha256 else "no published hash to check"
    logger.info("%s: %d bytes, SHA-256 %s, %s", target, received.size, digest, checked)
    return received


def _attempt(
    url: str,
    part: Part,
    session: requests.Session,
    *,
    size: int | None,
    timeout_s: float,
    headers: Mapping[str, str],
    gate: str,
    clock: Callable[[], float],
) -> str:
    """One request; returns the SHA-256 of the complete part. ``Passing`` or a requests error: try again."""
    validator = part.validator()
    part.resumed = validator is not None
    if part.resumed and part.size == size:
        return part.hashed().hexdigest()
    asked = {"Accept-Encoding": "identity", **headers}
    if part.resumed:
        asked |= {"Range": f"bytes={part.size}-", "If-Range": validator}
    with session.get(url, headers=asked, stream=True, timeout=timeout_s) as response:
        check_status(response, url, part, gate=gate)
        if not part.resumed or response.status_code != 206 or not continues(response, part, validator):
            if response.status_code == 206:
                part.drop()
                raise Passing("the server sent another piece than the one asked for")
            part.resumed = False
            part.begin(validator_of(response))
        total = total_bytes(response, part)
        if size is not None and total is not None and total != size:
            part.drop()
            raise error_of(url, f"{size} bytes", f"{total} bytes", "another file is published there: see the manifest")
        total = size if total is None else total
        check_room(part, total)
        digest, reporter = part.hashed(), Reporter(url, part.size, total, clock)
        for block in part.append(blocks_of(response)):
            digest.update(block)
            reporter.add(len(block))
            if size is not None and reporter.have > size:
                break  # wrong already
    if total is not None and part.size < total:
        raise Passing(f"the connection ended after {part.size} of {total} bytes")
    return digest.hexdigest()


def _is_right(part: Part, digest: str, *, url: str, size: int | None, sha256: str) -> bool:
    """False where a resumed part must be fetched afresh; raises where a fresh one is wrong."""
    wrong = "size" if size is not None and part.size != size else "SHA-256" if sha256 and digest != sha256 else None
    if wrong is None:
        return True
    found = f"{part.size} bytes" if wrong == "size" else digest
    part.drop()
    if part.resumed:
        return False
    expected = f"{size} bytes" if wrong == "size" else f"SHA-256 {sha256}"
    raise error_of(
        url, expected, f"{found} (deleted)", "another file is published there now, or it was altered on the way"
    )
