"""One OpenAI-compatible chat endpoint: GPT-4o, DeepSeek, a local Llama behind vLLM or Ollama.

The key comes from the environment and goes into the request and nowhere else: the client's exceptions, which hold the
request with its headers and the server's words, which may repeat the key, never leave this file.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from stainscript.downloads.server import Passing
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.options import Rewrite
from stainscript.genes.descriptions.retry import masked, passes, persist, retry_after

NO_KEY = "none"  # the client insists on a key; an endpoint that asks none ignores it


class Endpoint:
    """The endpoint with its key, a budget of requests, and patience. May be shared by threads.

    Raises ``DataContractError`` for a key that is absent or no key, refused access, a request that the endpoint calls
    wrong, a spent budget, and an endpoint that does not answer.
    """

    def __init__(self, options: Rewrite, *, sleep: Callable[[float], object] | None = None) -> None:
        from openai import OpenAI

        self.options = options
        self.stop = threading.Event()  # set when a run is to end: no further request is sent, no wait goes on
        self.sleep = sleep or self.stop.wait
        self.requests = 0
        self._key = _key_of(options)
        self._count = threading.Lock()
        key = self._key or NO_KEY
        self._client = OpenAI(
            base_url=options.base_url,
            api_key=key,
            default_headers={"Authorization": f"Bearer {key}"},  # or OPENAI_CUSTOM_HEADERS could replace it
            timeout=options.timeout_s,
            max_retries=0,
        )
        if not (urlsplit(options.base_url).hostname or "").endswith(".openai.com"):
            self._client.organization = self._client.project = None  # OPENAI_ORG_ID, OPENAI_PROJECT_ID: not theirs

    def __repr__(self) -> str:
        return f"Endpoint({self.options.base_url!r}, {self.options.model!r})"

    def close(self) -> None:
        self._client.close()

    def answer(self, messages: Sequence[dict[str, str]]) -> str:
        """The model's whole answer to ``messages``; empty where it gave none."""
        return persist(
            lambda: self._once(messages),
            where=self.options.base_url,
            attempts=self.options.attempts,
            backoff_s=self.options.backoff_s,
            sleep=self.sleep,
            stop=self.stop,
            stream=self.requests,
        )

    def _once(self, messages: Sequence[dict[str, str]]) -> str:
        import openai

        self._spend()
        options = self.options
        sampling = {"temperature": options.temperature, "seed": options.seed, "max_tokens": options.max_tokens}
        try:
            reply = self._client.chat.completions.create(
                model=options.model,
                messages=list(messages),
                **{name: value for name, value in sampling.items() if value is not None},
            )
            return masked(_content(reply), self._key)
        except openai.APIStatusError as error:
            status, wait_s = error.status_code, retry_after(error.response.headers)
            words = "" if status in (401, 403) else _first_words(masked(str(error.body or ""), self._key, pieces=True))
        except openai.APITimeoutError:
            raise Passing(f"no answer within {options.timeout_s:g} s") from None
        except openai.APIConnectionError:
            raise Passing("the connection failed or broke off") from None
        except (openai.OpenAIError, ValueError):  # ValueError: an answer that says it is JSON and is not
            raise Passing("an answer that is no chat completion") from None
        if passes(status) and "insufficient_quota" not in words:
            raise Passing(f"HTTP {status}", wait_s)
        raise self._refusal(status, words)

    def _refusal(self, status: int, words: str) -> DataContractError:
        variable = self.options.key_env
        if status in (401, 403):
            found = f"HTTP {status}, access refused"
            remedy = "the endpoint asks for a key: name the variable that holds it in rewrite.key_env"
            if variable:
                remedy = f"check the key in the environment variable {variable} (it is not shown) and what it may use"
        else:
            found = f"HTTP {status}" + (f": {words}" if words else "")
            remedy = "the account has run out: top it up and run again, what has been answered is kept"
        if status not in (401, 402, 403, 429):
            remedy = "correct base_url, model or the sampling options of rewrite (null leaves an option out)"
        expected = f"an answer of {self.options.model}"
        return DataContractError(self.options.base_url, "request", expected=expected, found=found, remedy=remedy)

    def _spend(self) -> None:
        most = self.options.max_requests
        with self._count:
            if most is not None and self.requests >= most:
                raise DataContractError(
                    "gene descriptions",
                    "rewrite.max_requests",
                    expected=f"at most {most} requests",
                    found="genes that are still to be asked for",
                    remedy="run again to go on where this run stopped, or raise max_requests: answers are kept",
                )
            self.requests += 1


def _key_of(options: Rewrite) -> str | None:
    if options.key_env is None:
        return None
    key = os.environ.get(options.key_env, "").strip()
    if re.fullmatch(r"[!-~]+", key):
        return key
    raise DataContractError(
        "environment",
        options.key_env,
        expected=f"the key of {options.base_url}",
        found="characters that no key has (not shown)" if key else "nothing",
        remedy=f"export {options.key_env}, or set rewrite.key_env: null for an endpoint that asks no key",
    )


def _content(reply: Any) -> str:
    choices = getattr(reply, "choices", None)  # a web page comes as text, an error with status 200 without choices
    message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    if message is None:
        raise Passing("an answer that is no chat completion")
    return message.content if isinstance(message.content, str) else ""


def _first_words(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:200] + "…"
