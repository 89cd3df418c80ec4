from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.records import check_panel, read_descriptions
from stainscript.genes.panels.file import write_panel
from stainscript.stages.describe_genes import describe_genes
from stainscript.types import Panel

OFFLINE = {"source": "names", "max_sets": 3, "ncbi": None, "rewrite": None}


class Endpoint:
    """A chat endpoint on 127.0.0.1 that answers every gene, but ``refuses`` one."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                symbol = json.loads(sent["messages"][1]["content"].removeprefix("Input: "))["symbol"]
                outer.asked.append(symbol)
                said = json.dumps({"gene symbol": symbol, "functionality": f"{symbol} acts", "phenotype": "growth"})
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
                body = json.dumps(
                    {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
                )
                self.send_response(401 if symbol == outer.refuses else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def rule(self) -> dict[str, Any]:
        rewrite = {
            "base_url": f"http://127.0.0.1:{self.server.server_port}/v1",
            "model": "llama3",
            "key_env": None,
            "strategy": "full",
            "disease": "human breast cancer",
            "temperature": 0.0,
            "seed": 0,
            "max_words": 120,
            "max_tokens": None,
            "max_tries": 3,
            "timeout_s": 5.0,
            "attempts": 1,
            "backoff_s": 0.0,
            "concurrency": 1,
            "max_requests": None,
        }
        return {**OFFLINE, "rewrite": rewrite}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Endpoint()
    yield server
    server.server.shutdown()
    server.server.server_close()
    server.thread.join()


def panel(path: Path, **genes: str) -> Path:
    many = (1.0,) * len(genes)
    training = Panel(
        name="toy",
        gene_ids=tuple(genes),
        symbols=tuple(genes.values()),
        mean=many,
        variance=many,
        training_slides=(path.stem,),
    )
    write_panel(path, training)
    return path


def run(folder: Path, panels: list[Path], rule: dict[str, Any] = OFFLINE, **more: Any) -> Path:
    arguments = {"gene_sets": None, "gene_table": None, "species": "human", **more}
    out = folder / "gene_text" / "toy.jsonl"
    describe_genes(panels=panels, rule=rule, cache=folder / "cache.jsonl", out=out, **arguments)
    return out


@pytest.fixture
def panels(tmp_path: Path) -> list[Path]:
    """Two folds' panels that share a gene."""
    first = panel(tmp_path / "fold0.tsv", KRT8="KRT8", ENSG00000110955="ATP5F1B")
    return [first, panel(tmp_path / "fold1.tsv", ACTB="ACTB", KRT8="KRT8")]


def test_the_union_of_all_folds_is_described_by_gene_id(
    tmp_path: Path, panels: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        out = run(tmp_path, panels)
    found = read_descriptions(out)
    assert [(one.gene_id, one.symbol) for one in found] == [
        ("ACTB", "ACTB"),
        ("ENSG00000110955", "ATP5F1B"),
        ("KRT8", "KRT8"),
    ]
    assert [one.gene_id for one in check_panel(found, ["KRT8", "ENSG00000110955"], out)] == ["KRT8", "ENSG00000110955"]
    assert "described 3 genes of 2 panels from names" in caplog.text
    before = out.read_bytes()
    assert run(tmp_path, panels[::-1]).read_bytes() == before


def test_gene_sets_and_gene_table_are_read(tmp_path: Path, panels: list[Path]) -> None:
    gmt = tmp_path / "sets.gmt"
    gmt.write_text("HALLMARK_POWER\tna\tOLD1\tACTB\n")
    table = tmp_path / "table.tsv"
    table.write_text("symbol\tensembl_gene_id\tprev_symbol\talias_symbol\nATP5F1B\tENSG00000110955\tOLD1\t\n")
    found = read_descriptions(run(tmp_path, panels, gene_sets=gmt, gene_table=table))
    assert [one.phenotype for one in found] == ["power", "power", ""]
    assert [one.phenotype for one in read_descriptions(run(tmp_path, panels, gene_sets=gmt))] == ["power", "", ""]


def test_a_failure_leaves_no_output_and_the_next_run_pays_for_the_rest(
    tmp_path: Path, panels: list[Path], endpoint: Endpoint
) -> None:
    endpoint.refuses = "KRT8"
    with pytest.raises(DataContractError, match=r"HTTP 401.*rewrite\.key_env"):
        run(tmp_path, panels, endpoint.rule())
    assert not (tmp_path / "gene_text").exists()
    endpoint.refuses = ""
    found = read_descriptions(run(tmp_path, panels, endpoint.rule()))
    assert endpoint.asked == ["ACTB", "ATP5F1B", "KRT8", "KRT8"]
    assert [one.functionality for one in found] == ["ACTB acts", "ATP5F1B acts", "KRT8 acts"]
    assert {one.model for one in found} == {"llama3"}
    run(tmp_path, [panel(tmp_path / "other.tsv", FN1="FN1", ACTB="ACTB")], endpoint.rule())
    assert endpoint.asked[4:] == ["FN1"]


def test_a_wrong_option_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match="did you mean 'names'"):
        run(tmp_path, [tmp_path / "absent.tsv"], {**OFFLINE, "source": "name"})
    with pytest.raises(DataContractError, match="species"):
        run(tmp_path, [panel(tmp_path / "one.tsv", ACTB="ACTB")], species="rat")
