"""Order and group the genes of a panel, on the slides given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.errors import DataContractError
from stainscript.genes.groups.grouping import group
from stainscript.genes.groups.records import write_groups
from stainscript.genes.groups.rules import rule_of
from stainscript.genes.identifiers.names import builtin, read_gene_names
from stainscript.genes.panels.file import read_panel
from stainscript.genes.pathways.gene_sets import read_gmt


def group_genes(
    *,
    panel: str | Path,
    expression: Sequence[str | Path],
    rule: Mapping[str, Any],
    gene_sets: str | Path | None,
    out: str | Path,
    species: str | None = None,
    gene_table: str | Path | None = None,
) -> None:
    """Write the groups of a panel's genes as ``.groups.json``.

    panel: TSV of ``select_panel``; expression: counts of the fold's training slides; rule: the config's section as a
    plain dict (``genes/groups/rules.py``); gene_sets: GMT, for the order ``pathway`` and for no other. species: by
    whose gene names (``gene_table``: HGNC's or MGI's table, ``None``: the built-in one) sets and printed groups are
    matched; ``None``: only equal symbols match. Raises ``DataContractError`` when the rule cannot be met.
    """
    wanted = rule_of(rule)
    if gene_sets is not None and wanted.order != "pathway":
        raise DataContractError(
            "groups",
            "gene_sets",
            expected=f"none for order {wanted.order}",
            found=gene_sets,
            remedy="leave them out, or set order: pathway",
        )
    names = None
    if species is not None:
        names = builtin(species) if gene_table is None else read_gene_names(gene_table, species=species)
    groups = group(
        read_panel(panel),
        expression=list(expression),
        rule=wanted,
        gene_sets=None if gene_sets is None else read_gmt(gene_sets),
        names=names,
    )
    write_groups(out, groups)
