"""What a server's answer means for a download: go on, wait, give up, and how to say so without showing a secret."""

from __future__ import annotations

import email.utils
import logging
import time
from collections.abc import Callable, Iterator

import requests
import urllib3.exceptions

from stainscript.downloads.part import BLOCK_BYTES, Part
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

RETRY_AFTER_CAP_S = 600.0
REPORT_EVERY_S = 5.0
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may go by


class NotThere(DataContractError):
    """The server says that there is no such file."""


class Passing(Exception):
    """A failure that may go by; ``wait_s`` is what the server asked for, or ``None``."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


def check_status(response: requests.Response, url: str, part: Part, *, gate: str) -> None:
    status = response.status_code
    if status in (401, 403):
        where = gate or "the publisher's page of this data set says who may have it"
        raise error_of(url, "access", f"HTTP {status}, the server refuses", f"accept the licence or sign in: {where}")
    if status in (404, 410):
        found = f"HTTP {status}, there is none"
        remedy = "the address has changed: correct the manifest"
        raise NotThere(url, "download", expected="a file", found=found, remedy=remedy)
    if status == 416:
        part.drop()
        raise Passing("the server has fewer bytes than have arrived: starting again")
    if status in PASSING or status >= 500:
        raise Passing(f"HTTP {status}", _retry_after(response))
    if status not in (200, 206):
        raise error_of(url, "a file", f"HTTP {status}", "open the address in a browser and correct the manifest")
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind == "text/html" and part.target.suffix.lower() not in (".html", ".htm"):
        raise error_of(
            url, "a file", "a web page (text/html)", gate or "open the address in a browser: it may ask something"
        )


def continues(response: requests.Response, part: Part, validator: str | None) -> bool:
    """Whether a 206 answer starts where the part ends, and is of the same file."""
    same = validator_of(response) in (validator, None)
    return same and response.headers.get("Content-Range", "").startswith(f"bytes {part.size}-")


def validator_of(response: requests.Response) -> str | None:
    """What If-Range may carry: a strong ETag, else the date of change."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return None  # ranges would count encoded bytes
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def total_bytes(response: requests.Response, part: Part) -> int | None:
    """Bytes of the whole file, where the server says so."""
    length = response.headers.get("Content-Length", "")
    if not length.isdigit() or response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    return part.size + int(length)


def blocks_of(response: requests.Response) -> Iterator[bytes]:
    """The body as it arrives: what came before a break is handed on (a read of full blocks would lose it)."""
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    try:
        while block := response.raw.read1(BLOCK_BYTES, decode_content=encoded):
            yield block
    except urllib3.exceptions.TimeoutError as error:
        raise requests.Timeout from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError from error


class Reporter:
    """A line in the log every few seconds: share, MB/s, time left."""

    def __init__(self, url: str, have: int, total: int | None, clock: Callable[[], float]) -> None:
        self.url, self.start, self.have, self.total, self.clock = url, have, have, total, clock
        self.began = self.last = clock()

    def add(self, count: int) -> None:
        self.have += count
        now = self.clock()
        if now - self.last < REPORT_EVERY_S:
            return
        self.last = now
        rate = (self.have - self.start) / (now - self.began)
        if self.total:
            left_s = max(self.total - self.have, 0) / rate
            text = f"{self.have / 1e6:.1f} of {self.total / 1e6:.1f} MB, {rate / 1e6:.2f} MB/s, {left_s:.0f} s left"
        else:
            text = f"{self.have / 1e6:.1f} MB, {rate / 1e6:.2f} MB/s"
        logger.info("%s: %s", self.url, text)


def _retry_after(response: requests.Response) -> float | None:
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return min(float(asked), RETRY_AFTER_CAP_S)
    try:
        at = email.utils.parsedate_to_datetime(asked).timestamp()
    except (TypeError, ValueError):
        return None
    return min(max(at - time.time(), 0.0), RETRY_AFTER_CAP_S)


def in_words(error: Exception, timeout_s: float) -> str:
    """What happened, without any address or header that the library's own text may show."""
    if isinstance(error, Passing):
        return str(error)
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "no secure connection (certificate or TLS)"
    return "the connection failed or broke off"


def error_of(url: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(url, "download", expected=expected, found=found, remedy=remedy)
