"""Curated pathways as a file: JSON with the pathways in order, the rule, where they are from, and counts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import write_json
from stainscript.errors import DataContractError
from stainscript.genes.pathways.curate import Curation, CurationRule, Pathway
from stainscript.genes.pathways.universe import Universe
from stainscript.types import Panel

KIND = "pathways"


@dataclass(frozen=True, kw_only=True)
class PathwayFile:
    """What was read: the pathways, and the panel that they are mapped to (none: ``panel_sha256`` is ``None``)."""

    pathways: tuple[Pathway, ...]
    panel_sha256: str | None
    panel_gene_ids: tuple[str, ...]
    panel_symbols: tuple[str, ...]
    facts: Mapping[str, Any]

    def gene_ids(self) -> dict[str, tuple[str, ...]]:
        """Name → gene ids of the usable pathways, in order."""
        return {pathway.name: pathway.gene_ids for pathway in self.pathways if pathway.usable}

    def symbols(self) -> dict[str, tuple[str, ...]]:
        """Name → symbols of the pathways that have any, in order."""
        return {pathway.name: pathway.genes for pathway in self.pathways if pathway.genes}


def write_pathways(
    path: str | Path,
    curation: Curation,
    *,
    rule: CurationRule,
    universe: Universe,
    sources: Mapping[str, str],
    panel: Panel | None,
) -> None:
    """Write them; sources: file name of gene sets → its SHA-256; panel: what they are mapped to, if anything."""
    size = None if universe.symbols is None else len(set(universe.symbols))
    facts = {"kind": universe.kind, "description": universe.description, "size": size, "sha256": universe.sha256}
    on = None
    if panel is not None:
        on = {"name": panel.name, "sha256": panel.sha256, "gene_ids": panel.gene_ids, "symbols": panel.symbols}
    content = {
        "kind": KIND,
        "pathways": [{**dataclasses.asdict(one), "size": len(one.genes)} for one in curation.pathways],
        "redundant": [dataclasses.asdict(one) for one in curation.redundant],
        "counts": dict(curation.counts),
        "rule": dataclasses.asdict(rule),
        "universe": facts,
        "sources": dict(sources),
        "panel": on,
    }
    write_json(path, content)


def read_pathways(path: str | Path) -> PathwayFile:
    """Read what ``write_pathways`` wrote; raises ``DataContractError`` for any other file."""
    path = Path(path)
    if not path.is_file():
        raise _wrong(path, "no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise _wrong(path, "no JSON") from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise _wrong(path, "another file")
    panel = content["panel"] or {"sha256": None, "gene_ids": (), "symbols": ()}
    pathways = tuple(
        Pathway(
            name=one["name"],
            collection=one["collection"],
            genes=tuple(one["genes"]),
            gene_ids=tuple(one["gene_ids"]),
            usable=one["usable"],
        )
        for one in content["pathways"]
    )
    return PathwayFile(
        pathways=pathways,
        panel_sha256=panel["sha256"],
        panel_gene_ids=tuple(panel["gene_ids"]),
        panel_symbols=tuple(panel["symbols"]),
        facts={key: content[key] for key in ("rule", "universe", "sources", "counts")},
    )


def _wrong(path: Path, found: str) -> DataContractError:
    return DataContractError(
        path, "pathways", expected="pathways as curate_pathways writes them", found=found, remedy="run curate_pathways"
    )
