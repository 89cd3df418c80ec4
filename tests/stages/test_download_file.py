"""The download stage against a local server: data in the root, a record in results/, secrets nowhere."""

import dataclasses
import functools
import hashlib
import http.server
import io
import json
import logging
import threading
import zipfile

import pytest

from stainscript.downloads.sources import Source
from stainscript.errors import DataContractError
from stainscript.stages import download_file as module
from stainscript.stages.download_file import download_file

TOKEN = "hf_secretOfTheUser"
COUNTS = b"\tERBB2\n1x1\t3\n"


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A folder served over loopback: ``put`` a file, ``seen`` the paths and tokens asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder, seen = tmp_path / "site", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            super().do_GET()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def put(name, data):
            (folder / name).write_bytes(data)
            return f"http://127.0.0.1:{server.server_port}/{name}"

        server.put, server.seen = put, seen
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def stage(tmp_path):
    root, out = tmp_path / "root", tmp_path / "results" / "downloads" / "toy" / "a.json"

    def run(**cells):
        source = dataclasses.asdict(Source(**{"path": "data/a.tsv", "licence": "CC0"} | cells))
        download_file(dataset="toy", source=source, root=root, out=out, options={"attempts": 1})
        return json.loads(out.read_text())

    run.root, run.out = root, out
    run.tree = lambda: {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return run


def test_a_file_goes_to_its_place_and_its_record_says_what_it_is(site, stage):
    url, digest = site.put("a", COUNTS), hashlib.sha256(COUNTS).hexdigest()
    assert stage(url=url, size=len(COUNTS), sha256=digest) == {
        "dataset": "toy",
        "path": "data/a.tsv",
        "url": url,
        "licence": "CC0",
        "unpack": "",
        "size": 13,
        "sha256": digest,
        "kept": False,
        "checked": True,
    }
    assert stage.tree() == {"data/a.tsv": COUNTS}


def test_without_a_published_hash_the_record_says_so_and_states_the_one_found(site, stage):
    record = stage(url=site.put("a", COUNTS))
    assert (record["checked"], record["sha256"]) == (False, hashlib.sha256(COUNTS).hexdigest())


def test_a_users_file_is_kept_and_no_request_is_made(site, stage):
    url = site.put("a", COUNTS)
    stage(url=url)
    stage.out.unlink()  # as Snakemake does on --forcerun
    assert stage(url=url, sha256=hashlib.sha256(COUNTS).hexdigest())["kept"]
    assert len(site.seen) == 1


def test_a_users_other_file_stops_the_job_and_stays(site, stage):
    url = site.put("a", COUNTS)
    stage.root.joinpath("data").mkdir(parents=True)
    stage.root.joinpath("data/a.tsv").write_bytes(b"mine")
    with pytest.raises(DataContractError, match="nothing is overwritten"):
        stage(url=url, sha256=hashlib.sha256(COUNTS).hexdigest())
    assert stage.tree() == {"data/a.tsv": b"mine"}
    assert not stage.out.exists()


def test_an_archive_is_unpacked_in_the_root_and_goes(site, stage):
    url = site.put("x.zip", zipped({"A1/counts.tsv": COUNTS, "A1/note.txt": b"n"}))
    record = stage(url=url, path=".", unpack="zip")
    assert record["members"] == ["A1/counts.tsv", "A1/note.txt"]
    assert stage.tree() == {"A1/counts.tsv": COUNTS, "A1/note.txt": b"n"}
    assert sorted(p.name for p in stage.root.iterdir()) == ["A1"]


def test_a_damaged_archive_is_not_kept_for_the_next_try(site, stage):
    url = site.put("x.zip", b"no archive")
    with pytest.raises(DataContractError, match="a whole zip file"):
        stage(url=url, path="deep", unpack="zip")
    assert stage.tree() == {}
    site.put("x.zip", zipped({"a": b"1"}))
    stage(url=url, path="deep", unpack="zip")
    assert stage.tree() == {"deep/a": b"1"}


def test_an_archive_that_meets_a_users_file_waits_for_the_user(site, stage):
    url = site.put("x.zip", zipped({"a": b"1"}))
    stage.root.mkdir()
    stage.root.joinpath("a").write_bytes(b"mine")
    with pytest.raises(DataContractError, match="nothing is overwritten"):
        stage(url=url, path=".", unpack="zip")
    stage.root.joinpath("a").unlink()
    stage(url=url, path=".", unpack="zip")
    assert stage.tree() == {"a": b"1"}
    assert len(site.seen) == 1  # what had arrived was used


def test_a_file_without_an_address_is_asked_for_by_hand(stage):
    with pytest.raises(DataContractError, match="put there by hand") as caught:
        stage(url="", gate="write to the authors")
    assert caught.value.remedy == "write to the authors"
    stage.root.joinpath("data").mkdir(parents=True)
    stage.root.joinpath("data/a.tsv").write_bytes(COUNTS)
    assert stage(url="", gate="write to the authors")["sha256"] == hashlib.sha256(COUNTS).hexdigest()


def test_a_file_put_there_by_hand_is_checked(stage):
    stage.root.joinpath("data").mkdir(parents=True)
    stage.root.joinpath("data/a.tsv").write_bytes(COUNTS)
    with pytest.raises(DataContractError, match="SHA-256"):
        stage(url="", gate="write to the authors", sha256="0" * 64)
    assert stage.tree() == {"data/a.tsv": COUNTS}


def test_the_hubs_token_goes_to_the_hub_alone_and_nowhere_else(site, stage, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    stage(url=site.put("a", COUNTS))
    assert site.seen == [("/a", None)]
    monkeypatch.setattr(module, "_token_header", lambda url: {"Authorization": f"Bearer {TOKEN}"})
    stage.root.joinpath("data/a.tsv").unlink()
    stage(url=site.put("a", COUNTS))
    assert site.seen[1] == ("/a", f"Bearer {TOKEN}")
    assert TOKEN not in caplog.text + stage.out.read_text()
    assert caplog.records


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://huggingface.co/datasets/x", True),
        ("http://huggingface.co/datasets/x", False),
        ("https://huggingface.co.evil.org/x", False),
        ("https://evil.org/huggingface.co/x", False),
    ],
)
def test_only_the_hub_over_tls_gets_the_token(url, sent, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", f" {TOKEN}\n")
    assert module._token_header(url) == ({"Authorization": f"Bearer {TOKEN}"} if sent else {})
    monkeypatch.delenv("HF_TOKEN")
    assert module._token_header(url) == {}


def test_an_optional_file_that_is_not_published_is_recorded_as_absent(site, stage):
    url = site.put("a", COUNTS).replace("/a", "/gone")
    assert stage(url=url, optional=True)["absent"]
    assert stage.tree() == {}


def test_a_dead_address_leaves_no_record(site, stage):
    url = site.put("a", COUNTS).replace("/a", "/gone")
    with pytest.raises(DataContractError, match="HTTP 404"):
        stage(url=url)
    assert not stage.out.exists()
