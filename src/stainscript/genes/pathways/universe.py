"""The genes that pathways are cut to before their sizes are counted, as the release of HistoPrism does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.backed import read_head
from stainscript.genes.panels.gene_list import read_gene_list
from stainscript.genes.pathways.gene_sets import read_gmt
from stainscript.types import Panel

UniverseKind = Literal["released", "panel", "none", "file", "measured"]
MeasuredIn = Literal["every", "any"]


@dataclass(frozen=True, kw_only=True)
class Universe:
    """The symbols of the universe, ``None`` for no restriction, and in words where they are from."""

    kind: UniverseKind
    description: str
    symbols: tuple[str, ...] | None

    @property
    def sha256(self) -> str | None:
        """Identity of the universe: hash of its sorted symbols."""
        return None if self.symbols is None else hashlib.sha256("\n".join(sorted(self.symbols)).encode()).hexdigest()


def universe_of(
    kind: UniverseKind,
    sources: str | Path | Sequence[str | Path] | None,
    *,
    panel: Panel | None = None,
    measured_in: MeasuredIn = "every",
) -> Universe:
    """The universe of this kind.

    ``released``: HistoPrism's, which its authors do not name; sources: a file with what is known of it, e.g. the
    released sets themselves. ``file``: genes listed in one file. Both: symbols, one a line or a JSON list, or a file of
    gene sets, whose union is taken. ``measured``: sources are ``expression/`` files; the genes that every slide
    measures, or ``any``. ``panel``: the panel's genes. ``none``: no restriction. Raises ``DataContractError`` where the
    sources that the kind needs are not given, or no gene is left.
    """
    if kind not in get_args(UniverseKind):
        raise unknown_name("pathways", "universe", kind, get_args(UniverseKind))
    files = [Path(sources)] if isinstance(sources, str | Path) else [Path(path) for path in sources or ()]
    if kind == "none":
        return Universe(kind=kind, description="no restriction: the sets as they are published", symbols=None)
    if kind == "panel":
        if panel is None:
            raise _wrong("universe panel", "a panel", "none", "give the panel, or choose another universe")
        return Universe(kind=kind, description=f"the genes of panel {panel.name}", symbols=tuple(panel.symbols))
    if not files or (kind != "measured" and len(files) > 1):
        expected = "the counts of one slide or more" if kind == "measured" else "one file of genes"
        raise _wrong(f"universe {kind}", expected, f"{len(files)} files", "name it, or choose another universe")
    if kind == "measured":
        return _measured(files, measured_in)
    symbols = tuple(dict.fromkeys(_listed(files[0])))
    what = "HistoPrism's released universe, from" if kind == "released" else "the genes of"
    return Universe(kind=kind, description=f"{what} {files[0].name}", symbols=symbols)


def _measured(files: Sequence[Path], measured_in: MeasuredIn) -> Universe:
    if measured_in not in get_args(MeasuredIn):
        raise unknown_name("pathways", "measured_in", measured_in, get_args(MeasuredIn))
    heads = [read_head(path) for path in files]
    slides = [set(head.symbols) for head in heads]
    wanted = set.intersection(*slides) if measured_in == "every" else set.union(*slides)
    symbols = tuple(
        symbol for symbol in dict.fromkeys(name for head in heads for name in head.symbols) if symbol in wanted
    )
    if not symbols:
        raise _wrong(
            str(files[0]), "a gene that every slide measures", "none", "set measured_in: any, or mend the slides"
        )
    what = "genes that every one of" if measured_in == "every" else "genes that any of"
    return Universe(kind="measured", description=f"{what} {len(files)} slides measures", symbols=symbols)


def _listed(path: Path) -> list[str]:
    """Symbols in a list, or in any set of a file of gene sets."""
    if path.suffix != ".json" and ".gmt" not in path.suffixes:
        return list(read_gene_list(path))
    if path.suffix == ".json" and path.is_file():
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise _wrong(str(path), "JSON", str(error), "correct the file") from None
        if isinstance(content, list):
            if not content or not all(isinstance(gene, str) and gene for gene in content):
                raise _wrong(str(path), "a list of gene symbols", repr(content)[:60], "list the genes by name")
            return content
        if isinstance(content, dict) and list(content) == ["genes"]:
            return list(read_gene_list(path))
    return [gene for genes in read_gmt(path).values() for gene in genes]


def _wrong(path: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, "universe", expected=expected, found=found, remedy=remedy)
