"""Which genes a method predicts: the rules, applied to the slides they are given and to no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stainscript.errors import DataContractError
from stainscript.genes.backed import Expression
from stainscript.genes.panels import printed
from stainscript.genes.panels.candidates import Measured, heads, in_vocabulary, measured_genes
from stainscript.genes.panels.file import read_panel, write_panel
from stainscript.genes.panels.hest import hest_genes
from stainscript.genes.panels.lists import listed
from stainscript.genes.panels.moments import PanelMoments
from stainscript.genes.panels.ranks import allowed, each, measured_often, ranked
from stainscript.genes.panels.rules import Rule, check_rule, rule_of
from stainscript.types import Panel, Target

if TYPE_CHECKING:
    from stainscript.genes.identifiers.names import GeneNames

__all__ = ["Rule", "read_panel", "rule_of", "select", "write_panel"]

logger = logging.getLogger(__name__)


def select(
    expression: Sequence[Expression],
    *,
    name: str,
    rule: Rule,
    target: Target,
    vocabulary: Sequence[str] | None = None,
    names: GeneNames | None = None,
) -> Panel:
    """Choose the panel ``name`` from the slides given: a fold's training slides, or all for scope ``dataset``.

    expression: files or AnnData of counts; each slide is read when its turn comes and dropped again. vocabulary: its
    genes alone are candidates, before anything is ranked (HINGE: CellFM's), and a list must lie within it; names: by
    which old and current symbols and Ensembl ids are one gene, ``None``: only equal names are. The panel keeps the
    slides' gene ids.

    Candidates are the genes that every slide measures; with ``missing: mask`` a list may also hold genes that some
    slides lack, and ``all`` takes those of ``min_slides`` slides. Order: a list's own; ``hmhvg`` and ``hest_hvg`` by
    symbol; ``all`` by gene id; every other rule by rank, ties by symbol. Mean and population variance are those of
    ``target`` over the spots of the slides that measure the gene. Sources: HINGE supplement A.3 and Stem (hmhvg); DKAN
    figure S8, measured (top_total); STAMP A.3.3 (hvg_v3). Raises ``DataContractError`` when the rule cannot be met.
    """
    check_rule(name, rule)
    if not expression:
        raise DataContractError(name, "expression", expected="at least 1 slide", found="none", remedy="see the split")
    measured = measured_genes(expression)
    gene_ids = _genes(expression, measured, name=name, rule=rule, vocabulary=vocabulary, names=names)
    gene_ids = _first(gene_ids, rule.take_first, name=name)
    if rule.missing == "error":
        _require_everywhere(expression, measured, gene_ids, name=name)
    moments, slides = PanelMoments(gene_ids, target), []
    for adata in each(expression):
        moments.add(adata)
        slides.append(str(adata.uns["slide"]))
    partial = sum(measured.slides_of[gene] < measured.slides for gene in gene_ids)
    logger.info(
        "panel %s: %d genes by %s from %d slides; %d genes not on every slide",
        name,
        len(gene_ids),
        rule.rule,
        len(slides),
        partial,
    )
    return Panel(
        name=name,
        gene_ids=tuple(gene_ids),
        symbols=tuple(measured.symbol_of[gene] for gene in gene_ids),
        mean=tuple(map(float, moments.mean)),
        variance=tuple(map(float, moments.variance)),
        training_slides=tuple(slides),
    )


def _genes(
    expression: Sequence[Expression],
    measured: Measured,
    *,
    name: str,
    rule: Rule,
    vocabulary: Sequence[str] | None,
    names: GeneNames | None,
) -> list[str]:
    """The gene ids that the rule chooses, in their order."""
    if rule.rule in ("fixed", "printed"):
        return _of_list(measured, name=name, rule=rule, vocabulary=vocabulary, names=names)
    least = measured.slides if rule.min_slides is None else rule.min_slides
    symbol_of = measured.by_at_least(least)
    if vocabulary is not None:
        symbol_of = in_vocabulary(symbol_of, vocabulary=vocabulary, names=names, panel=name)
    if rule.rule in ("hest_hvg", "hest_mean"):
        return hest_genes(
            each(expression),
            symbol_of=symbol_of,
            by="variance" if rule.rule == "hest_hvg" else "mean",
            n=rule.n,
            min_spot_share=rule.min_spot_share,
            exclude_prefixes=rule.exclude_prefixes,
            path=f"panel {name}",
        )
    if rule.rule == "all":
        genes = sorted(symbol_of)
        keep = allowed(genes, rule=rule, symbol_of=symbol_of) & measured_often(expression, genes, rule=rule)
        if not keep.any():
            found = f"none ({len(genes)} genes are measured by {least} slides or more)"
            raise _unmet(name, "all", "at least 1 gene", found, "lower min_slides or min_spot_share of this panel")
        return [genes[position] for position in np.flatnonzero(keep)]
    return ranked(expression, name=name, rule=rule, symbol_of=symbol_of)


def _of_list(
    measured: Measured, *, name: str, rule: Rule, vocabulary: Sequence[str] | None, names: GeneNames | None
) -> list[str]:
    """The gene ids of a fixed or a printed list; every entry must be measured somewhere and be in the vocabulary."""
    field = "genes" if rule.rule == "fixed" else "printed"
    entries = rule.genes if rule.rule == "fixed" else printed.panel(rule.printed)
    if not entries or rule.n not in (None, len(entries)):
        raise _unmet(name, field, f"{rule.n or 'some'} genes (n)", f"{len(entries)}", "correct n or the list")
    gene_ids = listed(entries[: rule.take_first], symbol_of=measured.symbol_of, names=names, field=field, panel=name)
    if vocabulary is not None:
        symbol_of = {gene: measured.symbol_of[gene] for gene in gene_ids}
        known = in_vocabulary(symbol_of, vocabulary=vocabulary, names=names, panel=name)
        outside = [symbol_of[gene] for gene in gene_ids if gene not in known]
        if outside:
            found = f"{len(outside)} that are in it not or twice: {', '.join(outside[:5])}"
            raise _unmet(name, field, "genes of the vocabulary", found, "leave them out, or use another vocabulary")
    return gene_ids


def _require_everywhere(
    expression: Sequence[Expression], measured: Measured, gene_ids: Sequence[str], *, name: str
) -> None:
    """Refuse genes that some slide does not measure, naming the first gene and slide."""
    partial = [gene for gene in gene_ids if measured.slides_of[gene] < measured.slides]
    if not partial:
        return
    path = next(path for path, genes in heads(expression) if partial[0] not in genes)
    raise _unmet(
        name,
        "missing",
        "genes that every choosing slide measures",
        f"no {partial[0]} in {path} ({len(partial)} genes of the panel are not on every slide)",
        "set missing: mask, leave the genes out, or leave the slide out of the split",
    )


def _first(gene_ids: list[str], number: int | None, *, name: str) -> list[str]:
    if number is not None and len(gene_ids) < number:
        raise _unmet(name, "take_first", f"{number} genes or more", f"{len(gene_ids)}", "lower take_first or raise n")
    return gene_ids[:number]


def _unmet(name: str, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(f"panel {name}", field, expected=expected, found=found, remedy=remedy)
