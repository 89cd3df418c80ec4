"""Named sets of genes from files: GMT, plain or gzipped, as MSigDB and Enrichr write it, or JSON.

GMT: one set a line, separated by tabs: its name, a description, its genes. Enrichr leaves the description empty and may
give each gene a weight (``GENE,1.0``), which is dropped. JSON: one object, name → list of genes.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

GZIP = b"\x1f\x8b"
DOWNLOAD = "https://www.gsea-msigdb.org/gsea/downloads.jsp"


def read_gmt(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Set name → its genes, both in the order of the file; a file named ``.json`` or ``.json.gz`` is read as JSON.

    A gene that a set lists twice is kept once, where it stands first, with a line in the log; genes compare as they
    are written. Raises ``DataContractError`` for an absent file, one that is no text, a web page, damaged, or empty, a
    line without tabs, a set without name or genes, and a name that comes twice, whether with the same genes or others.
    """
    path = Path(path)
    text = _text(path)
    rows = _json_rows(path, text) if ".json" in path.suffixes[-2:] else _gmt_rows(path, text)
    sets: dict[str, tuple[str, ...]] = {}
    place: dict[str, str] = {}
    repeated: list[str] = []
    for where, name, listed in rows:
        genes = tuple(dict.fromkeys(listed))
        if name in sets:
            same = "the same genes" if set(genes) == set(sets[name]) else "other genes"
            found = f"{name} in {place[name]} and {where}, with {same}"
            raise _wrong(path, "set names", "each name once", found, "remove or rename one of the two")
        if not genes:
            raise _wrong(
                path, where, "a set of one gene or more", f"{name} without genes", "remove it or list its genes"
            )
        if len(genes) < len(listed):
            repeated.append(name)
        sets[name], place[name] = genes, where
    if not sets:
        raise _wrong(path, "sets", "at least one gene set", "none", f"get the file again, e.g. from {DOWNLOAD}")
    if repeated:
        logger.info("%s: %d sets list a gene more than once, kept once (first: %s)", path, len(repeated), repeated[0])
    return sets


def read_gene_sets(paths: str | Path | Sequence[str | Path]) -> dict[str, tuple[str, ...]]:
    """The sets of one file or of several, one after the other; raises when two files name the same set."""
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    sets: dict[str, tuple[str, ...]] = {}
    owner: dict[str, Path] = {}
    for path in map(Path, several):
        for name, genes in read_gmt(path).items():
            if name in sets:
                raise _wrong(
                    path, "set names", "each name in one file", f"{name}, also in {owner[name]}", "give one file"
                )
            sets[name], owner[name] = genes, path
    return sets


def write_gmt(
    path: str | Path, sets: Mapping[str, Iterable[str]], *, descriptions: Mapping[str, str] | None = None
) -> None:
    """Write the sets in their order, completely or not at all; ``read_gmt`` gives back what was written."""
    rows = [(name, (descriptions or {}).get(name, ""), *genes) for name, genes in sets.items()]
    for row in rows:
        broken = next((cell for cell in row if cell != cell.strip() or set(cell) & set("\t\r\n")), None)
        if broken is not None or not row[0] or len(row) < 3:
            found = (
                f"{broken!r} in set {row[0]!r}" if broken is not None else f"set {row[0]!r} with {len(row) - 2} genes"
            )
            raise _wrong(Path(path), "sets", "a name, and genes without tabs or line breaks", found, "correct the set")
    with complete_file(path) as temporary:
        temporary.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")


def _text(path: Path) -> str:
    """The file's text, unpacked where it is gzipped."""
    if not path.is_file():
        raise _wrong(
            path, "file", "a file of gene sets", "no such file", f"correct the path, or get it from {DOWNLOAD}"
        )
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if data.startswith(GZIP) else data).decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise _wrong(path, "file", "a whole gzip file", "a damaged one", "download the file again") from None
    except UnicodeDecodeError:
        raise _not_text(path) from None
    if "\0" in text:
        raise _not_text(path)
    if text.lstrip()[:1] == "<":
        raise _wrong(
            path, "file", "gene sets, separated by tabs", "a web page", f"log in and download it at {DOWNLOAD}"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _gmt_rows(path: Path, text: str) -> Iterator[tuple[str, str, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        if not rest:
            found = f"no tab in {line.strip()[:60]!r}"
            raise _wrong(
                path, f"line {number}", "name, description and genes, separated by tabs", found, "give a GMT file"
            )
        if not name:
            raise _wrong(path, f"line {number}", "the name of the set first", "an empty cell", "name the set")
        yield f"line {number}", name, [_without_weight(cell) for cell in rest[1:] if cell]


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, str, list[str]]]:
    try:
        pairs = json.loads(text, object_pairs_hook=lambda pairs: pairs)  # a dict would hide a name that comes twice
    except json.JSONDecodeError as error:
        raise _wrong(path, "file", "JSON", f"{error.msg} in line {error.lineno}", "correct the file") from None
    expected = "one object of lists: set name → genes"
    if not isinstance(pairs, list) or not text.lstrip().startswith("{"):
        raise _wrong(path, "file", expected, type(pairs).__name__, "write the sets so")
    for number, (name, genes) in enumerate(pairs, start=1):
        if not isinstance(genes, list) or not all(isinstance(gene, str) and gene.strip() for gene in genes):
            raise _wrong(path, f"set {number}", expected, f"{name}: {str(genes)[:60]}", "list its genes by name")
        if not name.strip():
            raise _wrong(path, f"set {number}", "a name", "an empty one", "name the set")
        yield f"set {number}", name.strip(), [gene.strip() for gene in genes]


def _without_weight(cell: str) -> str:
    gene, comma, weight = cell.rpartition(",")
    if not comma:
        return cell
    try:
        float(weight)
    except ValueError:
        return cell
    return gene.strip()


def _not_text(path: Path) -> DataContractError:
    return _wrong(path, "file", "text in UTF-8, plain or gzipped", "other bytes", "give a .gmt or .gmt.gz file")


def _wrong(path: Path, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
