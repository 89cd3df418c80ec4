"""Which gene a name means: current, previous and alias symbols and Ensembl gene ids, of human or mouse.

A name is looked up in this order: Ensembl gene id (its version removed), current symbol, previous symbol, alias. So a
symbol that one gene has now and another had before is the former's. A name that several genes claim at the rank where
it is first found is ambiguous and means nothing. Case counts; a human name that is not found as it is spelt is tried
against current and previous symbols whatever its case (``C10ORF10``), a mouse name never is (``Actb`` is not ``ACTB``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

from stainscript.errors import unknown_name
from stainscript.genes.identifiers.tables import GeneTable, Species, read_gene_table

ENSEMBL = re.compile(r"(ENS[A-Z]{0,4}G\d{11})(?:\.\d+)?")  # an id with a suffix such as -1 or _PAR_Y is another name
SPECIES: tuple[Species, ...] = ("human", "mouse")

Way = Literal["current", "previous", "alias", "ensembl", "ambiguous", "unknown"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneNames:
    """The names of one species' genes, by dictionaries: a look-up costs the same whatever the table's size."""

    species: Species
    release: str
    _ensembl_of: Mapping[str, str] = field(repr=False)  # current symbol → Ensembl gene id, known ones only
    _symbols_of_id: Mapping[str, tuple[str, ...]] = field(repr=False)
    _current: frozenset[str] = field(repr=False)
    _previous: Mapping[str, tuple[str, ...]] = field(repr=False)  # name → current symbols that claim it
    _alias: Mapping[str, tuple[str, ...]] = field(repr=False)
    _any_case: Mapping[str, tuple[str, ...]] = field(repr=False)  # casefolded, human only

    @classmethod
    def of(cls, table: GeneTable) -> GeneNames:
        """The look-up of a table."""
        current = frozenset(gene.symbol for gene in table.genes)
        previous = _claims((name, gene.symbol) for gene in table.genes for name in gene.previous)
        alias = _claims((name, gene.symbol) for gene in table.genes for name in gene.aliases)
        any_case: dict[str, tuple[str, ...]] = {}
        if table.species == "human":
            any_case = _claims((name.casefold(), owner) for name, owners in previous.items() for owner in owners)
            any_case.update(_claims((symbol.casefold(), symbol) for symbol in sorted(current)))
        return cls(
            species=table.species,
            release=table.release,
            _ensembl_of={gene.symbol: gene.ensembl for gene in table.genes if gene.ensembl},
            _symbols_of_id=_claims((gene.ensembl, gene.symbol) for gene in table.genes if gene.ensembl),
            _current=current,
            _previous=previous,
            _alias=alias,
            _any_case=any_case,
        )

    def claims(self, name: str) -> tuple[Way, tuple[str, ...]]:
        """How ``name`` was found, and the current symbols of the genes that claim it: one, several (sorted) or none."""
        if name in self._current:
            return "current", (name,)
        identity = ensembl_id(name)
        if identity is not None:
            ways: tuple[tuple[Way, Sequence[str]], ...] = (("ensembl", self._symbols_of_id.get(identity, ())),)
        else:
            ways = (("previous", self._previous.get(name, ())), ("alias", self._alias.get(name, ())))
        for way, symbols in ways:
            if symbols:
                return (way if len(symbols) == 1 else "ambiguous"), tuple(sorted(symbols))
        symbols = self._any_case.get(name.casefold(), ())
        if symbols:
            found: Way = "current" if symbols[0].casefold() == name.casefold() else "previous"
            return (found if len(symbols) == 1 else "ambiguous"), tuple(sorted(symbols))
        return "unknown", ()

    def current(self, name: str) -> str | None:
        """The current symbol of the one gene that ``name`` means (a symbol or an Ensembl id), else None."""
        _, symbols = self.claims(name)
        return symbols[0] if len(symbols) == 1 else None

    def ensembl(self, name: str) -> str | None:
        """The Ensembl gene id of ``name`` without version; None where the gene or its id is unknown.

        An Ensembl id is its own answer, known to the table or not.
        """
        return ensembl_id(name) or self._ensembl_of.get(self.current(name) or "")


def ensembl_id(name: str) -> str | None:
    """The Ensembl gene id without its version; None for any other name (``ENSG…-1`` and ``…_PAR_Y`` are others)."""
    found = ENSEMBL.fullmatch(name)
    return found.group(1) if found else None


@functools.cache
def builtin(species: str) -> GeneNames:
    """The small table of the package: the genes of the published panels, with every old symbol that they print."""
    if species not in SPECIES:
        raise unknown_name("gene names", "species", species, SPECIES)
    with resources.as_file(resources.files("stainscript.genes") / "data" / f"aliases_{species}.tsv") as path:
        return GeneNames.of(read_gene_table(path, species=species))


def read_gene_names(path: str | Path, *, species: str) -> GeneNames:
    """The names in HGNC's or MGI's table (see ``gene_tables.read_gene_table`` for the formats and what raises)."""
    if species not in SPECIES:
        raise unknown_name(path, "species", species, SPECIES)
    return GeneNames.of(read_gene_table(path, species=species))


def match(wanted: Sequence[str], available: Sequence[str], *, names: GeneNames) -> dict[str, str]:
    """For each wanted gene the one of ``available`` that is the same gene.

    The exact name first, then the same Ensembl id without version, then the same current symbol; where several names
    of ``available`` would do, the first (``ambiguous`` tells). A name that is unknown, that several genes claim, or
    whose gene is not available is absent from the result. In the order of ``wanted``; two names of one gene meet.
    """
    return {name: found[0] for name, found in _matches(wanted, available, names).items()}


def ambiguous(wanted: Sequence[str], available: Sequence[str], *, names: GeneNames) -> dict[str, tuple[str, ...]]:
    """The wanted genes that ``available`` has under several names, and these names; ``match`` takes the first."""
    return {name: found for name, found in _matches(wanted, available, names).items() if len(found) > 1}


def _matches(wanted: Sequence[str], available: Sequence[str], names: GeneNames) -> dict[str, tuple[str, ...]]:
    exact = set(available)
    of_id = _claims((identity, name) for name in available if (identity := ensembl_id(name)))
    of_symbol = _claims((symbol, name) for name in available if (symbol := names.current(name)))
    result: dict[str, tuple[str, ...]] = {}
    for name in wanted:
        found = [name] if name in exact else []
        found += of_id.get(names.ensembl(name) or "", ())
        found += of_symbol.get(names.current(name) or "", ())
        if found:
            result[name] = tuple(dict.fromkeys(found))
    return result


def _claims(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """key → the different values that come with it, in order."""
    claims: dict[str, dict[str, None]] = {}
    for key, value in pairs:
        claims.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in claims.items()}
