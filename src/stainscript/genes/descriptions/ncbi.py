"""What NCBI Gene says of a gene: the record whose official symbol it is, and that record's summary."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stainscript.genes.descriptions.entrez import Entrez

logger = logging.getLogger(__name__)

ORGANISM = {"human": "Homo sapiens", "mouse": "Mus musculus"}
SUMMARIES_A_REQUEST = 200
MATCHES_A_GENE = 50  # a search that finds more a gene has been misread: it is cut in halves
_ASKABLE = re.compile(r"[\w.\-@/:]+")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record of NCBI Gene, as far as it is used."""

    uid: int
    symbols: tuple[str, ...]  # the record's own and the nomenclature committee's; they differ for MT- genes
    aliases: tuple[str, ...]
    summary: str


def release(entrez: Entrez) -> str:
    """The day on which NCBI last updated its gene database, and the build, as it states them."""
    facts = entrez.ask("einfo")["DbInfo"]
    facts = facts[0] if isinstance(facts, list) else facts  # a list since the document type of 2019
    return f"NCBI Gene {facts['LastUpdate']} ({facts['DbBuild']})"


def summaries(symbols: Sequence[str], *, species: str, entrez: Entrez, batch: int) -> Iterator[tuple[str, str]]:
    """(symbol, summary) of every symbol in order, fetched ``batch`` genes at a time.

    The summary is that of the record whose official symbol it is, else of the only record that has it among its other
    names; empty where there is no such record or its summary is empty.
    """
    for start in range(0, len(symbols), batch):
        part = symbols[start : start + batch]
        records = _records(_search(part, species=species, entrez=entrez), entrez=entrez)
        for symbol in part:
            record = choose(symbol, records)
            yield symbol, record.summary if record else ""


def choose(symbol: str, records: Sequence[Record]) -> Record | None:
    """The record that ``symbol`` means: official symbol first, as written, then whatever its case, then other name."""
    ways = (
        [one for one in records if symbol in one.symbols],
        [one for one in records if symbol.casefold() in map(str.casefold, one.symbols)],
    )
    for found in ways:
        if found:
            return min(found, key=lambda one: (not one.summary, one.uid))
    others = [one for one in records if symbol in one.aliases]
    return others[0] if len(others) == 1 else None


def _search(symbols: Sequence[str], *, species: str, entrez: Entrez) -> list[str]:
    """Identifiers of the live records that have one of the symbols among their names."""
    asked = [symbol for symbol in symbols if _ASKABLE.fullmatch(symbol)]
    if not asked:
        return []
    names = " OR ".join(f'"{symbol}"[Gene Name]' for symbol in asked)
    most = MATCHES_A_GENE * len(asked)
    found = entrez.ask("esearch", term=f'({names}) AND "{ORGANISM[species]}"[Organism] AND alive[prop]', retmax=most)
    if int(found["Count"]) <= most:
        return [str(one) for one in found["IdList"]]
    if len(asked) == 1:
        logger.warning("NCBI Gene finds %s records for %s: none is taken", found["Count"], asked[0])
        return []
    half = len(asked) // 2
    parts = (asked[:half], asked[half:])
    return [one for part in parts for one in _search(part, species=species, entrez=entrez)]


def _records(uids: Sequence[str], *, entrez: Entrez) -> list[Record]:
    unique = list(dict.fromkeys(uids))
    records: list[Record] = []
    for start in range(0, len(unique), SUMMARIES_A_REQUEST):
        answer = entrez.ask("esummary", id=",".join(unique[start : start + SUMMARIES_A_REQUEST]))
        records += _parsed(answer["DocumentSummarySet"]["DocumentSummary"])
    return records


def _parsed(documents: Iterable[Any]) -> Iterator[Record]:
    for document in documents:
        if "error" in document or int(document.get("CurrentID") or 0):
            continue  # withdrawn, or merged into another record
        symbols = (str(document.get(name, "")).strip() for name in ("Name", "NomenclatureSymbol"))
        aliases = str(document.get("OtherAliases", "")).split(",")
        yield Record(
            uid=int(document.attributes["uid"]),
            symbols=tuple(dict.fromkeys(symbol for symbol in symbols if symbol)),
            aliases=tuple(alias.strip() for alias in aliases if alias.strip()),
            summary=" ".join(str(document.get("Summary", "")).split()),
        )
