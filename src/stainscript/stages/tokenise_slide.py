"""Turn the counts of one slide into tokens."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stainscript.artifacts.stores import Rows, write_store
from stainscript.errors import DataContractError
from stainscript.genes.backed import CountsHead, read_block, read_head
from stainscript.genes.identifiers.names import GeneNames, builtin, read_gene_names
from stainscript.genes.panels.file import read_panel
from stainscript.genes.tokens.rules import CountRule, RankRule, rule_dict, token_rule
from stainscript.genes.tokens.slide import SlideTokens, count_slide, rank_reference, rank_slide

logger = logging.getLogger(__name__)


def tokenise_slide(
    *,
    expression: str | Path,
    rule: Mapping[str, Any],
    statistics: str | Path | None,
    panel: str | Path | None,
    vocabulary: str | Path | None,
    means: str | Path | None,
    out: str | Path,
    symbols: str | Path | None = None,
    gene_table: str | Path | None = None,
    species: str | None = None,
    training_slides: Sequence[str] | None = None,
    workers: int = 1,
) -> None:
    """Write a store of kind ``tokens``, spots in the order of ``expression``; counts are held a block at a time.

    rule: ``kind`` (``rank`` or ``count``) and every option of ``genes/tokens/rules.py``. Rank tokens take the files
    that ``rank_reference`` describes (statistics, vocabulary, means, symbols), and with ``aliases`` the names of a
    ``species``, from ``gene_table`` or built in; count tokens take the panel. training_slides: whose counts the
    statistics are, for the record; a panel knows its own. workers: threads. Raises ``DataContractError`` for a file
    that is missing or does not fit, and for counts that are none.
    """
    chosen, head = token_rule(rule), read_head(expression)
    if isinstance(chosen, CountRule):
        made, slides = _count_tokens(chosen, head, panel)
    else:
        names = _names(chosen, gene_table=gene_table, species=species)
        files = {"vocabulary": vocabulary, "symbols": symbols, "means": means, "statistics": statistics}
        made = rank_slide(head, rank_reference(chosen, **files, names=names, workers=workers))
        slides = None if training_slides is None else sorted(training_slides)
    rows = Rows(
        shape=(len(head.spot_id), made.width),
        dtype=np.dtype(np.int32),
        read=lambda start, stop: made.tokens(read_block(expression, slice(start, stop))),
    )
    arrays = {"tokens": rows, "spot_id": head.spot_id}
    arrays |= {} if made.gene_id is None else {"gene_id": np.asarray(made.gene_id, dtype=object)}
    attrs = {
        "dataset": head.dataset,
        "slide": head.slide,
        "rule": rule_dict(chosen),
        "vocabulary_sha256": made.vocabulary_sha256,
        "training_slides": slides,
    }
    write_store(out, "tokens", arrays, attrs | _facts(made))
    logger.info(
        "tokens of %d spots of %s, %d positions; genes: %s", *rows.shape[:1], head.slide, made.width, _said(made)
    )


def _count_tokens(rule: CountRule, head: CountsHead, panel: str | Path | None) -> tuple[SlideTokens, list[str]]:
    if panel is None:
        raise DataContractError(
            "config.yaml", "tokens", expected="a panel, for kind: count", found="none", remedy="give the fold's panel"
        )
    genes = read_panel(panel)
    return count_slide(head, genes, rule), list(genes.training_slides)


def _names(rule: RankRule, *, gene_table: str | Path | None, species: str | None) -> GeneNames | None:
    if not rule.aliases:
        return None
    if species is None:
        raise DataContractError(
            "config.yaml",
            "species",
            expected="human or mouse, for aliases: true",
            found="none",
            remedy="name the dataset's species, or set aliases: false",
        )
    return builtin(species) if gene_table is None else read_gene_names(gene_table, species=species)


def _facts(made: SlideTokens) -> dict[str, Any]:
    """What the store says of the match of genes."""
    if made.report is None:
        return {}
    merged = {gene: list(columns) for gene, columns in made.report.merged.items()}
    return {"mapped": len(made.report.mapped), "unmapped": len(made.report.unmapped), "merged": merged}


def _said(made: SlideTokens) -> str:
    if made.report is None:
        return "all of the panel"
    report = made.report
    return f"{len(report.mapped)} mapped, {len(report.unmapped)} not in the vocabulary, {len(report.merged)} merged"
