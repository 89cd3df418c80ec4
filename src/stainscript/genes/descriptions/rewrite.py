"""A text per gene from the model: asked a few at a time, checked, asked again with the reason, kept when it arrives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.cache import Cache, Key, Row
from stainscript.genes.descriptions.endpoint import Endpoint
from stainscript.genes.descriptions.options import Rewrite
from stainscript.genes.descriptions.prompts import Prompt, prompt_of, prompt_sha256, repair_of
from stainscript.genes.descriptions.retry import Stopped
from stainscript.genes.descriptions.validate import Unusable, Values, validate

logger = logging.getLogger(__name__)

REPORT_EVERY = 100


@dataclass(frozen=True, kw_only=True)
class Text:
    """What the source says of one gene: the model's input."""

    symbol: str  # current symbol: two names of one gene are asked for once
    summary: str
    source: str
    release: str


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """The model's text of one gene."""

    values: Values
    raw: str
    date: str


def rewrite_texts(
    texts: Sequence[Text],
    *,
    rewrite: Rewrite,
    species: str,
    cache: Cache,
    sleep: Callable[[float], object] | None,
    today: Callable[[], str],
) -> dict[str, Rewritten]:
    """symbol → answer for every text, from the cache where it is there.

    A key that is refused, an endpoint that does not answer or a gene without a valid answer ends the run: no new
    request is sent, those in flight are finished and kept, and the first gene's error is raised.
    """
    asker = _Asker(rewrite=rewrite, species=species, cache=cache, sleep=sleep, today=today)
    with cache.turn(asker.series(texts)):
        known = asker.known(texts)
        missing = [text for text in texts if text.symbol not in known]
        if missing:
            known |= asker.ask_all(missing)
        logger.info(
            "%d genes: %d answers kept, %d new from %s",
            len(texts),
            len(texts) - len(missing),
            len(missing),
            rewrite.model,
        )
    return known


@dataclass(frozen=True, kw_only=True)
class _Asker:
    rewrite: Rewrite
    species: str
    cache: Cache
    sleep: Callable[[float], object] | None
    today: Callable[[], str]

    def series(self, texts: Sequence[Text]) -> Key:
        """The fields that all keys of a run share; two runs with the same take turns."""
        return {
            "kind": "answer",
            "species": self.species,
            "source": texts[0].source if texts else "",
            "model": self.rewrite.model,
            "prompt_sha256": prompt_sha256(self.rewrite),
            "disease": self.rewrite.disease,
            "strategy": self.rewrite.strategy,
        }

    def known(self, texts: Sequence[Text]) -> dict[str, Rewritten]:
        """Answers in the cache, each checked again."""
        rows = self.cache.find({text.symbol: self._key(text, self._prompt(text)) for text in texts})
        found: dict[str, Rewritten] = {}
        for symbol, row in rows.items():
            try:
                found[symbol] = self._rewritten(symbol, row)
            except Unusable as why:
                logger.warning("%s: the answer for %s is asked for again: %s", self.cache.path, symbol, why)
        return found

    def ask_all(self, texts: Sequence[Text]) -> dict[str, Rewritten]:
        endpoint = Endpoint(self.rewrite, sleep=self.sleep)

        def ask(text: Text) -> Rewritten | None:
            finished = False
            try:
                answer = None if endpoint.stop.is_set() else self._ask(text, endpoint)
                finished = True
                return answer
            except Stopped:
                return None
            finally:
                if not finished:
                    endpoint.stop.set()

        try:
            with ThreadPoolExecutor(max_workers=self.rewrite.concurrency) as pool:
                try:
                    answers = [pool.submit(ask, text) for text in texts]
                    failed = []
                    for number, one in enumerate(answers, start=1):
                        failed += [error] if (error := one.exception()) is not None else []
                        if number % REPORT_EVERY == 0 and not failed:
                            logger.info("%d of %d new answers from %s", number, len(texts), self.rewrite.model)
                finally:
                    endpoint.stop.set()  # an interruption from the keyboard: the waiting ones end at once
        finally:
            endpoint.close()
        if failed:
            raise failed[0]
        return {text.symbol: one.result() for text, one in zip(texts, answers, strict=True)}

    def _ask(self, text: Text, endpoint: Endpoint) -> Rewritten:
        """One gene's answer, valid and on the disk."""
        prompt = self._prompt(text)
        messages, reason, raw = prompt.messages, "", ""
        for tries in range(1, self.rewrite.max_tries + 1):
            raw = endpoint.answer(messages)
            row = {"raw": raw, "date": self.today()}
            try:
                answer = self._rewritten(text.symbol, row)
            except Unusable as why:
                reason = str(why)
                logger.warning("%s, answer %d for %s: %s", self.rewrite.model, tries, text.symbol, reason)
                messages = repair_of(prompt, answer=raw, reason=reason)
                continue
            kept = {"source_release": text.release, "endpoint": self.rewrite.base_url, "tries": str(tries)}
            self.cache.add(self._key(text, prompt), {**kept, **row})
            return answer
        raise DataContractError(
            self.rewrite.base_url,
            f"answer for {text.symbol}",
            expected=f"a valid answer of {self.rewrite.model} in {self.rewrite.max_tries} tries",
            found=f"{reason}; the last one begins {' '.join(raw.split())[:80]!r}",
            remedy="raise rewrite.max_tries or max_tokens, or name a stronger model; the other genes' answers are kept",
        )

    def _rewritten(self, symbol: str, row: Row) -> Rewritten:
        values = validate(
            row.get("raw", ""), strategy=self.rewrite.strategy, symbol=symbol, max_words=self.rewrite.max_words
        )
        return Rewritten(values=values, raw=row["raw"], date=row.get("date", ""))

    def _prompt(self, text: Text) -> Prompt:
        return prompt_of(symbol=text.symbol, summary=text.summary, rewrite=self.rewrite, species=self.species)

    def _key(self, text: Text, prompt: Prompt) -> Key:
        series = self.series([text])
        return {**series, "gene": text.symbol, "input_sha256": prompt.input_sha256}
