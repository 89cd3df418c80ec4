"""A description of every gene of a panel: fetched or derived, rewritten where a model is named, one a gene always."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.descriptions.cache import Cache, Key, Row
from stainscript.genes.descriptions.families import TABLE_DATE
from stainscript.genes.descriptions.offline import Derived, derive, memberships, release_of
from stainscript.genes.descriptions.options import Ncbi, Rewrite, Rule
from stainscript.genes.descriptions.prompts import prompt_sha256
from stainscript.genes.descriptions.records import Description
from stainscript.genes.descriptions.rewrite import Rewritten, Text, rewrite_texts
from stainscript.genes.identifiers.names import SPECIES, GeneNames

logger = logging.getLogger(__name__)

Sleep = Callable[[float], object]


def utc_today() -> str:
    """The day, ISO, UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def describe(
    genes: Mapping[str, str],
    *,
    rule: Rule,
    names: GeneNames,
    cache: str | Path,
    gene_sets: Mapping[str, Sequence[str]] | None = None,
    sleep: Sleep | None = None,
    today: Callable[[], str] = utc_today,
) -> list[Description]:
    """One description a gene, in the order of ``genes``.

    genes: gene id → symbol. names: the species' symbols; a gene is looked up, asked for and kept by its current symbol,
    so that an old and a new name cost one request. gene_sets: set → genes, for source ``names``. cache: the file of
    fetched summaries and answers (``cache.Cache``). Raises ``DataContractError`` for no genes and for all that
    ``Entrez``, ``Endpoint`` and ``rewrite_texts`` name; what was fetched and paid for before is kept.
    """
    if not genes:
        raise DataContractError(
            "gene descriptions", "panels", expected="at least one gene", found="none", remedy="give a panel with genes"
        )
    if names.species not in SPECIES:
        raise unknown_name("gene descriptions", "species", names.species, SPECIES)
    current = {gene: names.current(gene) or names.current(symbol) or symbol for gene, symbol in genes.items()}
    symbols = tuple(dict.fromkeys(current.values()))
    store = Cache(cache)
    if rule.source == "ncbi":
        texts = _fetched(symbols, ncbi=rule.ncbi, names=names, cache=store, sleep=sleep, today=today)
    else:
        texts = _derived(symbols, gene_sets=gene_sets, max_sets=rule.max_sets, names=names)
    sources = {symbol: text for symbol, (text, _, _) in texts.items()}
    answers: dict[str, Rewritten] = {}
    if rule.rewrite is not None:
        answers = rewrite_texts(
            list(sources.values()), rewrite=rule.rewrite, species=names.species, cache=store, sleep=sleep, today=today
        )
    return [
        _description(gene, symbol, texts[current[gene]], answers.get(current[gene]), rule.rewrite)
        for gene, symbol in genes.items()
    ]


Sourced = tuple[Text, Derived, str]  # the model's input, the values where no model is asked, the day


def _derived(
    symbols: Sequence[str], *, gene_sets: Mapping[str, Sequence[str]] | None, max_sets: int, names: GeneNames
) -> dict[str, Sourced]:
    sets = memberships(gene_sets or {}, most=max_sets, identity=lambda gene: names.current(gene) or gene)
    release, found = release_of(gene_sets), {}
    for symbol in symbols:
        values = derive(symbol, sets=sets.get(symbol, ()))
        text = Text(symbol=symbol, summary=values.summary, source="names", release=release)
        found[symbol] = (text, values, TABLE_DATE)
    return found


def _fetched(
    symbols: Sequence[str],
    *,
    ncbi: Ncbi | None,
    names: GeneNames,
    cache: Cache,
    sleep: Sleep | None,
    today: Callable[[], str],
) -> dict[str, Sourced]:
    """Summaries from NCBI Gene, those that are in the cache from there; each is kept as soon as its request is done."""
    from stainscript.genes.descriptions.entrez import Entrez
    from stainscript.genes.descriptions.ncbi import release, summaries

    if ncbi is None:
        raise DataContractError(
            "gene descriptions", "ncbi", expected="how NCBI is asked", found="nothing", remedy="give the section ncbi"
        )
    series = {"kind": "summary", "species": names.species, "source": "ncbi"}
    keys: dict[str, Key] = {symbol: {**series, "gene": symbol} for symbol in symbols}
    with cache.turn(series):
        rows = cache.find(keys)
        missing = [symbol for symbol in symbols if symbol not in rows]
        if missing:
            entrez = Entrez(ncbi, sleep=sleep)
            stated = release(entrez)
            for symbol, summary in summaries(missing, species=names.species, entrez=entrez, batch=ncbi.batch):
                row: Row = {"summary": summary, "source_release": stated, "date": today()}
                cache.add(keys[symbol], row)
                rows[symbol] = row
    empty = [symbol for symbol in symbols if not rows[symbol]["summary"]]
    logger.info("%d summaries: %d fetched, %d empty", len(symbols), len(missing), len(empty))
    return {symbol: _sourced(symbol, rows[symbol]) for symbol in symbols}


def _sourced(symbol: str, row: Row) -> Sourced:
    text = Text(symbol=symbol, summary=row["summary"], source="ncbi", release=row["source_release"])
    return text, Derived(functionality=row["summary"], phenotype=""), row["date"]


def _description(
    gene: str, symbol: str, sourced: Sourced, answer: Rewritten | None, rewrite: Rewrite | None
) -> Description:
    text, derived, date = sourced
    values = derived if answer is None else answer.values
    asked = {}
    if answer is not None and rewrite is not None:
        asked = {
            "model": rewrite.model,
            "strategy": rewrite.strategy,
            "disease": rewrite.disease,
            "prompt_sha256": prompt_sha256(rewrite),
            "raw": answer.raw,
        }
    return Description(
        gene_id=gene,
        symbol=symbol,
        functionality=values.functionality,
        phenotype=values.phenotype,
        summary=text.summary,
        source=text.source,
        source_release=text.release,
        date=date if answer is None else answer.date,
        **asked,
    )
