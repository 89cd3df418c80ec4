from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.cache import Cache
from stainscript.genes.descriptions.endpoint import Endpoint
from stainscript.genes.descriptions.options import Rewrite
from stainscript.genes.descriptions.rewrite import Rewritten, Text, rewrite_texts

GENES = ("ERBB2", "KRT8", "ACTB", "TP53", "FN1", "GNAS")


class Run:
    """Rewrites against the loopback endpoint; ``slept`` are the waits that it would have made."""

    def __init__(self, chat: Any, options: Callable[..., dict[str, Any]], folder: Path) -> None:
        self.chat, self.options, self.path = chat, options, folder / "cache" / "answers.jsonl"
        self.slept: list[float] = []

    def __call__(self, *symbols: str, summary: str = "text", species: str = "human", **changes: Any) -> Any:
        texts = [Text(symbol=one, summary=summary, source="ncbi", release="NCBI Gene 2026/11/20") for one in symbols]
        return rewrite_texts(
            texts,
            rewrite=Rewrite(**self.options(self.chat.address, **changes)),
            species=species,
            cache=Cache(self.path),
            sleep=self.slept.append,
            today=lambda: "2026-11-21",
        )

    @property
    def rows(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def run(chat: Any, rewrite_options: Callable[..., dict[str, Any]], tmp_path: Path) -> Run:
    return Run(chat, rewrite_options, tmp_path)


def test_every_gene_is_asked_once_with_the_sampling_that_was_set(run: Run, chat: Any, secret: Any) -> None:
    found = run(*GENES, concurrency=3)
    assert sorted(chat.symbols) == sorted(GENES)
    assert list(found) == list(GENES)
    assert found["TP53"].values.functionality == "function of TP53"
    sent = chat.requests[0]
    assert sent["path"] == "/chat/completions"
    assert (sent["model"], sent["temperature"], sent["seed"], sent["max_tokens"]) == ("gpt-4o", 0.0, 0, 400)
    assert sent["headers"]["authorization"] == f"Bearer {secret.key}"


def test_an_option_of_null_is_left_out_of_the_request(run: Run, chat: Any) -> None:
    run("ERBB2", temperature=None, seed=None, max_tokens=None)
    assert not {"temperature", "seed", "max_tokens"} & set(chat.requests[0])


def test_a_local_endpoint_needs_no_key_and_is_sent_none_of_another(
    run: Run, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "meant-for-another-endpoint")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer meant-for-another-endpoint")
    run("ERBB2", key_env=None, model="llama2:7b")
    assert "another" not in json.dumps(chat.requests[0]["headers"])
    assert chat.requests[0]["headers"]["authorization"] == "Bearer none"


def test_an_answer_is_kept_with_all_that_made_it(run: Run) -> None:
    run("ERBB2")
    (row,) = run.rows
    assert {name: row[name] for name in ("kind", "species", "gene", "source", "source_release", "model")} == {
        "kind": "answer",
        "species": "human",
        "gene": "ERBB2",
        "source": "ncbi",
        "source_release": "NCBI Gene 2026/11/20",
        "model": "gpt-4o",
    }
    assert (row["disease"], row["strategy"], row["tries"]) == ("human breast cancer", "full", "1")
    assert row["date"] == "2026-11-21"
    assert len(row["prompt_sha256"]) == len(row["input_sha256"]) == 64
    assert json.loads(row["raw"])["phenotype"] == "carcinoma"


def test_nothing_is_asked_for_twice(run: Run, chat: Any) -> None:
    first = run("ERBB2", "KRT8")
    second = run("KRT8", "ERBB2")
    assert second == {"KRT8": first["KRT8"], "ERBB2": first["ERBB2"]}
    assert len(chat.requests) == 2
    run("TP53", "KRT8", "FN1")  # a panel that overlaps
    assert chat.symbols == ["ERBB2", "KRT8", "TP53", "FN1"]
    run("KRT8", timeout_s=3.0, max_tries=1, concurrency=4, backoff_s=2.0)
    assert len(chat.requests) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"model": "deepseek-chat"},
        {"strategy": "no_summary"},
        {"strategy": "no_constraint"},
        {"disease": "cutaneous squamous cell carcinoma"},
        {"temperature": 0.7},
        {"max_words": 100},
        {"species": "mouse"},
        {"summary": "another text"},
    ],
)
def test_what_changes_an_answer_is_asked_for_anew(run: Run, chat: Any, change: dict[str, Any]) -> None:
    run("ERBB2")
    run("ERBB2", **change)
    assert len(chat.requests) == 2
    run("ERBB2")
    run("ERBB2", **change)
    assert len(chat.requests) == 2


def test_the_strategies_ask_and_answer_differently(run: Run, chat: Any) -> None:
    found = {one: run("ERBB2", strategy=one)["ERBB2"].values for one in ("full", "no_constraint", "no_summary")}
    assert (found["no_constraint"].functionality, found["no_constraint"].phenotype) == ("all about ERBB2", "")
    assert found["full"].phenotype == found["no_summary"].phenotype == "carcinoma"
    assert [request["given"] for request in chat.requests] == [
        {"symbol": "ERBB2", "summary": "text"},
        {"symbol": "ERBB2", "summary": "text"},
        {"symbol": "ERBB2"},
    ]
    assert len({request["messages"][0]["content"] for request in chat.requests}) == 3


@pytest.mark.parametrize(
    "bad",
    [
        "{broken",
        '{"gene symbol": "ERBB2", "functionality": "kin',
        '{"gene symbol": "ERBB2", "function": "a", "phenotype": "b"}',
        json.dumps({"gene symbol": "ERBB2", "functionality": "word " * 130, "phenotype": "b"}),
        '{"gene symbol": "TP53", "functionality": "a", "phenotype": "b"}',
        "",
    ],
)
def test_a_broken_answer_is_repaired_with_the_reason(run: Run, chat: Any, bad: str) -> None:
    chat.script = lambda symbol, number: bad if number == 1 else None
    if not bad:
        chat.script = lambda symbol, number: (200, chat.completion(None), {}) if number == 1 else None
    assert run("ERBB2")["ERBB2"].values.phenotype == "carcinoma"
    first, second = chat.requests
    assert second["messages"][:2] == first["messages"]
    assert [one["role"] for one in second["messages"][2:]] == (["assistant", "user"] if bad else ["user"])
    assert "cannot be used" in second["messages"][-1]["content"]
    assert [row["tries"] for row in run.rows] == ["2"]


def test_after_three_bad_answers_the_gene_is_named_and_the_others_are_kept(run: Run, chat: Any) -> None:
    chat.script = lambda symbol, number: "no idea" if symbol == "ACTB" else None
    with pytest.raises(DataContractError) as caught:
        run(*GENES)
    said = str(caught.value)
    assert f"{chat.address}: answer for ACTB: expected a valid answer of gpt-4o in 3 tries" in said
    assert "no complete JSON object" in said
    assert "'no idea'" in said
    assert chat.symbols == ["ERBB2", "KRT8", "ACTB", "ACTB", "ACTB"]
    assert [row["gene"] for row in run.rows] == ["ERBB2", "KRT8"]
    chat.script = lambda symbol, number: None
    assert list(run(*GENES)) == list(GENES)
    assert chat.symbols[5:] == ["ACTB", "TP53", "FN1", "GNAS"]


@pytest.mark.parametrize(
    ("failure", "waits"),
    [
        ((429, '{"error": {"message": "slow down"}}', {"Retry-After": "7"}), [7.0]),
        ((429, "{}", {"Retry-After": "0"}), [0.0]),
        ((503, "", {"Retry-After": "99999"}), [600.0]),
        ((500, "<html>", {"Content-Type": "text/html"}), None),
        ((200, "<html>log in", {"Content-Type": "text/html"}), None),
        ((200, "{not json", {}), None),
        ((200, '{"error": {"message": "overloaded"}}', {}), None),
        ((200, '{"choices": []}', {}), None),
    ],
)
def test_a_request_that_is_not_served_is_sent_again(run: Run, chat: Any, failure: Any, waits: Any) -> None:
    chat.script = lambda symbol, number: failure if number == 1 else None
    assert run("ERBB2")["ERBB2"].values.phenotype == "carcinoma"
    assert len(chat.requests) == 2
    assert chat.requests[0]["messages"] == chat.requests[1]["messages"]  # not a repair
    assert [row["tries"] for row in run.rows] == ["1"]
    if waits is None:
        (wait,) = run.slept
        assert 0 <= wait <= 2.0  # backoff_s · 2¹
    else:
        assert run.slept == waits


def test_waits_grow_and_the_last_failure_is_reported(run: Run, chat: Any) -> None:
    chat.script = lambda symbol, number: (500, "", {})
    with pytest.raises(DataContractError) as caught:
        run("ERBB2", attempts=5)
    assert f"{chat.address}: answer: expected an answer; found HTTP 500, 5 times in a row" in str(caught.value)
    assert len(run.slept) == 4
    assert all(0 <= wait <= 2**number for number, wait in enumerate(run.slept, start=1))
    assert len(set(run.slept)) == 4


def test_an_endpoint_that_hangs_is_left_after_the_time_out(run: Run, chat: Any) -> None:
    chat.script = lambda symbol, number: chat.hang if number == 1 else None
    assert run("ERBB2", timeout_s=0.2)["ERBB2"].values.phenotype == "carcinoma"
    chat.script = lambda symbol, number: chat.hang
    with pytest.raises(DataContractError, match=r"no answer within 0\.2 s, 2 times in a row"):
        run("KRT8", timeout_s=0.2, attempts=2)


def test_an_endpoint_that_is_not_there_is_named(run: Run, chat: Any) -> None:
    chat.close()
    with pytest.raises(DataContractError, match="the connection failed or broke off, 2 times") as caught:
        run("ERBB2", attempts=2)
    assert chat.address in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_run_at_once_and_is_never_shown(
    run: Run, chat: Any, secret: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {secret.key}", "code": "invalid_api_key"}})
    chat.script = lambda symbol, number: (status, body, {}) if symbol == "ACTB" else None
    with caplog.at_level(logging.DEBUG), pytest.raises(DataContractError) as caught:
        run(*GENES)
    assert chat.symbols == ["ERBB2", "KRT8", "ACTB"]  # no second try, no further gene
    said = str(caught.value)
    assert chat.address in said
    assert f"HTTP {status}, access refused" in said
    assert secret.env in said
    hidden = secret.said_by(caught.value) + run.path.read_text() + caplog.text  # of every library, at level DEBUG
    assert secret.key not in hidden
    assert secret.key[8:] not in hidden
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_no_log_of_any_library_shows_the_key(
    run: Run, chat: Any, secret: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chat.script = lambda symbol, number: (500, "{}", {}) if number == 1 else None
    with caplog.at_level(logging.DEBUG):
        run("ERBB2")
    assert caplog.records
    assert secret.key not in caplog.text


def test_a_server_that_repeats_the_key_in_its_words_is_masked(run: Run, chat: Any, secret: Any) -> None:
    body = json.dumps({"error": {"message": f"no model gpt-4o for {secret.key} ({secret.key[:20]})"}})
    chat.script = lambda symbol, number: (404, body, {})
    with pytest.raises(DataContractError) as caught:
        run("ERBB2")
    assert "HTTP 404: " in str(caught.value)
    assert "no model gpt-4o for ***" in str(caught.value)
    assert secret.key[:20] not in secret.said_by(caught.value)
    answer = {"gene symbol": "ERBB2", "functionality": secret.key, "phenotype": "b"}  # and in a model's answer
    chat.script = lambda symbol, number: json.dumps(answer)
    assert run("ERBB2")["ERBB2"].values.functionality == "***"
    assert secret.key not in run.path.read_text()


def test_what_a_local_endpoint_is_given_for_a_key_is_no_secret(
    run: Run, chat: Any, secret: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(secret.env, "kinase")
    chat.script = lambda symbol, number: '{"gene symbol": "ERBB2", "functionality": "kinase", "phenotype": "b"}'
    assert run("ERBB2")["ERBB2"].values.functionality == "kinase"


def test_the_endpoint_s_own_text_shows_no_key(chat: Any, secret: Any, rewrite_options: Any) -> None:
    endpoint = Endpoint(Rewrite(**rewrite_options(chat.address)))
    assert repr(endpoint) == f"Endpoint('{chat.address}', 'gpt-4o')"
    endpoint.close()


@pytest.mark.parametrize("value", [None, "  ", "sk-with a space-0123", "sk-ключ-0123456789"])
def test_a_key_that_is_absent_or_no_key_is_one_error_before_any_request(
    run: Run, chat: Any, secret: Any, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(secret.env)
    else:
        monkeypatch.setenv(secret.env, value)
    with pytest.raises(DataContractError) as caught:
        run("ERBB2")
    assert str(caught.value).startswith(f"environment: {secret.env}: expected the key of {chat.address}")
    assert "0123" not in str(caught.value)
    assert chat.requests == []


def test_a_request_that_the_endpoint_calls_wrong_is_not_sent_again(run: Run, chat: Any) -> None:
    chat.script = lambda symbol, number: (400, '{"error": {"message": "temperature is not supported"}}', {})
    with pytest.raises(DataContractError, match=r"HTTP 400: .*temperature is not supported.*null leaves an option out"):
        run("ERBB2")
    assert len(chat.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(402, {"message": "Insufficient Balance"}), (429, {"code": "insufficient_quota"})]
)
def test_an_empty_account_is_said_at_once(run: Run, chat: Any, status: int, body: dict[str, str]) -> None:
    chat.script = lambda symbol, number: (status, json.dumps({"error": body}), {})
    with pytest.raises(DataContractError, match="top it up"):
        run("ERBB2")
    assert len(chat.requests) == 1


def test_the_budget_of_requests_is_kept_and_the_next_run_goes_on(run: Run, chat: Any) -> None:
    chat.script = lambda symbol, number: "bad" if (symbol, number) == ("KRT8", 1) else None
    with pytest.raises(DataContractError, match=r"rewrite.max_requests: expected at most 4 requests"):
        run(*GENES, max_requests=4, concurrency=2)
    assert len(chat.requests) == 4
    kept = [row["gene"] for row in run.rows]
    assert list(run(*GENES, max_requests=4, concurrency=2)) == list(GENES)
    assert not set(chat.symbols[4:]) & set(kept)


def test_an_interruption_loses_the_answer_in_flight_alone(run: Run, chat: Any) -> None:
    class Interrupted(Exception):
        """Stands for whatever ends a run."""

    days = iter(["2026-11-21"] * 3)

    def today() -> str:
        day = next(days, None)
        if day is None:
            raise Interrupted
        return day

    texts = [Text(symbol=one, summary="text", source="ncbi", release="r") for one in GENES]
    rewrite = Rewrite(**run.options(chat.address))
    with pytest.raises(Interrupted):
        rewrite_texts(texts, rewrite=rewrite, species="human", cache=Cache(run.path), sleep=None, today=today)
    assert chat.symbols == list(GENES[:4])
    assert [row["gene"] for row in run.rows] == list(GENES[:3])
    assert list(run(*GENES)) == list(GENES)
    assert chat.symbols[4:] == list(GENES[3:])


def test_a_break_from_the_keyboard_sends_no_further_request(run: Run, chat: Any) -> None:
    def script(symbol: str, number: int) -> Any:
        if symbol != "ACTB":
            return None
        if number == 1:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return chat.hang  # until the client's time-out: by then the run is told to end

    chat.script = script
    with pytest.raises(KeyboardInterrupt):
        run(*GENES, timeout_s=1.0)
    assert chat.symbols == ["ERBB2", "KRT8", "ACTB"]
    assert [row["gene"] for row in run.rows] == ["ERBB2", "KRT8"]


def test_answers_come_in_the_order_of_the_genes_however_they_arrive(run: Run, chat: Any) -> None:
    last = threading.Event()

    def late(symbol: str, number: int) -> None:
        if symbol == GENES[-1]:
            last.set()
        if symbol == GENES[0]:
            assert last.wait(10)  # the first answer comes after the last was asked for

    chat.script = late
    found: dict[str, Rewritten] = run(*GENES, concurrency=2)
    assert list(found) == list(GENES)
    assert run.rows[0]["gene"] != GENES[0]
    assert found[GENES[0]].values.functionality == f"function of {GENES[0]}"


def test_no_more_requests_are_in_flight_than_allowed(run: Run, chat: Any) -> None:
    lock, gate, flying, most = threading.Lock(), threading.Barrier(3), [0], [0]

    def count(symbol: str, number: int) -> None:
        with lock:
            flying[0] += 1
            most[0] = max(most[0], flying[0])
        gate.wait(10)  # three are here at once, or the barrier breaks
        with lock:
            flying[0] -= 1

    chat.script = count
    run(*GENES, concurrency=3)
    assert most == [3]


def test_what_is_in_flight_when_the_key_is_refused_is_kept(run: Run, chat: Any) -> None:
    refused = threading.Event()

    def script(symbol: str, number: int) -> Any:
        if symbol == "KRT8":
            refused.set()
            return 401, "{}", {}
        assert refused.wait(10)
        return None

    chat.script = script
    with pytest.raises(DataContractError, match="access refused"):
        run(*GENES, concurrency=2)
    assert "ERBB2" in [row["gene"] for row in run.rows]
    assert len(chat.requests) <= 3


def test_a_gene_that_waits_for_another_try_ends_when_the_key_is_refused(
    chat: Any, rewrite_options: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    asked = threading.Event()

    def script(symbol: str, number: int) -> Any:
        if symbol == "ERBB2":
            asked.set()
            return 429, "{}", {"Retry-After": "500"}  # a real wait, which the refusal cuts short
        assert asked.wait(10)
        return 401, "{}", {}

    chat.script = script
    began = time.monotonic()
    with pytest.raises(DataContractError, match="access refused"):
        rewrite_texts(
            [Text(symbol=one, summary="", source="names", release="r") for one in GENES],
            rewrite=Rewrite(**rewrite_options(chat.address, concurrency=2)),
            species="human",
            cache=Cache(tmp_path / "answers.jsonl"),
            sleep=None,
            today=lambda: "2026-11-21",
        )
    assert time.monotonic() - began < 20
    assert chat.symbols.count("ERBB2") == 1


def test_two_runs_at_once_pay_for_no_gene_twice(run: Run, chat: Any) -> None:
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(run(*GENES[2:], "COX6C", concurrency=2)))

    def script(symbol: str, number: int) -> None:
        if symbol == GENES[0]:
            thread.start()  # the second run begins while the first has the turn

    chat.script = script
    first = run(*GENES, concurrency=2)
    thread.join(30)
    assert sorted(chat.symbols) == sorted((*GENES, "COX6C"))
    assert other[0]["ACTB"] == first["ACTB"]


def test_a_kept_answer_that_no_longer_holds_is_asked_for_again(run: Run, chat: Any) -> None:
    run("ERBB2")
    run.path.write_text(run.path.read_text().replace("carcinoma", ""))
    assert run("ERBB2")["ERBB2"].values.phenotype == "carcinoma"
    assert len(chat.requests) == 2
