"""Unpack a published archive: every member checked before the first is put in its place, nothing overwritten."""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stainscript.artifacts.files import file_sha256
from stainscript.datasets.base import IMAGE_SUFFIXES
from stainscript.downloads.sources import check_relative
from stainscript.errors import DataContractError

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


class DamagedArchive(DataContractError):
    """The archive cannot be read to its end: fetching it again may mend it."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file of an archive: its path in it, its bytes, and how to open it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: str | Path, *, kind: str, target: str | Path, members: str = "", gate: str = "") -> list[str]:
    """Unpack ``archive`` (kind ``zip`` or ``tar``: into the folder ``target``; ``gz``: to the file ``target``).

    members: pattern of the members' paths, empty: all. Returns the files' paths in that folder, sorted.
    Members collect in a hidden folder beside the target and move to their places when all are there. A file that is
    there already is kept if it is the same. A gzipped image in an archive (``.jpg.gz``, as on GEO) is unpacked too:
    no slide reader takes it. Raises ``DataContractError``: damaged or encrypted (gate: how to get the
    password), a member that is no plain file or leads outside, one that no room is left for, no member that matches,
    a file of other content in a member's place.
    """
    archive, target = Path(archive), Path(target)
    folder = target.parent if kind == "gz" else target
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(archive, kind, target.name, gate) as found:
        chosen = [_plain_image(m) for m in found if not members or fnmatch.fnmatchcase(m.name, members)]
        _check(archive, chosen, folder, pattern=members)
        with _staging(folder / f".unpacking-{archive.name}") as staging:
            for member in chosen:
                _write(archive, member, staging / member.name)
            for member in chosen:
                _refuse_other(staging / member.name, folder / member.name)
            for member in chosen:
                _place(staging / member.name, folder / member.name)
    return sorted(member.name for member in chosen)


@contextlib.contextmanager
def _opened(archive: Path, kind: str, name: str, gate: str) -> Iterator[list[Member]]:
    try:
        if kind == "gz":
            yield [Member(name=name, size=0, open=lambda: gzip.GzipFile(archive))]
        elif kind == "zip":
            with zipfile.ZipFile(archive) as handle:
                yield [_zip_member(archive, handle, info, gate) for info in handle.infolist() if not info.is_dir()]
        else:
            with tarfile.open(archive) as handle:
                yield [_tar_member(archive, handle, info) for info in handle.getmembers() if not info.isdir()]
    except DAMAGE as error:
        raise DamagedArchive(
            archive, "archive", expected=f"a whole {kind} file", found=f"damage ({error})", remedy="download it again"
        ) from error


@contextlib.contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """An empty folder, removed at the end; what a kill left of it is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _zip_member(archive: Path, handle: zipfile.ZipFile, info: zipfile.ZipInfo, gate: str) -> Member:
    if info.flag_bits & 0x1:
        raise DataContractError(
            archive,
            info.filename,
            expected="a member without a password",
            found="an encrypted one",
            remedy=gate or "ask the publisher for the password and unpack it by hand",
        )
    if (info.external_attr >> 16) & 0o170000 not in (0, 0o100000):
        raise _not_plain(archive, info.filename)
    return Member(name=_clean(info.filename), size=info.file_size, open=lambda: handle.open(info))


def _tar_member(archive: Path, handle: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if not info.isreg():
        raise _not_plain(archive, info.name)
    return Member(name=_clean(info.name), size=info.size, open=lambda: handle.extractfile(info))


def _plain_image(member: Member) -> Member:
    stem = member.name.removesuffix(".gz")
    if stem == member.name or not stem.lower().endswith(IMAGE_SUFFIXES):
        return member
    return Member(name=stem, size=member.size, open=lambda: gzip.GzipFile(fileobj=member.open()))


def _clean(name: str) -> str:
    return name.removeprefix("./")


def _not_plain(archive: Path, name: str) -> DataContractError:
    return DataContractError(
        archive,
        name,
        expected="a plain file",
        found="a link or device",
        remedy="do not unpack this archive: ask its publisher",
    )


def _check(archive: Path, chosen: list[Member], folder: Path, *, pattern: str) -> None:
    names = [member.name for member in chosen]
    for name in names:
        check_relative(name, where=archive, field="member")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice or not names:
        raise DataContractError(
            archive,
            "members",
            expected=f"files that match {pattern or '*'}, each once",
            found=f"{twice[0]} twice" if twice else "none",
            remedy="correct the manifest's column members, or the archive has changed",
        )
    needed, free = sum(member.size for member in chosen), shutil.disk_usage(folder).free
    if needed > free:
        raise DataContractError(
            archive, "unpack", expected=f"room for {needed} bytes", found=f"{free} bytes free", remedy="free room"
        )


def _write(archive: Path, member: Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, target.open("xb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def _refuse_other(new: Path, place: Path) -> None:
    if place.exists() and (not place.is_file() or file_sha256(place) != file_sha256(new)):
        raise DataContractError(
            place,
            "unpack",
            expected="no such file, or the one of the archive",
            found="other content",
            remedy="move that file away; nothing is overwritten",
        )


def _place(new: Path, place: Path) -> None:
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(new, place)
