"""Describe the genes of a panel in words."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.genes.descriptions.make import describe
from stainscript.genes.descriptions.options import rule_of
from stainscript.genes.descriptions.records import write_descriptions
from stainscript.genes.identifiers.names import builtin, read_gene_names
from stainscript.genes.panels.file import read_panel
from stainscript.genes.pathways.gene_sets import read_gmt

logger = logging.getLogger(__name__)


def describe_genes(
    *,
    panels: Sequence[str | Path],
    rule: Mapping[str, Any],
    gene_sets: str | Path | None,
    gene_table: str | Path | None,
    species: str,
    cache: str | Path,
    out: str | Path,
) -> None:
    """Write one description a gene of the union of ``panels``, by gene id, as JSONL (``descriptions/records.py``).

    panels: the panel of every fold. rule: the options of ``descriptions.options.Rule`` as a plain dict. gene_sets: a
    GMT for source ``names``, or None. gene_table: HGNC's or MGI's table, None for the package's own. cache: what was
    fetched and paid for, shared by all runs; it is not this rule's output and outlives a failure. Raises
    ``DataContractError`` for a wrong option, and whatever ``describe`` names.
    """
    wanted = rule_of(rule)
    symbol_of: dict[str, str] = {}
    for path in panels:
        panel = read_panel(path)
        for gene, symbol in zip(panel.gene_ids, panel.symbols, strict=True):
            symbol_of.setdefault(gene, symbol)
    descriptions = describe(
        dict(sorted(symbol_of.items())),
        rule=wanted,
        names=builtin(species) if gene_table is None else read_gene_names(gene_table, species=species),
        cache=cache,
        gene_sets=None if gene_sets is None else read_gmt(gene_sets),
    )
    write_descriptions(out, descriptions)
    by = f", rewritten by {wanted.rewrite.model}" if wanted.rewrite else ""
    logger.info("described %d genes of %d panels from %s%s", len(descriptions), len(panels), wanted.source, by)
