"""Make the pathways that predictions are judged by, from published gene sets."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import file_sha256
from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import builtin, read_gene_names
from stainscript.genes.panels.file import read_panel
from stainscript.genes.pathways.curate import curate, map_to_panel, rule_of
from stainscript.genes.pathways.file import write_pathways
from stainscript.genes.pathways.gene_sets import read_gene_sets
from stainscript.genes.pathways.universe import universe_of

logger = logging.getLogger(__name__)


def curate_pathways(
    *,
    gene_sets: str | Path | Sequence[str | Path],
    rule: Mapping[str, Any],
    universe: str | Path | Sequence[str | Path] | None,
    panel: str | Path | None,
    gene_table: str | Path | None,
    species: str,
    out: str | Path,
    symbol_ids: str | Path | None = None,
) -> None:
    """Write the curated pathways as JSON.

    gene_sets: GMT or JSON, one file or several; rule: fields of ``CurationRule`` as a plain dict; universe: the files
    that the rule's universe needs; panel: what the pathways are mapped to, ``None``: they stay symbols; gene_table: the
    species' table of gene names, ``None``: the built-in one; symbol_ids: JSON of symbol → gene id, in place of gene
    names. Raises ``DataContractError`` for bad sets, a rule that cannot be meant, and where no set is left.
    """
    wanted = rule_of(rule)
    files = [Path(gene_sets)] if isinstance(gene_sets, str | Path) else [Path(path) for path in gene_sets]
    sets = read_gene_sets(files)
    genes = None if panel is None else read_panel(panel)
    within = universe_of(wanted.universe, universe, panel=genes, measured_in=wanted.measured_in)
    names = builtin(species) if gene_table is None else read_gene_names(gene_table, species=species)
    curation = curate(sets, rule=wanted, universe=within, names=names)
    if genes is not None or symbol_ids is not None:
        ids = None if symbol_ids is None else _symbol_ids(Path(symbol_ids))
        curation = map_to_panel(curation, panel=genes, names=names, symbol_ids=ids, min_mapped=wanted.min_mapped)
        if not any(pathway.gene_ids for pathway in curation.pathways):
            raise DataContractError(
                panel or symbol_ids,
                "genes",
                expected=f"genes of the {len(curation.pathways)} pathways",
                found="none",
                remedy="give gene sets of the panel's species, or a table of gene names that has its ids",
            )
    sources = {path.name: file_sha256(path) for path in files}
    write_pathways(out, curation, rule=wanted, universe=within, sources=sources, panel=genes)
    logger.info(
        "%d pathways of %d sets within %s; %s genes on the panel, %s off it",
        len(curation.pathways),
        len(sets),
        within.description,
        curation.counts.get("genes_mapped", "no"),
        curation.counts.get("genes_off_panel", "no"),
    )


def _symbol_ids(path: Path) -> dict[str, str]:
    expected = "one JSON object of texts: symbol → gene id"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _unlike(path, expected, "no such file") from None
    except ValueError:
        raise _unlike(path, expected, "no JSON") from None
    if not isinstance(content, dict) or not all(isinstance(gene_id, str) for gene_id in content.values()):
        raise _unlike(path, expected, type(content).__name__)
    return content


def _unlike(path: Path, expected: str, found: str) -> DataContractError:
    return DataContractError(path, "symbol_ids", expected=expected, found=found, remedy="correct the file")
