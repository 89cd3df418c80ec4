from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.entrez import Entrez
from stainscript.genes.descriptions.ncbi import Record, choose, release, summaries
from stainscript.genes.descriptions.options import Ncbi

API_KEY = "ncbi0123456789abcdefSECRET"


@pytest.fixture
def entrez(eutils: Any, ncbi_options: Callable[..., dict[str, Any]]) -> Callable[..., Entrez]:
    def make(**changes: Any) -> Entrez:
        return Entrez(Ncbi(**ncbi_options(eutils.address, **changes)), sleep=eutils.clock.slept.append)

    return make


def fetch(entrez: Entrez, *symbols: str, species: str = "human", batch: int = 100) -> dict[str, str]:
    return dict(summaries(symbols, species=species, entrez=entrez, batch=batch))


def test_each_symbol_gets_the_summary_of_its_official_record(eutils: Any, entrez: Callable[..., Entrez]) -> None:
    eutils.add(2064, "ERBB2", "A receptor\n of <the> EGF & family.", OtherAliases="HER2, NEU")
    eutils.add(7, "NEU1", "A sialidase.", OtherAliases="NEU")
    eutils.add(4535, "ND1", "Complex I.", NomenclatureSymbol="MT-ND1", OtherAliases="NADH1")
    eutils.add(9, "AP000769.1")
    found = fetch(entrez(), "MT-ND1", "ERBB2", "AP000769.1", "NOSUCH")
    assert list(found.items()) == [
        ("MT-ND1", "Complex I."),
        ("ERBB2", "A receptor of <the> EGF & family."),
        ("AP000769.1", ""),
        ("NOSUCH", ""),
    ]
    assert eutils.utilities() == ["esearch", "esummary"]
    search, summary = (sent for _, sent in eutils.requests)
    assert '"ERBB2"[Gene Name] OR "AP000769.1"[Gene Name]' in search["term"]
    assert '"Homo sapiens"[Organism]' in search["term"]
    assert summary["id"] == "2064,4535,9"
    for sent in (search, summary):
        assert (sent["email"], sent["tool"], sent["db"]) == ("reader@example.org", "stainscript", "gene")
        assert "api_key" not in sent


def test_a_name_that_is_official_for_one_gene_is_not_taken_as_another_s_alias() -> None:
    one = Record(uid=1, symbols=("A",), aliases=("B",), summary="a")
    two = Record(uid=2, symbols=("B",), aliases=(), summary="b")
    assert choose("B", [one, two]) == two
    assert choose("b", [one, two]) == two


def test_an_alias_counts_when_one_record_alone_has_it() -> None:
    one = Record(uid=1, symbols=("A",), aliases=("X", "Y"), summary="a")
    two = Record(uid=2, symbols=("B",), aliases=("Y",), summary="b")
    assert choose("X", [one, two]) == one
    assert choose("Y", [one, two]) is None


def test_of_two_records_of_a_symbol_the_one_with_a_summary_counts() -> None:
    empty = Record(uid=1, symbols=("A",), aliases=(), summary="")
    full = Record(uid=2, symbols=("A",), aliases=(), summary="a")
    assert choose("A", [empty, full]) == full


def test_withdrawn_records_are_passed_over(eutils: Any, entrez: Callable[..., Entrez]) -> None:
    eutils.add(1, "A", "old", CurrentID="2")
    eutils.add(2, "A", "", OtherAliases="")
    assert fetch(entrez(), "A") == {"A": ""}


def test_mouse_genes_are_looked_up_in_the_mouse(eutils: Any, entrez: Callable[..., Entrez]) -> None:
    eutils.add(1, "TRP53", "human")
    eutils.add(2, "Trp53", "mouse", organism="Mus musculus")
    assert fetch(entrez(), "Trp53", species="mouse") == {"Trp53": "mouse"}


def test_genes_are_fetched_batch_by_batch(eutils: Any, entrez: Callable[..., Entrez]) -> None:
    for number in range(5):
        eutils.add(number + 1, f"G{number}", f"text {number}")
    assert fetch(entrez(), *(f"G{number}" for number in range(5)), batch=2) == {f"G{n}": f"text {n}" for n in range(5)}
    assert eutils.utilities() == ["esearch", "esummary"] * 3


def test_a_symbol_that_would_change_the_query_is_not_asked(eutils: Any, entrez: Callable[..., Entrez]) -> None:
    assert fetch(entrez(), 'A"[All Fields] OR "B', "") == {'A"[All Fields] OR "B': "", "": ""}
    assert eutils.requests == []


def test_a_search_that_finds_the_whole_genome_is_cut_down_and_then_given_up(
    eutils: Any, entrez: Callable[..., Entrez], caplog: pytest.LogCaptureFixture
) -> None:
    eutils.add(1, "GOOD", "text")
    for number in range(120):
        eutils.add(number + 10, f"X{number}", "wrong", OtherAliases="BAD")
    with caplog.at_level(logging.WARNING):
        assert fetch(entrez(), "GOOD", "BAD") == {"GOOD": "text", "BAD": ""}
    assert "120 records for BAD" in caplog.text


def test_the_release_is_the_day_that_ncbi_states(entrez: Callable[..., Entrez]) -> None:
    assert release(entrez()) == "NCBI Gene 2026/11/20 11:43 (Build261120-0845m.1)"


@pytest.mark.parametrize(("key", "gap"), [(None, 0.37), (API_KEY, 0.1)])
def test_requests_keep_ncbi_s_rate_limit(
    eutils: Any, entrez: Callable[..., Entrez], monkeypatch: pytest.MonkeyPatch, key: str | None, gap: float
) -> None:
    if key:
        monkeypatch.setenv("NCBI_API_KEY", key)
    for number in range(4):
        eutils.add(number + 1, f"G{number}", "text")
    fetch(entrez(), *(f"G{number}" for number in range(4)), batch=1)
    assert len(eutils.requests) == 8
    assert eutils.clock.slept == pytest.approx([gap] * 7)  # the first need not wait
    assert all(sent.get("api_key") == key for _, sent in eutils.requests)


@pytest.mark.parametrize(
    "failure",
    [
        (429, '{"error": "API rate limit exceeded"}', {"Retry-After": "7"}),
        (500, "", {}),
        (502, "<html>Bad gateway</html>", {"Content-Type": "text/html"}),
        (200, "<html>busy", {"Content-Type": "text/html"}),
        (200, "plain words", {"Content-Type": "text/plain"}),
        (200, "", {"Content-Type": "text/xml"}),
        (200, "<eSearchResult><Count>1", {"Content-Type": "text/xml"}),
        (200, "<eSearchResult><ERROR>Search Backend failed</ERROR></eSearchResult>", {"Content-Type": "text/xml"}),
        "hang",
    ],
)
def test_a_failure_that_may_go_by_is_asked_again(eutils: Any, entrez: Callable[..., Entrez], failure: Any) -> None:
    eutils.add(1, "A", "text")
    if isinstance(failure, tuple) and failure[1].startswith("<eSearch"):
        failure = (200, eutils.search_head + failure[1], failure[2])
    eutils.script = lambda utility, number: failure if (utility, number) == ("esearch", 1) else None
    began = time.monotonic()
    assert fetch(entrez(timeout_s=0.2 if failure == "hang" else 30.0), "A") == {"A": "text"}
    assert time.monotonic() - began < 20
    assert eutils.utilities() == ["esearch", "esearch", "esummary"]
    waits = [wait for wait in eutils.clock.slept if wait != pytest.approx(0.37)]
    if isinstance(failure, tuple) and failure[0] == 429:
        assert waits == [7.0]


def test_a_server_that_stays_down_is_named_after_the_last_try(eutils: Any, entrez: Callable[..., Entrez]) -> None:
    eutils.script = lambda utility, number: (503, "", {})
    with pytest.raises(DataContractError) as caught:
        fetch(entrez(attempts=3), "A")
    assert f"{eutils.address}/esearch.fcgi: answer: expected an answer; found HTTP 503, 3 times in a row" in str(
        caught.value
    )
    assert len(eutils.requests) == 3


def test_a_refused_api_key_is_one_error_and_never_shown(
    eutils: Any,
    entrez: Callable[..., Entrez],
    secret: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("NCBI_API_KEY", API_KEY)
    eutils.script = lambda utility, number: (400, f'{{"error": "API key invalid", "api-key": "{API_KEY}"}}', {})
    with caplog.at_level(logging.DEBUG), pytest.raises(DataContractError) as caught:
        fetch(entrez(), "A")
    assert len(eutils.requests) == 1
    assert "NCBI_API_KEY" in str(caught.value)
    assert "HTTP 400" in str(caught.value)
    assert API_KEY not in secret.said_by(caught.value) + caplog.text


def test_without_an_address_nobody_is_asked(
    eutils: Any, entrez: Callable[..., Entrez], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCBI_EMAIL", " ")
    with pytest.raises(DataContractError, match="environment: NCBI_EMAIL: expected your e-mail address"):
        entrez()
    assert eutils.requests == []


def test_biopython_is_left_as_it_was(entrez: Callable[..., Entrez]) -> None:
    import Bio.Entrez

    before = Bio.Entrez.urlopen, Bio.Entrez.max_tries
    release(entrez())
    assert (Bio.Entrez.urlopen, Bio.Entrez.max_tries) == before
