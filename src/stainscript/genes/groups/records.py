"""The groups as a file: ``.groups.json``, bound to the panel by the panel's digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import write_json
from stainscript.errors import DataContractError
from stainscript.types import Panel

SCHEMA_VERSION = 1
AGAIN = "let group_genes write the file again, from this panel"


@dataclass(frozen=True, kw_only=True)
class GeneGroups:
    """An order of a panel's genes and groups of them.

    clustered_order: positions in the panel, G of them; order, symbols: the gene ids and symbols there; groups: gene ids
    of each group, in ``order``; scale_dims: number of equal blocks at each scale; total_spots: training spots that the
    order is made from; the two digests are of the symbols in the panel's order and in this order, as
    ``list_sha256`` has them.
    """

    dataset: str
    panel: str
    panel_sha256: str
    rule: Mapping[str, Any]
    training_slides: tuple[str, ...]
    total_spots: int
    clustered_order: tuple[int, ...]
    order: tuple[str, ...]
    symbols: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    scale_dims: tuple[int, ...]
    source_gene_list_sha256: str
    output_gene_list_sha256: str
    schema_version: int = SCHEMA_VERSION


def list_sha256(names: Sequence[str]) -> str:
    """Digest of a gene list as text, one name a line with a final line feed (GenAR's released form)."""
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


def write_groups(path: str | Path, groups: GeneGroups) -> None:
    """Write the groups completely or not at all; equal groups give equal bytes."""
    write_json(path, asdict(groups))


def read_groups(path: str | Path, *, panel: Panel) -> GeneGroups:
    """Read what ``write_groups`` wrote for ``panel``.

    Raises ``DataContractError`` when the file is absent or of another form, was made for another panel, holds no
    permutation of its genes, or groups that do not follow one another in the order.
    """
    groups = _parse(Path(path))
    if groups.panel_sha256 != panel.sha256:
        found = f"{groups.panel} ({groups.panel_sha256[:12]}, {len(groups.order)} genes)"
        raise _unlike(path, "panel_sha256", f"panel {panel.name} ({panel.sha256[:12]}, {len(panel)} genes)", found)
    if sorted(groups.clustered_order) != list(range(len(panel))):
        raise _unlike(path, "clustered_order", f"each of {len(panel)} positions once", "another set of positions")
    if groups.order != tuple(panel.gene_ids[position] for position in groups.clustered_order):
        raise _unlike(path, "order", "the genes at clustered_order", "other genes")
    if tuple(gene for group in groups.groups for gene in group) != groups.order:
        raise _unlike(path, "groups", "every gene once, in order", "other genes or another order")
    if groups.output_gene_list_sha256 != list_sha256(groups.symbols):
        raise _unlike(path, "output_gene_list_sha256", list_sha256(groups.symbols)[:12], "another digest")
    return groups


def _parse(path: Path) -> GeneGroups:
    if not path.is_file():
        raise _unlike(path, "file", "gene groups", "no such file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _unlike(path, "file", "JSON", str(error)) from error
    names = set(GeneGroups.__dataclass_fields__)
    if not isinstance(value, dict) or set(value) != names:
        found = (
            ", ".join(sorted(names.symmetric_difference(value))) if isinstance(value, dict) else type(value).__name__
        )
        raise _unlike(path, "keys", ", ".join(sorted(names)), f"missing or unknown: {found}")
    if value["schema_version"] != SCHEMA_VERSION:
        raise _unlike(path, "schema_version", str(SCHEMA_VERSION), str(value["schema_version"]))
    lists = ("training_slides", "clustered_order", "order", "symbols", "scale_dims")
    value.update({name: tuple(value[name]) for name in lists})
    return GeneGroups(**{**value, "groups": tuple(tuple(group) for group in value["groups"])})


def _unlike(path: str | Path, field: str, expected: str, found: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=AGAIN)
