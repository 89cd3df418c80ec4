"""NCBI's E-utilities through Biopython: its requests, its rate limit (3 a second, 10 with a key), its parser.

Biopython opens a request without a time-out and waits 15 s between tries, so its opener is replaced while a request is
made by one that has a time-out, may lead to another address, and leaves trying again to ``retry.persist``. The API key
travels in the request and shows nowhere: an error holds no address with a query and no answer of the server.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from stainscript.downloads.server import Passing
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.options import Ncbi
from stainscript.genes.descriptions.retry import passes, persist, retry_after

NCBI_BASE = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
BACKOFF_S = 1.0
_opener_lock = threading.Lock()


class Entrez:
    """E-utilities of one database, asked politely. Raises ``DataContractError`` for a missing address of the asker, a
    refused key, a request that NCBI calls wrong, and a server that does not answer."""

    def __init__(self, options: Ncbi, *, sleep: Callable[[float], object] | None = None) -> None:
        self.options, self.sleep = options, sleep or time.sleep
        self.email = _from_environment(options.email_env)
        self._key = _from_environment(options.key_env) if options.key_env else None
        if self.email is None:
            raise DataContractError(
                "environment",
                options.email_env,
                expected="your e-mail address, which NCBI wants from every client",
                found="nothing",
                remedy=f"export {options.email_env}=you@example.org, or use source: names, which asks nobody",
            )

    def ask(self, utility: str, **parameters: Any) -> Any:
        """The parsed answer of ``esearch``, ``esummary`` or ``einfo`` for database ``gene``."""
        return persist(
            lambda: self._once(utility, parameters),
            where=f"{self.options.base_url}/{utility}.fcgi",
            attempts=self.options.attempts,
            backoff_s=BACKOFF_S,
            sleep=self.sleep,
        )

    def _once(self, utility: str, parameters: dict[str, Any]) -> Any:
        from Bio import Entrez as bio

        refused = 0
        try:
            with self._opened(bio):
                request = getattr(bio, utility)
                handle = request(
                    db="gene", email=self.email, api_key=self._key, tool="stainscript", retmode="xml", **parameters
                )
            with handle:
                return bio.read(handle, validate=False)
        except urllib.error.HTTPError as error:
            if passes(error.code):
                raise Passing(f"HTTP {error.code}", retry_after(error.headers)) from None
            refused = error.code
        except (TypeError, ValueError):  # Biopython's parser: text or a web page, XML that breaks off or is another
            raise Passing("an answer that is not E-utilities XML, or not whole") from None
        except RuntimeError:  # how Biopython hands on an <ERROR> in the answer
            raise Passing("an error that NCBI reports in its answer") from None
        except TimeoutError:
            raise Passing(f"no answer within {self.options.timeout_s:g} s") from None
        except (OSError, http.client.HTTPException):
            raise Passing("the connection failed or broke off") from None
        raise self._refusal(refused)  # outside the handler: the library's exception holds the address with the key

    def _refusal(self, status: int) -> DataContractError:
        remedy = "correct gene descriptions.ncbi.base_url"
        if self._key and status in (400, 401, 403):
            remedy = f"check the API key in {self.options.key_env} (it is not shown), or unset it: 3 requests a second"
        return DataContractError(
            self.options.base_url, "request", expected="an answer", found=f"HTTP {status}", remedy=remedy
        )

    @contextlib.contextmanager
    def _opened(self, bio: Any) -> Iterator[None]:
        """Biopython with our opener and one try, for one request."""
        with _opener_lock:
            before = bio.urlopen, bio.max_tries
            bio.urlopen, bio.max_tries = self._open, 1
            try:
                yield
            finally:
                bio.urlopen, bio.max_tries = before

    def _open(self, request: urllib.request.Request) -> Any:
        tail = request.full_url.removeprefix(NCBI_BASE)
        moved = urllib.request.Request(
            self.options.base_url.rstrip("/") + tail, data=request.data, method=request.get_method()
        )
        return urllib.request.urlopen(moved, timeout=self.options.timeout_s)


def _from_environment(name: str) -> str | None:
    value = os.environ.get(name, "").strip()
    return value or None
