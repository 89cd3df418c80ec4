"""Weights from a hub that speaks as the Hugging Face hub does, on this machine's loopback."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

from stainscript import encoders
from stainscript.errors import DataContractError
from stainscript.stages.fetch_weights import fetch_weights

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GRANTED, OTHER, EXPIRED = "hf_granted0secret1", "hf_notgranted2secret3", "hf_expired4secret5"
FILES = {"MahmoodLab/UNI": "pytorch_model.bin", "timm/resnet18.tv_in1k": "model.safetensors"}
GATED = {"MahmoodLab/UNI"}


class Hub(BaseHTTPRequestHandler):
    """Answers ``/<owner>/<name>/resolve/<revision>/<file>``: gate, revision and file in the hub's own headers."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.seen.append(token)
        owner, name, _, revision, file = self.path.strip("/").split("/")
        repository = f"{owner}/{name}"
        if token == EXPIRED:
            self.refuse(401, message="Invalid credentials in Authorization header")
        elif repository in GATED and token != GRANTED:
            self.refuse(403 if token else 401, code="GatedRepo")
        elif revision not in ("main", COMMIT):
            self.refuse(404, code="RevisionNotFound")
        elif FILES.get(repository) != file:
            self.refuse(404, code="EntryNotFound")
        else:
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{self.server.etag}"')
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if body:
                self.wfile.write(CONTENT[: self.server.cut])
                self.close_connection = True

    def refuse(self, status: int, *, code: str = "", message: str = "") -> None:
        self.send_response(status)
        for header, value in (("X-Error-Code", code), ("X-Error-Message", message)):
            if value:
                self.send_header(header, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def hub(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """The local hub as HF_ENDPOINT; no token anywhere."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.seen, server.etag, server.cut = [], SHA256, None
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/nonexistent/token")
    yield server
    server.shutdown()
    server.server_close()


def fetch(out: Path, kind: str = "uni", *, revision: str = "main", sha256: str | None = None) -> None:
    fetch_weights(kind=kind, revision=revision, sha256=sha256, out=out)


def refusal(out: Path, kind: str = "uni", **given: str) -> DataContractError:
    with pytest.raises(DataContractError) as error:
        fetch(out, kind, **given)
    assert not out.exists()
    assert list(out.parent.iterdir()) == []  # nothing half done lies about
    return error.value


def test_an_open_file_arrives_without_a_token(hub, tmp_path):
    out = tmp_path / "weights" / "model.safetensors"
    fetch(out, "resnet18")
    assert out.read_bytes() == CONTENT
    assert [p.name for p in out.parent.iterdir()] == ["model.safetensors"]
    assert set(hub.seen) == {""}


def test_a_granted_token_opens_the_gate_and_is_kept_nowhere(hub, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setenv("HF_TOKEN", GRANTED)
    with caplog.at_level(logging.DEBUG):
        fetch(tmp_path / "pytorch_model.bin", sha256=SHA256)
    assert GRANTED in hub.seen  # it was sent, so the search below could have found it
    assert (tmp_path / "pytorch_model.bin").read_bytes() == CONTENT
    printed = capfd.readouterr()
    told = caplog.text + printed.out + printed.err
    assert COMMIT in told
    assert GRANTED not in told
    assert [p for p in tmp_path.rglob("*") if p.is_file() and GRANTED.encode() in p.read_bytes()] == []


def test_the_token_file_serves_as_well(hub, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text(GRANTED + "\n")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "home" / "token"))
    fetch(tmp_path / "pytorch_model.bin")
    assert (tmp_path / "pytorch_model.bin").read_bytes() == CONTENT


def test_a_gate_without_a_token_says_where_to_ask_and_where_to_put_the_file(hub, tmp_path):
    error = refusal(tmp_path / "w" / "pytorch_model.bin")
    assert error.path == "https://huggingface.co/MahmoodLab/UNI"
    assert error.found == "no token: neither HF_TOKEN nor a token file"
    assert "gated (CC-BY-NC-ND-4.0" in error.expected
    for part in (
        "ask for access at https://huggingface.co/MahmoodLab/UNI",
        "HF_TOKEN",
        "the file is pytorch_model.bin",
    ):
        assert part in error.remedy
    assert "set encoders.<name>.weights to its path" in error.remedy


def test_a_token_that_was_not_granted_access_is_told_from_none_and_not_shown(hub, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", OTHER)
    with caplog.at_level(logging.DEBUG):
        error = refusal(tmp_path / "w" / "pytorch_model.bin")
    assert error.found == "a token whose owner was not granted access"
    assert OTHER in hub.seen
    assert OTHER not in str(error) + caplog.text


def test_a_token_that_the_hub_refuses_is_named_so(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", EXPIRED)
    error = refusal(tmp_path / "w" / "model.safetensors", "resnet18")
    assert error.found == "a token that the hub refuses"
    assert EXPIRED not in str(error)


def test_an_unknown_revision_is_named(hub, tmp_path):
    error = refusal(tmp_path / "w" / "model.safetensors", "resnet18", revision="v9")
    assert (error.field, error.found) == ("revision of resnet18", "'v9'")


def test_a_file_that_is_not_there_is_named(hub, tmp_path, monkeypatch):
    monkeypatch.setitem(FILES, "timm/resnet18.tv_in1k", "other.bin")
    error = refusal(tmp_path / "w" / "model.safetensors", "resnet18")
    assert error.expected == "model.safetensors at revision main"
    assert error.found == "no such file there"


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_connection_the_file_can_be_brought_by_hand(hub, tmp_path, monkeypatch, offline):
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits between its attempts
    if offline:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    else:
        hub.shutdown()
        hub.server_close()
    error = refusal(tmp_path / "w" / "model.safetensors", "resnet18")
    assert error.found == "no connection to the hub"
    assert "bring it by hand: resnet18 (BSD-3-Clause): fetch it at" in error.remedy


def test_a_file_that_always_breaks_off_is_not_kept(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.cut = 1000
    error = refusal(tmp_path / "w" / "model.safetensors", "resnet18")
    assert "try again later" in error.remedy


@pytest.mark.parametrize(("given", "stated"), [("1" * 64, SHA256), (None, "2" * 64)])
def test_another_hash_than_the_config_or_the_hub_states_is_refused(hub, tmp_path, given, stated):
    hub.etag = stated
    error = refusal(tmp_path / "w" / "model.safetensors", "resnet18", sha256=given)
    assert error.field == "weights_sha256"
    assert (error.expected, error.found) == (given or stated, SHA256)


def test_an_earlier_file_stays_when_the_hub_refuses(hub, tmp_path):
    out = tmp_path / "pytorch_model.bin"
    out.write_bytes(b"earlier")
    with pytest.raises(DataContractError):
        fetch(out)
    assert out.read_bytes() == b"earlier"


def test_an_encoder_that_is_not_on_the_hub_says_where_it_is(tmp_path):
    with pytest.raises(DataContractError, match="self-supervised-histopathology/releases/tag/tenpercent"):
        fetch(tmp_path / "w.ckpt", "ciga_resnet18")
    with pytest.raises(DataContractError, match="tenpercent"):
        encoders.check_weights("ciga_resnet18", "hub", field="encoders.c")


@pytest.mark.parametrize("kind", ["morphology", "timm:resnet10t"])
def test_kinds_without_published_weights_are_refused(tmp_path, kind):
    with pytest.raises(DataContractError, match="published encoder"):
        fetch(tmp_path / "w", kind)
