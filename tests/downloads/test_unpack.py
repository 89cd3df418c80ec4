"""Archives from outside: what is unpacked, and what is refused before anything is written."""

import gzip
import io
import tarfile
import zipfile
from types import SimpleNamespace

import pytest

from stainscript.downloads import unpack as module
from stainscript.downloads.unpack import DamagedArchive, unpack
from stainscript.errors import DataContractError

FILES = {"top/a.tsv": b"counts", "top/deep/b.txt": b"spots"}


def make_zip(path, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("top")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path, files=FILES, *, extra=()):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return path


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("make", "name", "kind"), [(make_zip, "x.zip", "zip"), (make_tar, "x.tar", "tar")])
def test_members_land_in_the_folder(make, name, kind, tmp_path):
    archive = make(tmp_path / name)
    assert unpack(archive, kind=kind, target=tmp_path / "root") == ["top/a.tsv", "top/deep/b.txt"]
    assert tree(tmp_path / "root") == FILES
    assert archive.exists()


def test_a_compressed_tar_is_a_tar(tmp_path):
    unpack(make_tar(tmp_path / "x.tar.gz"), kind="tar", target=tmp_path / "root")
    assert tree(tmp_path / "root") == FILES


def test_gz_becomes_the_one_file(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"counts"))
    assert unpack(tmp_path / "x.gz", kind="gz", target=tmp_path / "root" / "a.tsv") == ["a.tsv"]
    assert tree(tmp_path / "root") == {"a.tsv": b"counts"}


def test_only_members_that_match_are_unpacked(tmp_path):
    archive = make_tar(tmp_path / "x.tar", {"GSM1_P2_ST_rep1.tsv.gz": b"1", "GSM9_scRNA.tsv.gz": b"9"})
    unpack(archive, kind="tar", target=tmp_path / "root", members="*_ST_rep*")
    assert tree(tmp_path / "root") == {"GSM1_P2_ST_rep1.tsv.gz": b"1"}
    with pytest.raises(DataContractError, match=r"files that match \*\.jpg, each once; found none"):
        unpack(archive, kind="tar", target=tmp_path / "root", members="*.jpg")


def test_a_gzipped_image_is_unpacked_too_and_a_gzipped_table_is_not(tmp_path):
    files = {"P2.jpg.gz": gzip.compress(b"pixels"), "P2.tsv.gz": gzip.compress(b"counts")}
    unpack(make_tar(tmp_path / "x.tar", files), kind="tar", target=tmp_path / "root")
    assert tree(tmp_path / "root") == {"P2.jpg": b"pixels", "P2.tsv.gz": files["P2.tsv.gz"]}


@pytest.mark.parametrize("name", ["../evil", "/evil", "top/../../evil", "a\\..\\evil"])
@pytest.mark.parametrize(("make", "suffix"), [(make_zip, "zip"), (make_tar, "tar")])
def test_a_member_that_leads_outside_stops_everything(make, suffix, name, tmp_path):
    archive = make(tmp_path / f"x.{suffix}", FILES | {name: b"evil"})
    with pytest.raises(DataContractError, match="inside the dataset's root"):
        unpack(archive, kind=suffix, target=tmp_path / "deep" / "root")
    assert tree(tmp_path / "deep") == {}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_in_a_tar_is_refused(kind, tmp_path):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "top/a.tsv"
    with pytest.raises(DataContractError, match="a link or device"):
        unpack(make_tar(tmp_path / "x.tar", extra=[info]), kind="tar", target=tmp_path / "root")
    assert tree(tmp_path / "root") == {}


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataContractError, match="a link or device"):
        unpack(tmp_path / "x.zip", kind="zip", target=tmp_path / "root")


def test_an_encrypted_member_says_where_to_ask(tmp_path):
    archive = make_zip(tmp_path / "x.zip", {"a": b"1"})
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags in both headers of the last member
        data[data.rindex(signature) + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(DataContractError, match="an encrypted one") as caught:
        unpack(archive, kind="zip", target=tmp_path / "root", gate="the password is in the README")
    assert caught.value.remedy == "the password is in the README"


@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
def test_a_damaged_archive_is_one_error_and_leaves_nothing(kind, tmp_path):
    (tmp_path / "x").write_bytes(b"no archive at all, but long enough to be looked at" * 20)
    with pytest.raises(DamagedArchive, match=f"a whole {kind} file"):
        unpack(tmp_path / "x", kind=kind, target=tmp_path / "root" / "a")
    assert tree(tmp_path / "root") == {}


def test_a_member_with_a_wrong_checksum_puts_no_member_in_place(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as handle:  # stored, so that the content can be found and altered
        handle.writestr("a", b"good one")
        handle.writestr("b", b"bad content")
    archive.write_bytes(archive.read_bytes().replace(b"bad content", b"bad CONTENT"))
    with pytest.raises(DamagedArchive, match="CRC"):
        unpack(archive, kind="zip", target=tmp_path / "root")
    assert tree(tmp_path / "root") == {}


def test_a_truncated_gz_is_damage(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(range(256)) * 40)[:-20])
    with pytest.raises(DamagedArchive):
        unpack(tmp_path / "x.gz", kind="gz", target=tmp_path / "root" / "a")
    assert tree(tmp_path / "root") == {}


def test_a_file_in_place_is_kept_if_it_is_the_same_and_never_overwritten(tmp_path):
    place = tmp_path / "root" / "top" / "a.tsv"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"counts")
    inode = place.stat().st_ino
    archive = make_zip(tmp_path / "x.zip")
    unpack(archive, kind="zip", target=tmp_path / "root")
    assert place.stat().st_ino == inode
    place.write_bytes(b"my own edit")
    (tmp_path / "root" / "top" / "deep" / "b.txt").unlink()
    with pytest.raises(DataContractError, match="nothing is overwritten") as caught:
        unpack(archive, kind="zip", target=tmp_path / "root")
    assert caught.value.path == str(place)
    assert tree(tmp_path / "root") == {"top/a.tsv": b"my own edit"}


def test_a_member_listed_twice_is_refused(tmp_path):
    archive = make_tar(tmp_path / "x.tar", {"a": b"1", "./a": b"2"})
    with pytest.raises(DataContractError, match="a twice"):
        unpack(archive, kind="tar", target=tmp_path / "root")


def test_what_a_kill_left_is_cleared(tmp_path):
    left = tmp_path / "root" / ".unpacking-x.zip" / "top"
    left.mkdir(parents=True)
    (left / "a.tsv").write_bytes(b"half")
    unpack(make_zip(tmp_path / "x.zip"), kind="zip", target=tmp_path / "root")
    assert tree(tmp_path / "root") == FILES


def test_room_is_asked_for_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(DataContractError, match="room for 11 bytes; found 10 bytes free"):
        unpack(make_zip(tmp_path / "x.zip"), kind="zip", target=tmp_path / "root")
