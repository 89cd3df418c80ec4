"""Asking a server again: which failures may go by, how long to wait, when to stop."""

from __future__ import annotations

import email.utils
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from stainscript import seeds
from stainscript.downloads.server import PASSING, RETRY_AFTER_CAP_S, Passing
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

BACKOFF_CAP_S = 120.0
Answer = TypeVar("Answer")


class Stopped(Exception):
    """Another thread has failed; this one's question is not asked again."""


def persist(
    ask: Callable[[], Answer],
    *,
    where: str,
    attempts: int,
    backoff_s: float,
    sleep: Callable[[float], object],
    stop: threading.Event | None = None,
    stream: int = 0,
) -> Answer:
    """The answer of ``ask``, asked again while it raises ``Passing``, ``attempts`` times in a row at most.

    The n-th wait is what the server asked for, else drawn from 0 to backoff_s · 2ⁿ (full jitter). where: the address,
    for log and error. stop: set by another thread that has failed; then no further try is made and ``Stopped`` raised.
    stream: tells the waits of threads apart. Raises ``DataContractError`` when every try failed, and does so outside
    the handler: no library exception with a request (and its headers) inside hangs on it.
    """
    rng = seeds.generator(0, "retry", where, stream)
    for number in range(1, attempts + 1):
        reason, wait_s = "", None
        try:
            return ask()
        except Passing as failure:
            reason, wait_s = str(failure), failure.wait_s
        if number == attempts:
            break
        if wait_s is None:
            wait_s = float(rng.uniform(0, min(BACKOFF_CAP_S, backoff_s * 2**number)))
        logger.warning("%s: %s; next try in %.1f s", where, reason, wait_s)
        sleep(wait_s)
        if stop is not None and stop.is_set():
            raise Stopped(where)
    raise DataContractError(
        where,
        "answer",
        expected="an answer",
        found=f"{reason}, {number} times in a row",
        remedy="try again later: what has been answered is kept and is not asked for again",
    )


def passes(status: int) -> bool:
    """Whether a failure with this HTTP status may go by."""
    return status in PASSING or status >= 500


def retry_after(headers: Mapping[str, str], *, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that the server asks to wait (``Retry-After``: seconds or a date), capped; None where it does not."""
    asked = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", asked):
        return min(float(asked), RETRY_AFTER_CAP_S)
    try:
        at = email.utils.parsedate_to_datetime(asked).timestamp()
    except (TypeError, ValueError):
        return None
    return min(max(at - now(), 0.0), RETRY_AFTER_CAP_S)


def masked(text: str, secret: str | None, *, pieces: bool = False) -> str:
    """``text`` without the secret and, on request, without longer pieces of it.

    What is shorter than 8 characters is no secret but what local endpoints are given for one (``EMPTY``, ``ollama``).
    """
    if secret is None or len(secret) < 8:
        return text
    text = text.replace(secret, "***")
    if pieces:
        text = re.sub(r"[\w-]{6,}", lambda word: "***" if word.group() in secret else word.group(), text)
    return text
