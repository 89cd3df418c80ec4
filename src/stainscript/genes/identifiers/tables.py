"""Tables of gene names: HGNC's complete set, MGI's marker reports, and the small tables that come with the package.

Formats: https://www.genenames.org/download/archive/ (``hgnc_complete_set``, one row a gene, lists joined by ``|``) and
https://www.informatics.jax.org/downloads/reports/ (``MRK_List1.rpt`` with withdrawn symbols, ``MRK_List2.rpt`` without;
``MRK_ENSEMBL.rpt``, which has no header: accession, symbol, name, position, chromosome, Ensembl gene id, …).
"""

from __future__ import annotations

import contextlib
import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from stainscript.artifacts.files import file_sha256
from stainscript.errors import DataContractError

Species = Literal["human", "mouse"]

SOURCES = {
    "human": ("HGNC's hgnc_complete_set", "https://www.genenames.org/download/archive/"),
    "mouse": ("MGI's MRK_List1.rpt and MRK_ENSEMBL.rpt", "https://www.informatics.jax.org/downloads/reports/"),
}
ID_PREFIX = {"human": "ENSG", "mouse": "ENSMUSG"}
HGNC_COLUMNS = ("symbol", "status", "alias_symbol", "prev_symbol", "ensembl_gene_id", "date_modified")
MGI_SYNONYMS = "Marker Synonyms (pipe-separated)"
MGI_COLUMNS = ("MGI Accession ID", "Marker Symbol", "Status", "Marker Type", MGI_SYNONYMS)
MGI_REPLACED_BY = "Current Marker Symbol (if withdrawn)"  # only in MRK_List1
MGI_TYPES = ("Gene", "Pseudogene")
MGI_LISTS = ("MRK_List1.rpt", "MRK_List2.rpt")
MGI_LINKS = "MRK_ENSEMBL.rpt"
OWN_COLUMNS = ("symbol", "ensembl_gene_id", "prev_symbol", "alias_symbol")
OWN_RELEASE = "# release:"


@dataclass(frozen=True, slots=True)
class GeneRecord:
    """One gene: its current symbol, its Ensembl gene id ("" where unknown), the symbols it had, other names."""

    symbol: str
    ensembl: str = ""
    previous: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GeneTable:
    """All genes of a species as one release of a table has them."""

    species: Species
    release: str
    genes: tuple[GeneRecord, ...]


def read_gene_table(path: str | Path, *, species: Species) -> GeneTable:
    """The table at ``path``, told by its columns; any file may be gzipped.

    path: HGNC's complete set; a table with the columns of ``OWN_COLUMNS`` and a comment ``# release: …``; one of MGI's
    marker lists, or a folder with a marker list and ``MRK_ENSEMBL.rpt`` (a list alone has no Ensembl ids). Only
    approved genes (HGNC) and the genes and pseudogenes in use (MGI) are taken; a withdrawn marker is a previous symbol
    of the one that replaced it, and MGI's synonyms are aliases. Raises ``DataContractError`` for an absent, empty or
    cut-off file, a web page, other columns, a repeated symbol, or a table of another species.
    """
    path = Path(path)
    links: dict[str, str] = {}
    if path.is_dir():
        path, links = _mgi_folder(path, species)
    header = _header(path, species)
    if set(HGNC_COLUMNS) <= set(header):
        release, genes = _hgnc(path, species)
    elif set(MGI_COLUMNS) <= set(header):
        release, genes = _mgi(path, species, links=links)
    elif tuple(header) == OWN_COLUMNS:
        release, genes = _own(path, species)
    else:
        columns = ", ".join(HGNC_COLUMNS if species == "human" else MGI_COLUMNS)
        raise _wrong(path, "columns", f"{columns} (tab-separated)", ", ".join(header)[:200], species)
    if not genes:
        raise _wrong(path, "rows", "at least one gene in use", "none", species)
    seen: set[str] = set()
    for gene in genes:
        if gene.symbol in seen or not gene.symbol:
            raise _wrong(path, "symbol", "each current symbol once", f"{gene.symbol!r} again", species)
        if gene.ensembl and not gene.ensembl.startswith(ID_PREFIX[species]):
            raise _wrong(path, "ensembl_gene_id", f"{ID_PREFIX[species]}… ({species})", gene.ensembl, species)
        seen.add(gene.symbol)
    return GeneTable(species=species, release=release, genes=tuple(genes))


def _hgnc(path: Path, species: Species) -> tuple[str, list[GeneRecord]]:
    if species != "human":
        raise _wrong(path, "species", "a table of mouse genes", "HGNC's table of human genes", species)
    newest, genes = "", []
    for row in _rows(path, species, quoted=True):
        newest = max(newest, row["date_modified"])  # the file does not say which release it is
        if row["status"] == "Approved":
            names = _names(row["prev_symbol"]), _names(row["alias_symbol"])
            genes.append(GeneRecord(row["symbol"], row["ensembl_gene_id"], *names))
    return f"HGNC {newest}", genes


def _mgi(path: Path, species: Species, *, links: dict[str, str]) -> tuple[str, list[GeneRecord]]:
    """links: MGI accession → Ensembl gene id."""
    if species != "mouse":
        raise _wrong(path, "species", "a table of human genes", "MGI's table of mouse genes", species)
    previous: dict[str, list[str]] = {}
    current: list[dict[str, str]] = []
    for row in _rows(path, species, quoted=False):
        if row["Status"] == "W":
            previous.setdefault(row.get(MGI_REPLACED_BY, ""), []).append(row["Marker Symbol"])
        elif row["Marker Type"] in MGI_TYPES:
            current.append(row)
    genes = []
    for row in current:
        symbol, identity = row["Marker Symbol"], links.get(row["MGI Accession ID"], "")
        genes.append(GeneRecord(symbol, identity, tuple(previous.get(symbol, ())), _names(row[MGI_SYNONYMS])))
    return f"MGI {path.name} sha256 {file_sha256(path)[:12]}", genes


def _mgi_folder(folder: Path, species: Species) -> tuple[Path, dict[str, str]]:
    """The marker list of a folder, the one with withdrawn symbols first, and MGI accession → Ensembl gene id."""
    lists = [folder / name for name in MGI_LISTS if (folder / name).is_file()]
    path = folder / MGI_LINKS
    if not lists or not path.is_file():
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10]) or "an empty folder"
        raise _wrong(folder, "files", f"{' or '.join(MGI_LISTS)}, and {MGI_LINKS}", found, species)
    _header(path, species)
    with _open(path, species) as handle:
        rows = [row for row in csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE) if row]
    links = {
        row[0]: row[5] for row in reversed(rows) if len(row) > 5 and row[5].startswith("ENSMUSG")
    }  # first row wins
    if not links:
        found = "\t".join(rows[0])[:80]
        raise _wrong(path, "columns", "an MGI accession first and an ENSMUSG… id sixth", found, species)
    return lists[0], links


def _own(path: Path, species: Species) -> tuple[str, list[GeneRecord]]:
    with _open(path, species) as handle:
        release = next((line.removeprefix(OWN_RELEASE).strip() for line in handle if line.startswith(OWN_RELEASE)), "")
    genes = [
        GeneRecord(row["symbol"], row["ensembl_gene_id"], _names(row["prev_symbol"]), _names(row["alias_symbol"]))
        for row in _rows(path, species, quoted=False)
    ]
    return release or f"{path.name} sha256 {file_sha256(path)[:12]}", genes


def _rows(path: Path, species: Species, *, quoted: bool) -> Iterator[dict[str, str]]:
    """Rows by column name. Raises ``DataContractError`` for a row that is shorter than the header."""
    with _open(path, species) as handle:
        lines = csv.reader(
            (line for line in handle if not line.startswith("#")),
            delimiter="\t",
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        )
        header = next(lines)
        for number, row in enumerate(lines, start=1):
            if not row:
                continue
            if len(row) < len(header):
                found = f"{len(row)} in row {number} ({row[0]})"
                raise _wrong(path, "columns", f"{len(header)} in every row", f"{found}: a cut-off file?", species)
            yield dict(zip(header, row, strict=False))


def _names(joined: str) -> tuple[str, ...]:
    return tuple(name for part in joined.split("|") if (name := part.strip().strip('"')))


def _header(path: Path, species: Species) -> list[str]:
    if not path.is_file():
        raise _wrong(path, "file", "a table of gene names", "no such file", species)
    with _open(path, species) as handle:
        first = next((line for line in handle if line.strip() and not line.startswith("#")), "")
    if not first:
        raise _wrong(path, "file", "a table of gene names", "an empty file", species)
    if first.lstrip().startswith("<"):
        raise _wrong(path, "file", "a tab-separated table", "a web page", species)
    return first.rstrip("\r\n").split("\t")


@contextlib.contextmanager
def _open(path: Path, species: Species) -> Iterator[TextIO]:
    """The text of a table, gzipped or not; newlines and broken characters are left to the parser."""
    how = {"encoding": "utf-8-sig", "errors": "replace", "newline": ""}
    try:
        with gzip.open(path, "rt", **how) if path.suffix == ".gz" else path.open(**how) as handle:
            yield handle
    except (gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise _wrong(path, "file", "a readable table", str(error), species) from error


def _wrong(path: Path, field: str, expected: str, found: str, species: Species) -> DataContractError:
    name, address = SOURCES[species]
    remedy = f"download {name} from {address}, or use the built-in table"
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
