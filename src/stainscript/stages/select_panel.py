"""Choose the genes to predict, on the slides given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import file_sha256
from stainscript.genes.identifiers.names import builtin, read_gene_names
from stainscript.genes.panels.file import write_panel
from stainscript.genes.panels.select import rule_of, select
from stainscript.genes.tokens.vocabulary_files import read_vocabulary_genes
from stainscript.types import Space, Target


def select_panel(
    *,
    expression: Sequence[str | Path],
    name: str,
    rule: Mapping[str, Any],
    target: Mapping[str, Any],
    out: str | Path,
    vocabulary: str | Path | None = None,
    species: str | None = None,
    gene_table: str | Path | None = None,
) -> None:
    """Write the panel ``name`` as TSV.

    expression: counts of the slides that choose, a fold's training slides unless the rule's scope is ``dataset``;
    rule, target: the config's panel section and the protocol's target as plain dicts. vocabulary: file of a pretrained
    model's genes, the only candidates. species: human or mouse, by whose gene names (``gene_table``: HGNC's or MGI's
    table, ``None``: the built-in one) lists and vocabulary are matched; ``None``: only equal names match. Raises
    ``DataContractError`` when the rule cannot be met.
    """
    wanted = Target(**{**target, "space": Space(target["space"])})
    facts: dict[str, Any] = {"rule": dict(rule), "target": wanted.label}
    names = None
    if species is not None:
        names = builtin(species) if gene_table is None else read_gene_names(gene_table, species=species)
        facts["gene_names"] = {"species": names.species, "release": names.release}
    listed = None
    if vocabulary is not None:
        listed = read_vocabulary_genes(vocabulary)
        facts["vocabulary"] = {"file": Path(vocabulary).name, "genes": len(listed), "sha256": file_sha256(vocabulary)}
    panel = select(list(expression), name=name, rule=rule_of(rule), target=wanted, vocabulary=listed, names=names)
    write_panel(out, panel, facts=facts)
