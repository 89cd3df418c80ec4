"""Published tables from a server on this machine's loopback: complete, checked and recorded, or not there at all."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stainscript.errors import DataContractError
from stainscript.stages import fetch_reference as stage
from stainscript.stages.fetch_reference import fetch_reference

TABLE = b"symbol\tprev_symbol\nATP5F1B\tATP5B\n"
PAGES = {"/hgnc.txt": TABLE, "/login.txt": b"\n<!DOCTYPE html><title>log in</title>"}
SHA256 = hashlib.sha256(TABLE).hexdigest()


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGES.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def reference(url: str, **changes: object) -> dict:
    return {"url": url, "msigdb": None, "release": "2025-10", "sha256": None, "licence": "CC0", **changes}


def test_a_table_is_fetched_and_its_record_says_what_came(address: str, tmp_path: Path) -> None:
    out = tmp_path / "references/hgnc/hgnc.txt"
    fetch_reference(reference=reference(f"{address}/hgnc.txt"), out=out)
    assert out.read_bytes() == TABLE
    assert json.loads(Path(f"{out}.json").read_text()) == {
        "url": f"{address}/hgnc.txt",
        "release": "2025-10",
        "licence": "CC0",
        "size": len(TABLE),
        "sha256": SHA256,
    }


def test_the_right_checksum_passes_and_a_wrong_one_leaves_nothing(address: str, tmp_path: Path) -> None:
    fetch_reference(reference=reference(f"{address}/hgnc.txt", sha256=SHA256), out=tmp_path / "right.txt")
    with pytest.raises(DataContractError, match=f"expected SHA-256 0{{64}}; found {SHA256}"):
        fetch_reference(reference=reference(f"{address}/hgnc.txt", sha256="0" * 64), out=tmp_path / "wrong.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["right.txt", "right.txt.json"]


@pytest.mark.parametrize(("page", "words"), [("login.txt", "expected a table; found a web page"), ("gone.txt", "404")])
def test_what_is_no_table_leaves_nothing_and_says_what_to_do(
    address: str, tmp_path: Path, page: str, words: str
) -> None:
    with pytest.raises(DataContractError, match=words) as caught:
        fetch_reference(reference=reference(f"{address}/{page}"), out=tmp_path / "table.txt", options={"attempts": 1})
    assert "by hand" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_gene_sets_of_another_content_than_stated_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*, collection: str, version: str, out: Path) -> None:
        assert (collection, version) == ("h.all", "2025.1.Hs")
        out.write_text("HALLMARK_X\tpage\tTP53\n")

    monkeypatch.setattr(stage, "fetch_gene_sets", fetched)
    wanted = reference(None, msigdb="h.all", release="2025.1.Hs")
    fetch_reference(reference=wanted, out=tmp_path / "h.gmt")
    assert (tmp_path / "h.gmt").is_file()
    with pytest.raises(DataContractError, match=r"h\.all: SHA-256: expected 1{64}; found"):
        fetch_reference(reference=wanted | {"sha256": "1" * 64}, out=tmp_path / "other.gmt")
    assert not (tmp_path / "other.gmt").exists()
