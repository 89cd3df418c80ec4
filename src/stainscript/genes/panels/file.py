"""The panel as a file: TSV with facts in comment lines on top, checked against its own digest when read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import complete_file
from stainscript.artifacts.schemas import PANEL_COLUMNS
from stainscript.errors import DataContractError
from stainscript.types import Panel, canonical_json


def write_panel(path: str | Path, panel: Panel, *, facts: Mapping[str, Any] | None = None) -> None:
    """Write the panel completely or not at all; facts: further JSON values for the head, e.g. rule and target."""
    head = {"name": panel.name, "training_slides": list(panel.training_slides), "sha256": panel.sha256}
    lines = [f"# {key}: {canonical_json(value)}" for key, value in {**head, **(facts or {})}.items()]
    lines.append("\t".join(PANEL_COLUMNS))
    rows = zip(panel.gene_ids, panel.symbols, panel.mean, panel.variance, strict=True)
    lines += [
        f"{gene}\t{symbol}\t{rank}\t{float(mean)!r}\t{float(variance)!r}"
        for rank, (gene, symbol, mean, variance) in enumerate(rows, start=1)
    ]
    with complete_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_panel(path: str | Path) -> Panel:
    """Read what ``write_panel`` wrote; raises ``DataContractError`` when columns, ranks or digest do not agree."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    head = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    missing = {"name", "training_slides", "sha256"} - set(head)
    if missing:
        raise _unlike(path, "head", "name, training_slides, sha256", f"no {', '.join(sorted(missing))}")
    body = [line for line in lines if not line.startswith("# ")]
    rows = list(csv.DictReader(io.StringIO("\n".join(body)), delimiter="\t", quoting=csv.QUOTE_NONE))
    columns = tuple(body[0].split("\t")) if body else ()
    if columns != PANEL_COLUMNS:
        raise _unlike(path, "columns", ", ".join(PANEL_COLUMNS), ", ".join(columns))
    if [row["rank"] for row in rows] != [str(rank) for rank in range(1, len(rows) + 1)]:
        raise _unlike(path, "rank", "1, 2, 3, …", "another order")
    panel = Panel(
        name=json.loads(head["name"]),
        gene_ids=tuple(row["gene_id"] for row in rows),
        symbols=tuple(row["symbol"] for row in rows),
        mean=tuple(float(row["mean"]) for row in rows),
        variance=tuple(float(row["variance"]) for row in rows),
        training_slides=tuple(json.loads(head["training_slides"])),
    )
    if panel.sha256 != json.loads(head["sha256"]):
        raise _unlike(path, "sha256", json.loads(head["sha256"])[:12], f"{panel.sha256[:12]} for the genes listed")
    return panel


def _unlike(path: str | Path, field: str, expected: str, found: str) -> DataContractError:
    remedy = "delete the file and let select_panel write it again"
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
