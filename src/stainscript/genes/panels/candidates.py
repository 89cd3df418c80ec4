"""Which genes the choosing slides measure, and which of them a panel may take: heads of files only, no counts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stainscript.errors import DataContractError
from stainscript.genes.backed import Expression, read_head

if TYPE_CHECKING:
    from stainscript.genes.identifiers.names import GeneNames

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The genes of some slides. symbol_of: gene id → symbol as the first slide that measures it spells it;
    slides_of: gene id → number of slides that measure it."""

    slides: int
    symbol_of: Mapping[str, str]
    slides_of: Mapping[str, int]

    def by_at_least(self, slides: int) -> dict[str, str]:
        """gene id → symbol of the genes that so many slides measure."""
        return {gene: symbol for gene, symbol in self.symbol_of.items() if self.slides_of[gene] >= slides}

    @property
    def common(self) -> dict[str, str]:
        """gene id → symbol of the genes that every slide measures."""
        return self.by_at_least(self.slides)


def measured_genes(expression: Sequence[Expression]) -> Measured:
    """What the slides measure; raises ``DataContractError`` for a slide that has a gene id twice."""
    symbol_of: dict[str, str] = {}
    slides_of: dict[str, int] = {}
    for _, genes in heads(expression):
        for gene, symbol in genes.items():
            symbol_of.setdefault(gene, symbol)
            slides_of[gene] = slides_of.get(gene, 0) + 1
    return Measured(slides=len(expression), symbol_of=symbol_of, slides_of=slides_of)


def heads(expression: Sequence[Expression]) -> Iterator[tuple[str, dict[str, str]]]:
    """For each slide how an error names its file, and gene id → symbol."""
    for item in expression:
        head = read_head(item)
        yield str(head.path), dict(zip(head.gene_ids, head.symbols, strict=True))


def in_vocabulary(
    symbol_of: Mapping[str, str], *, vocabulary: Sequence[str], names: GeneNames | None, panel: str
) -> dict[str, str]:
    """Of the genes (id → symbol) those that a vocabulary of symbols or gene ids has, in their order.

    names: old and current symbols and Ensembl ids are the same gene; ``None``: only equal names are. Two genes that
    mean one entry of the vocabulary: the one that is spelt as the entry, else the first by symbol. Raises
    ``DataContractError`` when none is left.
    """
    entry_of = _entries(symbol_of, vocabulary, names)
    owner: dict[str, str] = {}
    for gene in sorted(
        entry_of, key=lambda gene: (entry_of[gene] not in (symbol_of[gene], gene), symbol_of[gene], gene)
    ):
        owner.setdefault(entry_of[gene], gene)
    kept = set(owner.values())
    if not kept:
        raise DataContractError(
            f"panel {panel}",
            "vocabulary",
            expected="genes of the slides",
            found=f"none of {len(symbol_of)} genes among {len(vocabulary)} names, the first {vocabulary[:1]}",
            remedy="check the species and the kind of names of the vocabulary, or give a table of gene names",
        )
    doubles = len(entry_of) - len(kept)
    logger.info(
        "panel %s: %d of %d genes are in the vocabulary (%d more share an entry)",
        panel,
        len(kept),
        len(symbol_of),
        doubles,
    )
    return {gene: symbol for gene, symbol in symbol_of.items() if gene in kept}


def _entries(symbol_of: Mapping[str, str], vocabulary: Sequence[str], names: GeneNames | None) -> dict[str, str]:
    """gene id → its entry of the vocabulary, looked up by symbol, then by id."""
    listed = set(vocabulary)
    found = {gene: name for gene, symbol in symbol_of.items() for name in (gene, symbol) if name in listed}
    rest = [gene for gene in symbol_of if gene not in found]
    if names is None or not rest:
        return found
    from stainscript.genes.identifiers.names import match

    by_symbol = match([symbol_of[gene] for gene in rest], vocabulary, names=names)
    by_id = match(rest, vocabulary, names=names)
    for gene in rest:
        entry = by_symbol.get(symbol_of[gene]) or by_id.get(gene)
        if entry is not None:
            found[gene] = entry
    return found
