"""Manifests of published files: where each comes from, what it must be, under which licence, and who may have it.

A manifest is ``workflow/sheets/downloads/<dataset>.tsv``, one row a file:

- ``path``     where it goes, relative to the dataset's root; for a zip or tar the folder that it is unpacked in
- ``slide``    the slide that needs it; empty: the whole dataset; ``*``: every slide, its names put for ``{slide}`` and
  ``{hest_id}`` in path and url
- ``url``      http(s); empty where no public address is known: then ``gate`` gives the manual steps
- ``size``, ``sha256``   bytes and hash of what the address sends; empty where nobody published them
- ``unpack``   empty, ``zip``, ``tar`` or ``gz``;  ``members``  pattern of the members to unpack, empty: all
- ``optional``  ``true`` where some slides have no such file and none needs it: absent at the address is no error
- ``licence``, ``gate`` (how to get access, empty: free to all), ``note``

The plan reads manifests while Snakemake parses, so nothing heavy is imported here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from stainscript.artifacts.tables import read_rows
from stainscript.errors import DataContractError, unknown_name

REQUIRED_COLUMNS = ("path", "url", "licence")
OPTIONAL_COLUMNS = ("slide", "size", "sha256", "unpack", "members", "optional", "gate", "note")
UNPACK = ("gz", "tar", "zip")
EVERY_SLIDE = "*"
STAGING = ".downloads"  # folder in the dataset's root for archives on their way; no row may write there
FIELD = re.compile(r"\{([^{}]*)\}")
FIELDS = ("slide", "hest_id")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One row of a manifest; ``size`` and ``sha256`` are those of the file that ``url`` sends."""

    path: str
    url: str
    licence: str
    slide: str = ""
    size: int | None = None
    sha256: str = ""
    unpack: str = ""
    members: str = ""
    optional: bool = False
    gate: str = ""
    note: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether ``path`` is the folder that an archive is unpacked in."""
        return self.unpack in ("tar", "zip")

    @property
    def key(self) -> str:
        """A relative path that no other row of the manifest has: names the job, its log and its record."""
        if not self.is_folder:
            return self.path
        return str(PurePosixPath(self.path) / f"archive-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}")


def read(path: str | Path) -> list[Source]:
    """Rows of a manifest, in order; templates (slide ``*``) as written: ``wanted`` fills them in.

    Raises ``DataContractError`` for an unknown or missing column, an absolute or escaping path, a file listed twice, a
    malformed size, hash or address, and a row that has neither an address nor the manual steps.
    """
    path = Path(path)
    given = {"required": REQUIRED_COLUMNS, "optional": OPTIONAL_COLUMNS, "what": "manifest"}
    rows: list[Source] = []
    line_of: dict[str, int] = {}
    for number, cells in read_rows(path, **given, remedy="correct the dataset's downloads"):
        row = _row(path, number, cells)
        first = line_of.setdefault(row.key, number)
        if first != number:
            raise DataContractError(
                path,
                "path",
                expected="every file once",
                found=f"{row.path!r} in lines {first} and {number}",
                remedy="remove one of the two lines",
            )
        rows.append(row)
    if not rows:
        raise DataContractError(path, "rows", expected="at least one file", found="none", remedy="list the files")
    return rows


def wanted(manifest: Iterable[Source], *, slides: Iterable[Mapping[str, str]]) -> list[Source]:
    """The files that ``slides`` (rows of the dataset's sheet) need, each once, templates filled in.

    Rows of the whole dataset always belong to it; rows of other slides do not. ``{hest_id}`` is the sheet's cell, or
    the slide's name where that is empty.
    """
    rows = list(slides)
    names = {row["slide"] for row in rows}
    found: dict[str, Source] = {}
    for source in manifest:
        if source.slide == EVERY_SLIDE:
            filled = [_filled(source, row) for row in rows]
        else:
            filled = [source] if source.slide in ("", *names) else []
        for one in filled:
            found.setdefault(one.key, one)
    return list(found.values())


def check_relative(path: str, *, where: str | Path, field: str) -> PurePosixPath:
    """``path`` as a path that stays inside its folder; raises ``DataContractError`` for any other."""
    parts = path.split("/")
    plain = path and not path.startswith("~") and "\\" not in path and path.isprintable() and ":" not in parts[0]
    if not plain or {"", ".", ".."} & set(parts) or parts[0] == STAGING:
        raise DataContractError(
            where,
            field,
            expected="a relative path inside the dataset's root",
            found=repr(path),
            remedy="write folders and file name with / between them, without .. and without a leading /",
        )
    return PurePosixPath(path)


def _filled(source: Source, row: Mapping[str, str]) -> Source:
    values = {"slide": row["slide"], "hest_id": row.get("hest_id") or row["slide"]}
    path, url = (FIELD.sub(lambda match: values[match[1]], text) for text in (source.path, source.url))
    if path != ".":
        check_relative(path, where=f"sheet, slide {row['slide']}", field="hest_id")
    return replace(source, path=path, url=url, slide=row["slide"])


def _row(path: Path, number: int, cells: dict[str, str]) -> Source:
    def refuse(column: str, expected: str, remedy: str) -> DataContractError:
        found = repr(cells[column]) if cells[column] else "an empty cell"
        return DataContractError(path, f"{column}, line {number}", expected=expected, found=found, remedy=remedy)

    if cells["path"] != "." or cells["unpack"] not in ("tar", "zip"):  # an archive may unpack in the root itself
        check_relative(cells["path"], where=path, field=f"path, line {number}")
    if not cells["licence"]:
        raise refuse("licence", "the licence, or where its terms are", "state it: users must know what they may do")
    if cells["unpack"] not in ("", *UNPACK):
        raise unknown_name(path, f"unpack, line {number}", cells["unpack"], UNPACK)
    if cells["members"] and cells["unpack"] not in ("tar", "zip"):
        raise refuse("members", "an empty cell where there is no zip or tar to unpack", "empty the cell")
    if cells["size"] and not re.fullmatch(r"[1-9]\d*|0", cells["size"]):
        raise refuse("size", "bytes, a whole number, or empty", "correct the cell or empty it")
    if cells["sha256"] and not re.fullmatch(r"[0-9a-f]{64}", cells["sha256"]):
        raise refuse("sha256", "64 hexadecimal digits in lower case, or empty", "correct the cell or empty it")
    if cells["optional"] not in ("", "true", "false"):
        raise refuse("optional", "true, false or empty", "correct the cell")
    if not cells["url"] and not cells["gate"]:
        raise refuse("url", "an address, or the manual steps in gate", "state one of the two")
    if cells["url"] and not _is_address(cells["url"]):
        raise refuse("url", "http(s)://host/path without user, password or blanks", "correct the address")
    named = set(FIELD.findall(cells["path"])) | set(FIELD.findall(cells["url"]))
    if named - set(FIELDS):
        raise unknown_name(path, f"path and url, line {number}", min(named - set(FIELDS)), FIELDS)
    if bool(named) != (cells["slide"] == EVERY_SLIDE):
        raise refuse("slide", "* exactly where path or url hold {slide} or {hest_id}", "correct slide, path or url")
    size = int(cells["size"]) if cells["size"] else None
    return Source(**cells | {"size": size, "optional": cells["optional"] == "true"})


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and "@" not in parts.netloc and not re.search(r"\s", url)
