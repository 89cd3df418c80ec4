"""Loopback servers: a chat endpoint that does what a test says, and NCBI's E-utilities with the records of a test."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import Bio.Entrez
import pytest

KEY = "sk-test-0123456789abcdefSECRET"
CHAT_KEY_ENV = "STAINSCRIPT_TEST_KEY"
HANG = "hang"


class Loopback:
    """An HTTP server on 127.0.0.1 that answers by ``reply(path, body, headers)``, a method of its kind."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._serve(b"")

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def _serve(self, body: bytes) -> None:
                answer = outer.reply(self.path, body, {name.lower(): value for name, value in self.headers.items()})
                if answer == HANG:
                    outer.released.wait(30)
                    return
                status, text, headers = answer
                payload = text.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: object) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def reply(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        """What to answer; of a server that answers nothing, 404."""
        return 404, "", {}

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Chat(Loopback):
    """``/chat/completions``. ``script(symbol, number)`` gives what to answer for a gene's n-th request (from 1): the
    text of the model, or (status, body, headers), or HANG; None: a valid answer."""

    hang = HANG

    def __init__(self) -> None:
        self.valid, self.completion = valid, completion
        self.requests: list[dict[str, Any]] = []
        self.script: Callable[[str, int], Any] = lambda symbol, number: None
        super().__init__()

    @property
    def symbols(self) -> list[str]:
        """The gene of every request, in the order of arrival."""
        return [request["symbol"] for request in self.requests]

    def reply(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        sent = json.loads(body)
        given = json.loads(sent["messages"][1]["content"].removeprefix("Input: "))
        symbol = given["symbol"]
        with self.lock:
            self.requests.append({"path": path, "symbol": symbol, "given": given, "headers": headers, **sent})
            number = self.symbols.count(symbol)
        answer = self.script(symbol, number)
        if answer is None:
            answer = valid(symbol, free='"description"' in sent["messages"][0]["content"])
        return (200, completion(answer), {}) if isinstance(answer, str) and answer != HANG else answer


def valid(symbol: str, *, free: bool = False) -> str:
    row = {"gene symbol": symbol, "functionality": f"function of {symbol}", "phenotype": "carcinoma"}
    if free:
        row = {"gene symbol": symbol, "description": f"all about {symbol}"}
    return json.dumps(row)


def completion(text: str | None) -> str:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


class Eutils(Loopback):
    """esearch, esummary and einfo of a small database of genes, in the XML of NCBI's own document types."""

    hang = HANG

    def __init__(self) -> None:
        self.search_head = _head("eSearchResult", "esearch 20060628", "20060628/esearch.dtd")
        self.genes: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.script: Callable[[str, int], Any] = lambda utility, number: None
        super().__init__()

    def add(self, uid: int, name: str, summary: str = "", **more: Any) -> None:
        self.genes.append({"uid": uid, "Name": name, "Summary": summary, "organism": "Homo sapiens", **more})

    def utilities(self) -> list[str]:
        return [utility for utility, _ in self.requests]

    def reply(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        parts = urlsplit(path)
        utility = parts.path.rpartition("/")[2].removesuffix(".fcgi")
        sent = {key: values[0] for key, values in parse_qs(parts.query or body.decode()).items()}
        with self.lock:
            self.requests.append((utility, sent))
            number = self.utilities().count(utility)
        answer = self.script(utility, number)
        if answer is not None:
            return answer
        return 200, getattr(self, f"_{utility}")(sent), {"Content-Type": "text/xml"}

    def _einfo(self, sent: dict[str, str]) -> str:
        assert sent["db"] == "gene"
        return (
            _head("eInfoResult", "einfo 20190110", "20190110/einfo.dtd")
            + "<eInfoResult><DbInfo><DbName>gene</DbName><MenuName>Gene</MenuName><Description>Gene</Description>"
            "<DbBuild>Build261120-0845m.1</DbBuild><Count>3</Count><LastUpdate>2026/11/20 11:43</LastUpdate>"
            "</DbInfo></eInfoResult>"
        )

    def _esearch(self, sent: dict[str, str]) -> str:
        found = [gene for gene in self.genes if self._matches(gene, sent["term"])][: int(sent["retmax"])]
        ids = "".join(f"<Id>{gene['uid']}</Id>" for gene in found)
        total = len([gene for gene in self.genes if self._matches(gene, sent["term"])])
        return (
            self.search_head
            + f"<eSearchResult><Count>{total}</Count><RetMax>{len(found)}</RetMax><RetStart>0</RetStart>"
            f"<IdList>{ids}</IdList><TranslationSet/><QueryTranslation>x</QueryTranslation></eSearchResult>"
        )

    @staticmethod
    def _matches(gene: dict[str, Any], term: str) -> bool:
        """As NCBI: [Gene Name] finds symbols and other names, whatever their case, of one organism's live records."""
        assert "alive[prop]" in term
        names = [gene["Name"], gene.get("NomenclatureSymbol", ""), *gene.get("OtherAliases", "").split(", ")]
        asked = any(f'"{name}"[gene name]' in term.lower() for name in map(str.lower, names) if name)
        return asked and f'"{gene["organism"]}"[Organism]' in term

    def _esummary(self, sent: dict[str, str]) -> str:
        wanted = [int(one) for one in sent["id"].split(",")]
        return (
            _head("eSummaryResult", "esummary gene 20150202", "20150202/esummary_gene.dtd")
            + '<eSummaryResult><DocumentSummarySet status="OK"><DbBuild>Build261120-0845m.1</DbBuild>'
            + "".join(_document(gene) for gene in self.genes if gene["uid"] in wanted)
            + "</DocumentSummarySet></eSummaryResult>"
        )


def _head(root: str, name: str, place: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE {root} PUBLIC "-//NLM//DTD {name}//EN" '
        f'"https://eutils.ncbi.nlm.nih.gov/eutils/dtd/{place}">\n'
    )


def _document(gene: dict[str, Any]) -> str:
    fields = {"Status": "0", "CurrentID": "0", "OtherAliases": "", "NomenclatureSymbol": gene["Name"], **gene}
    names = ("Name", "Status", "CurrentID", "OtherAliases", "NomenclatureSymbol", "Summary")
    body = "".join(f"<{name}>{escape(str(fields[name]))}</{name}>" for name in names)
    return f'<DocumentSummary uid="{gene["uid"]}">{body}</DocumentSummary>'


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now, self.slept = 1000.0, []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setenv(CHAT_KEY_ENV, KEY)
    server = Chat()
    yield server
    server.close()


@pytest.fixture
def eutils(monkeypatch: pytest.MonkeyPatch) -> Iterator[Eutils]:
    """The server and ``eutils.clock``, by which Biopython keeps its rate limit."""
    monkeypatch.setenv("NCBI_EMAIL", "reader@example.org")
    monkeypatch.delenv("NCBI_API_KEY", raising=False)
    server = Eutils()
    server.clock = Clock()
    monkeypatch.setattr(Bio.Entrez, "time", server.clock)
    monkeypatch.setattr(Bio.Entrez._open, "previous", 0)
    yield server
    server.close()


@pytest.fixture
def rewrite_options() -> Callable[..., dict[str, Any]]:
    def options(base_url: str = "http://127.0.0.1:9", **changes: Any) -> dict[str, Any]:
        return {
            "base_url": base_url,
            "model": "gpt-4o",
            "key_env": CHAT_KEY_ENV,
            "strategy": "full",
            "disease": "human breast cancer",
            "temperature": 0.0,
            "seed": 0,
            "max_words": 120,
            "max_tokens": 400,
            "max_tries": 3,
            "timeout_s": 5.0,
            "attempts": 3,
            "backoff_s": 1.0,
            "concurrency": 1,
            "max_requests": None,
            **changes,
        }

    return options


@pytest.fixture
def ncbi_options() -> Callable[..., dict[str, Any]]:
    def options(base_url: str = "http://127.0.0.1:9", **changes: Any) -> dict[str, Any]:
        return {
            "base_url": base_url,
            "email_env": "NCBI_EMAIL",
            "key_env": "NCBI_API_KEY",
            "batch": 100,
            "timeout_s": 5.0,
            "attempts": 3,
            **changes,
        }

    return options


@pytest.fixture
def rule_options() -> Callable[..., dict[str, Any]]:
    def options(source: str = "names", *, ncbi: Any = None, rewrite: Any = None, max_sets: int = 5) -> dict[str, Any]:
        return {"source": source, "max_sets": max_sets, "ncbi": ncbi, "rewrite": rewrite}

    return options


@pytest.fixture
def secret() -> SimpleNamespace:
    """The key of the chat fixture, and a check that it, or half of it, is nowhere in what hangs on an exception."""

    def reach(error: BaseException | None, seen: set[int]) -> str:
        if error is None or id(error) in seen:
            return ""
        seen.add(id(error))
        own = f"{error!s} {error!r} {vars(error)!r} {error.args!r}"
        return own + reach(error.__cause__, seen) + reach(error.__context__, seen)

    return SimpleNamespace(key=KEY, env=CHAT_KEY_ENV, said_by=lambda error: reach(error, set()))
