"""Which pathways the groups of a panel's genes stand for."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from stainscript.artifacts.files import complete_file
from stainscript.artifacts.tables import read_rows
from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.groups.records import read_groups
from stainscript.genes.panels.file import read_panel
from stainscript.genes.pathways.enrichment import ADJUSTED, NOMINAL_BACKGROUND, Correction, Family, enrich
from stainscript.genes.pathways.file import KIND, PathwayFile, read_pathways
from stainscript.genes.pathways.gene_sets import read_gmt
from stainscript.genes.pathways.universe import universe_of
from stainscript.report.figures.enrichment import dot_plot
from stainscript.report.figures.svg import notice
from stainscript.types import Panel

logger = logging.getLogger(__name__)

BACKGROUNDS = ("panel", "measured", "file", "nominal")
Sets = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Options; correction and family as in ``genes.enrichment``.

    ``nominal`` with correction none is the tool of GenAR's release: symbols as they are written, 20,000 genes.
    """

    background: Literal["panel", "measured", "file", "nominal"] = "panel"
    background_size: int = NOMINAL_BACKGROUND
    correction: Correction = "fdr_bh"
    family: Family = "all"


def enrich_groups(
    *,
    groups: str | Path,
    pathways: str | Path,
    background: str | Path | Sequence[str | Path] | None,
    rule: Mapping[str, Any],
    out: str | Path,
    figure: str | Path | None = None,
    title: str = "gene groups in pathways",
) -> None:
    """Write a row for every group and pathway, columns of ``genes.enrichment.enrich``; ``out`` is TSV, or CSV by name.

    groups: ``.groups.json``, a TSV with the columns group and gene, or gene sets (GMT, JSON); pathways: curated ones,
    gene sets, or a TSV with the columns term and gene; background: the panel's TSV (none where the pathways are curated
    for it), counts of one slide or several, or a file of genes, as the rule says; figure: the dot plot (SVG), under
    ``title``. Against a panel, pathways curated for it meet the groups by gene id; all else meets by symbol as written.
    Overlaps are printed as symbols. Raises ``DataContractError`` where groups and pathways are of different panels, the
    background is not given, or nothing is left to test.
    """
    wanted = _rule_of(rule, out)
    curated = read_pathways(pathways) if _holds(pathways, "kind", KIND) else None
    panel = _panel(curated, background if wanted.background == "panel" else None)
    by_id = wanted.background == "panel" and curated is not None and curated.panel_sha256 is not None
    if by_id and panel is not None and panel.sha256 != curated.panel_sha256:
        raise DataContractError(
            pathways,
            "panel_sha256",
            expected=f"{panel.sha256[:12]}, panel {panel.name}",
            found=curated.panel_sha256[:12],
            remedy="curate the pathways for this panel",
        )
    members = _groups(groups, panel, by_id=by_id)
    table = enrich(
        members,
        _terms(pathways, curated, by_id=by_id),
        background=_background(wanted, background, panel, by_id=by_id, out=out),
        correction=wanted.correction,
        family=wanted.family,
    )
    if by_id:
        symbol_of = dict(zip(panel.gene_ids, panel.symbols, strict=True))
        listed = [text.split(",") if text else [] for text in table["overlap_genes"]]
        table["overlap_genes"] = [",".join(sorted(symbol_of[gene] for gene in genes)) for genes in listed]
    separator = "," if Path(out).suffix == ".csv" else "\t"
    with complete_file(out) as path:
        table.to_csv(path, sep=separator, index=False, lineterminator="\n")
    if figure is not None:
        with complete_file(figure) as path:
            path.write_text(_drawn(table, title=title), encoding="utf-8")
    p = ADJUSTED if ADJUSTED in table.columns else "nominal_p_value"
    logger.info(
        "%d groups, %d pairs tested, %d with %s of at most 0.05", len(members), len(table), (table[p] <= 0.05).sum(), p
    )


def _drawn(table: pd.DataFrame, *, title: str) -> str:
    """The dot plot; where no group shares a gene with a pathway, one line that says so."""
    if (table["overlap_size"] > 0).any():
        return dot_plot(table, title=title)
    return notice(f"{title}: no group shares a gene with a pathway")


def _rule_of(options: Mapping[str, Any], out: str | Path) -> Rule:
    known = [field.name for field in fields(Rule)]
    for name in options:
        if name not in known:
            raise unknown_name(out, "rule", name, known)
    rule = Rule(**options)
    if rule.background not in BACKGROUNDS:
        raise unknown_name(out, "background", rule.background, BACKGROUNDS)
    return rule


def _panel(curated: PathwayFile | None, path: str | Path | None) -> Panel | None:
    """The panel of the file, else the one that the pathways are curated for, whose moments nobody asks for here."""
    if path is not None:
        return read_panel(path)
    if curated is None or curated.panel_sha256 is None:
        return None
    unknown = (math.nan,) * len(curated.panel_gene_ids)
    return Panel(
        name="of the pathways",
        gene_ids=curated.panel_gene_ids,
        symbols=curated.panel_symbols,
        mean=unknown,
        variance=unknown,
        training_slides=(),
    )


def _groups(path: str | Path, panel: Panel | None, *, by_id: bool) -> Sets:
    """Group → its gene ids, or its symbols; a symbol that the panel lacks stays as it is, and so off the background."""
    path = Path(path)
    if not _holds(path, "clustered_order"):
        listed = _table(path, "group") if path.suffix == ".tsv" else read_gmt(path)
        if not by_id:
            return listed
        id_of = dict(zip(panel.symbols, panel.gene_ids, strict=True))
        return {name: [id_of.get(gene, gene) for gene in genes] for name, genes in listed.items()}
    if panel is None:
        raise DataContractError(
            path,
            "panel",
            expected="the panel of these groups",
            found="none",
            remedy="give the panel's TSV as background, or pathways curated for the panel",
        )
    found = read_groups(path, panel=panel)
    symbol_of = dict(zip(panel.gene_ids, panel.symbols, strict=True))
    digits = len(str(len(found.groups) - 1))
    names = (f"group {number:0{digits}d}" for number in range(len(found.groups)))
    genes = (group if by_id else tuple(symbol_of[gene] for gene in group) for group in found.groups)
    return dict(zip(names, genes, strict=True))


def _terms(path: str | Path, curated: PathwayFile | None, *, by_id: bool) -> Sets:
    if curated is not None:
        return curated.gene_ids() if by_id else curated.symbols()
    return _table(Path(path), "term") if Path(path).suffix == ".tsv" else read_gmt(path)


def _background(
    rule: Rule,
    path: str | Path | Sequence[str | Path] | None,
    panel: Panel | None,
    *,
    by_id: bool,
    out: str | Path,
) -> int | Sequence[str]:
    if rule.background == "nominal":
        return rule.background_size
    if rule.background != "panel":
        return universe_of(rule.background, path).symbols or ()
    if panel is None:
        raise DataContractError(
            out,
            "background",
            expected="the panel's TSV",
            found="none",
            remedy="give it, or pathways curated for the panel, or set background: nominal",
        )
    return panel.gene_ids if by_id else panel.symbols


def _table(path: Path, key: str) -> Sets:
    """Name → genes of a TSV with the columns ``key`` and ``gene``, as GenAR's tool reads it."""
    sets: dict[str, dict[str, None]] = {}
    for _, row in read_rows(path, required=(key, "gene"), optional=(), what=f"{key}s", remedy="correct the path"):
        if row[key] and row["gene"]:
            sets.setdefault(row[key], {})[row["gene"]] = None
    if not sets:
        raise DataContractError(path, f"{key}s", expected="one or more", found="none", remedy="list their genes")
    return {name: tuple(genes) for name, genes in sets.items()}


def _holds(path: str | Path, key: str, value: str | None = None) -> bool:
    """Whether the file is a JSON object with ``key`` (and this value of it)."""
    path = Path(path)
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and key in content and value in (None, content[key])
