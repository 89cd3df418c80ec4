"""Folders from a hub that speaks as the Hugging Face hub does, on this machine's loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from stainscript.artifacts.files import file_sha256
from stainscript.encoders import text
from stainscript.encoders.text import hub as text_hub
from stainscript.errors import DataContractError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GRANTED = "hf_granted0secret1"
GATED = {"MahmoodLab/CONCH"}


class Hub(BaseHTTPRequestHandler):
    """Answers ``/<owner>/<name>/resolve/<revision>/<file>`` from the folder of that repository."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        owner, name, _, revision, file = self.path.strip("/").split("/")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        path = self.server.folders.get(f"{owner}/{name}", Path("/nonexistent")) / file
        if f"{owner}/{name}" in GATED and token != GRANTED:
            self.refuse(403 if token else 401, "GatedRepo")
        elif revision not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound")
        elif not path.is_file():
            self.refuse(404, "EntryNotFound")
        else:
            content = path.read_bytes()
            self.server.sent += body
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[ThreadingHTTPServer]:
    """The local hub as HF_ENDPOINT; no token anywhere, a cache of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.folders, server.sent = {}, 0
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/nonexistent/token")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between its attempts
    yield server
    server.shutdown()
    server.server_close()


def refused(call, *given, **settings) -> DataContractError:
    with pytest.raises(DataContractError) as error:
        call(*given, **settings)
    return error.value


def test_a_folder_from_the_hub_gives_the_vectors_of_the_local_one_and_is_kept(hub, published):
    folder = published("biobert_base")
    hub.folders["dmis-lab/biobert-base-cased-v1.2"] = folder.folder
    made = folder.load(weights="hub")
    np.testing.assert_array_equal(made.encode(["the kinase"]), folder.load().encode(["the kinase"]))
    assert made.weights_sha256 == file_sha256(folder.file)
    assert made.card["weights"] == "hub: dmis-lab/biobert-base-cased-v1.2 at main"
    assert hub.sent == 3  # weights, configuration, vocabulary
    folder.load(weights="hub", revision=COMMIT)
    assert hub.sent == 3


def test_a_folder_can_be_fetched_whole_for_later(hub, published, tmp_path):
    folder = published("plip")
    hub.folders["vinid/plip"] = folder.folder
    out, card = tmp_path / "weights" / "plip", text.card("plip")
    assert text_hub.fetch(card, revision="main", sha256=None, out=out) == file_sha256(folder.file)
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "merges.txt", "pytorch_model.bin", "vocab.json"]
    np.testing.assert_array_equal(folder.load(weights=out).encode(["the"]), folder.load().encode(["the"]))
    other = tmp_path / "other"
    error = refused(text_hub.fetch, card, revision="main", sha256="1" * 64, out=other)
    assert error.field == "weights_sha256"
    assert "text_encoders.<name>.revision" in error.remedy
    assert not other.exists()


def test_the_vocabulary_that_is_published_apart_is_brought_beside_the_weights(hub, published, monkeypatch):
    import dataclasses

    from stainscript.encoders.text import conch

    folder = published("conch")
    vocabulary = folder.folder / conch.VOCABULARY
    hub.folders |= {"MahmoodLab/CONCH": folder.folder, "code/of": folder.folder}
    address = f"http://127.0.0.1:{hub.server_port}/code/of/resolve/main/{conch.VOCABULARY}"
    card = dataclasses.replace(conch.CARD, elsewhere=(address, file_sha256(vocabulary)))
    monkeypatch.setattr(conch, "CARD", card)
    monkeypatch.setenv("HF_TOKEN", GRANTED)
    found = folder.load(weights="hub").encode(["the erb"])
    np.testing.assert_array_equal(found, folder.load().encode(["the erb"]))
    wrong = dataclasses.replace(card, elsewhere=(address, "2" * 64))
    error = refused(text_hub.cached, wrong, revision="main")
    assert "2" * 12 in error.expected


def test_the_gate_says_where_to_ask(hub):
    error = refused(text.load, "conch", weights="hub")
    assert error.path == "https://huggingface.co/MahmoodLab/CONCH"
    assert error.found == "no token: neither HF_TOKEN nor a token file"
    assert "ask for access at https://huggingface.co/MahmoodLab/CONCH" in error.remedy
    assert "set text_encoders.<name>.weights to its path" in error.remedy


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_connection_there_is_one_clear_error(hub, monkeypatch, offline):
    if offline:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    else:
        hub.shutdown()
        hub.server_close()
    error = refused(text.load, "biogpt", weights="hub")
    assert (error.field, error.found) == ("weights of biogpt", "no connection to the hub")
    assert "bring it by hand: biogpt (MIT): fetch it at https://huggingface.co/microsoft/biogpt" in error.remedy


def test_an_unknown_revision_and_an_absent_file_are_named(hub, published):
    folder = published("biogpt")
    hub.folders["microsoft/biogpt"] = folder.folder
    error = refused(folder.load, weights="hub", revision="v9")
    assert (error.field, error.found) == ("revision of biogpt", "'v9'")
    (folder.folder / "merges.txt").unlink()
    error = refused(folder.load, weights="hub")
    assert (error.expected, error.found) == ("merges.txt at revision main", "no such file there")
