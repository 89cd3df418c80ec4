"""MSigDB through gseapy's client, against a local server that serves well and badly; nothing leaves the machine."""

import hashlib
import http.server
import json
import threading

import gseapy
import pytest

from stainscript.errors import DataContractError
from stainscript.genes.pathways.gene_sets import read_gmt
from stainscript.stages.fetch_gene_sets import fetch_gene_sets

HALLMARK = "HALLMARK_B\thttp://b\tTP53\tACTB\r\nHALLMARK_A\thttp://a\tGNAS\r\n"


class Site(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.answers, self.asked, self.release = {}, [], threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path.replace("//", "/"), (404, "not here"))
        if answer == "hang":
            self.server.release.wait(20)
            return
        self.send_response(answer[0])
        self.end_headers()
        self.wfile.write(answer[1].encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    server = Site()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setattr(gseapy.Msigdb, "url", f"http://127.0.0.1:{server.server_port}/release/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


HUMAN = "/release/2025.1.Hs/h.all.v2025.1.Hs.symbols.gmt"


def test_a_collection_is_written_with_a_record_of_what_it_is(site, tmp_path):
    site.answers[HUMAN] = (200, HALLMARK)
    out = tmp_path / "sets/h.gmt"
    fetch_gene_sets(collection="h.all", version="2025.1.Hs", out=out)
    assert read_gmt(out) == {"HALLMARK_B": ("TP53", "ACTB"), "HALLMARK_A": ("GNAS",)}
    assert out.read_text().splitlines()[1] == (
        "HALLMARK_A\thttps://www.gsea-msigdb.org/gsea/msigdb/human/geneset/HALLMARK_A\tGNAS"
    )
    record = json.loads((tmp_path / "sets/h.gmt.json").read_text())
    assert record["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (record["collection"], record["version"], record["sets"], record["genes"]) == ("h.all", "2025.1.Hs", 2, 3)
    assert record["url"].endswith(HUMAN)
    assert "CC BY 4.0" in record["licence"]
    assert "KEGG" in record["licence"]


def test_mouse_has_collections_of_its_own(site, tmp_path):
    site.answers["/release/2025.1.Mm/m5.go.bp.v2025.1.Mm.symbols.gmt"] = (200, "GOBP_X\tpage\tTrp53\n")
    fetch_gene_sets(collection="m5.go.bp", version="2025.1.Mm", out=tmp_path / "m.gmt")
    assert (tmp_path / "m.gmt").read_text() == (
        "GOBP_X\thttps://www.gsea-msigdb.org/gsea/msigdb/mouse/geneset/GOBP_X\tTrp53\n"
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ((404, "x"), "no such file at the address"),
        ((503, "x"), "no such file at the address"),
        ((200, "<html>\n<p>Log in</p>\n</html>"), "no gene set: '<html>'"),
        ((200, HALLMARK + "HALLMARK_C\thttp://c\n"), "no gene set: 'HALLMARK_C'"),
        ((200, ""), "no gene set: ''"),
        ("hang", "no answer within 0.5 s"),
    ],
)
def test_a_bad_answer_says_where_to_get_the_file_by_hand(site, tmp_path, answer, found):
    site.answers[HUMAN] = answer
    out = tmp_path / "h.gmt"
    with pytest.raises(DataContractError) as caught:
        fetch_gene_sets(collection="h.all", version="2025.1.Hs", out=out, timeout_s=0.5 if answer == "hang" else 20)
    assert found in caught.value.found
    assert caught.value.path.endswith(HUMAN)
    assert caught.value.remedy == (
        "try again later, or download h.all.v2025.1.Hs.symbols.gmt from "
        f"https://www.gsea-msigdb.org/gsea/downloads.jsp by hand and put it at {out}"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_connection_is_told_the_same(site, tmp_path, monkeypatch):
    monkeypatch.setattr(gseapy.Msigdb, "url", "http://127.0.0.1:9/release/")
    with pytest.raises(DataContractError, match=r"found no connection \(ConnectionError\)\. Remedy: .* by hand"):
        fetch_gene_sets(collection="h.all", version="2025.1.Hs", out=tmp_path / "h.gmt")


@pytest.mark.parametrize(
    ("collection", "version", "field"),
    [
        ("h.all", "2025.1", "version"),
        ("h.all", "v2025.1.Hs", "version"),
        ("h.all", "2025.1.Rn", "version"),
        ("mh.all", "2025.1.Hs", "collection"),
        ("h.all", "2025.1.Mm", "collection"),
        ("../h.all", "2025.1.Hs", "collection"),
        ("hallmark", "2025.1.Hs", "collection"),
    ],
)
def test_a_name_that_no_release_has_is_refused_before_anything_is_asked(site, tmp_path, collection, version, field):
    with pytest.raises(DataContractError) as caught:
        fetch_gene_sets(collection=collection, version=version, out=tmp_path / "h.gmt")
    assert caught.value.field == field
    assert site.asked == []
