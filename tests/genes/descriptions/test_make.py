from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.make import describe
from stainscript.genes.descriptions.options import rule_of
from stainscript.genes.descriptions.records import Description
from stainscript.genes.identifiers.names import builtin

PANEL = {"ENSG00000141736": "ERBB2", "ENSG00000170421": "KRT8", "AP000769.1": "AP000769.1", "ATP5B": "ATP5B"}
Options = Callable[..., dict[str, Any]]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., list[Description]]:
    def run(genes: dict[str, str], options: dict[str, Any], **more: Any) -> list[Description]:
        more = {"names": builtin("human"), "cache": tmp_path / "cache.jsonl", "sleep": lambda seconds: None, **more}
        return describe(genes, rule=rule_of(options), today=lambda: "2026-11-21", **more)

    return run


def test_without_network_every_gene_has_a_row(make: Any, rule_options: Options, tmp_path: Path) -> None:
    sets = {"HALLMARK_OXIDATIVE_PHOSPHORYLATION": ("ATP5F1B", "COX6C"), "HALLMARK_BIG": ("ATP5B", "ERBB2", "X", "Y")}
    found = make(PANEL, rule_options(), gene_sets=sets)
    assert [(one.gene_id, one.symbol) for one in found] == list(PANEL.items())
    assert "keratin" in found[1].functionality
    assert found[0].phenotype == "big"
    assert found[3].phenotype == "oxidative phosphorylation, big"  # its old symbol finds both of its names
    assert "uncharacterised" in found[2].functionality
    assert {one.source for one in found} == {"names"}
    assert {(one.model, one.strategy, one.prompt_sha256, one.raw) for one in found} == {("", "", "", "")}
    assert len({one.source_release for one in found}) == 1
    assert make(PANEL, rule_options(), gene_sets=sets) == found
    assert not (tmp_path / "cache.jsonl").exists()


def test_gene_sets_and_their_number_change_the_text(make: Any, rule_options: Options) -> None:
    sets = {"SET_A": ("ERBB2",), "SET_B": ("ERBB2", "KRT8")}
    texts = [make(PANEL, rule_options(max_sets=most), gene_sets=sets)[0].text() for most in (0, 1, 2)]
    assert texts[1] == texts[0] + " set a"
    assert texts[2] == texts[0] + " set a, set b"


def test_a_symbol_unknown_to_the_table_stands_for_itself(make: Any, rule_options: Options) -> None:
    (one,) = make({"ZZZ": "ZZZ"}, rule_options())
    assert one.text() == "ZZZ"


def test_no_gene_is_an_error(make: Any, rule_options: Options) -> None:
    with pytest.raises(DataContractError, match="at least one gene"):
        make({}, rule_options())


def test_ncbi_is_asked_by_the_current_symbol_and_once(
    make: Any, rule_options: Options, ncbi_options: Options, eutils: Any
) -> None:
    eutils.add(2064, "ERBB2", "A receptor.")
    eutils.add(506, "ATP5F1B", "A subunit.")
    options = rule_options("ncbi", ncbi=ncbi_options(eutils.address))
    found = make(PANEL, options)
    assert [one.summary for one in found] == ["A receptor.", "", "", "A subunit."]
    assert [one.functionality for one in found] == ["A receptor.", "", "", "A subunit."]
    assert found[3].symbol == "ATP5B"
    assert found[2].text() == "AP000769.1"
    assert {one.source_release for one in found} == {"NCBI Gene 2026/11/20 11:43 (Build261120-0845m.1)"}
    assert {one.date for one in found} == {"2026-11-21"}
    asked = len(eutils.requests)
    assert make(PANEL, options) == found
    assert len(eutils.requests) == asked  # empty summaries are kept too
    (new, old) = make({"ENSG00000110955": "ATP5F1B", "COL1A1": "COL1A1"}, options)
    assert new.summary == "A subunit."
    assert '"COL1A1"' in eutils.requests[asked + 1][1]["term"]
    assert "ATP5F1B" not in eutils.requests[asked + 1][1]["term"]
    assert old.summary == ""


def test_summaries_fetched_before_a_failure_are_kept(
    make: Any, rule_options: Options, ncbi_options: Options, eutils: Any
) -> None:
    for number, symbol in enumerate(("ERBB2", "KRT8", "AP000769.1", "ATP5F1B"), start=1):
        eutils.add(number, symbol, f"text {number}")
    options = rule_options("ncbi", ncbi=ncbi_options(eutils.address, batch=1))
    eutils.script = lambda utility, number: (403, "", {}) if (utility, number) == ("esearch", 3) else None
    with pytest.raises(DataContractError, match="HTTP 403"):
        make(PANEL, options)
    eutils.script = lambda utility, number: None
    before = len(eutils.requests)
    assert [one.summary for one in make(PANEL, options)] == ["text 1", "text 2", "text 3", "text 4"]
    assert len(eutils.requests) - before == 1 + 2 * 2  # einfo, then the two genes that were missing


def test_an_empty_summary_goes_to_the_model_as_empty(
    make: Any, rule_options: Options, ncbi_options: Options, rewrite_options: Options, eutils: Any, chat: Any
) -> None:
    eutils.add(2064, "ERBB2", "A receptor.")
    options = rule_options("ncbi", ncbi=ncbi_options(eutils.address), rewrite=rewrite_options(chat.address))
    found = make(PANEL, options)
    assert [request["given"] for request in chat.requests] == [
        {"symbol": "ERBB2", "summary": "A receptor."},
        {"symbol": "KRT8", "summary": ""},
        {"symbol": "AP000769.1", "summary": ""},
        {"symbol": "ATP5F1B", "summary": ""},
    ]
    assert [one.functionality for one in found][2:] == ["function of AP000769.1", "function of ATP5F1B"]
    assert (found[0].model, found[0].strategy, found[0].disease) == ("gpt-4o", "full", "human breast cancer")
    assert found[0].summary == "A receptor."
    assert found[0].raw == chat.valid("ERBB2")
    assert found[0].text("raw_json") == chat.valid("ERBB2")
    assert len(found[0].prompt_sha256) == 64


def test_derived_text_can_be_rewritten_too(
    make: Any, rule_options: Options, rewrite_options: Options, chat: Any
) -> None:
    found = make({"KRT8": "KRT8"}, rule_options(rewrite=rewrite_options(chat.address)))
    assert chat.requests[0]["given"]["summary"].startswith("keratin, ")
    assert found[0].phenotype == "carcinoma"


def test_two_names_of_a_gene_cost_one_request(
    make: Any, rule_options: Options, rewrite_options: Options, chat: Any
) -> None:
    options = rule_options(rewrite=rewrite_options(chat.address))
    found = make({"ATP5B": "ATP5B", "ENSG00000110955": "ATP5F1B"}, options)
    assert chat.symbols == ["ATP5F1B"]
    assert [one.symbol for one in found] == ["ATP5B", "ATP5F1B"]
    assert found[0].functionality == found[1].functionality


KILLED = """
import json, sys
from stainscript.genes.descriptions.make import describe
from stainscript.genes.descriptions.options import rule_of
from stainscript.genes.identifiers.names import builtin
genes, rule, cache = json.loads(sys.argv[1])
describe(genes, rule=rule_of(rule), names=builtin("human"), cache=cache)
"""


def test_a_killed_run_goes_on_where_it_was(
    make: Any, rule_options: Options, rewrite_options: Options, chat: Any, tmp_path: Path
) -> None:
    genes = {gene: gene for gene in ("COL1A1", "COL1A2", "COL3A1", "KRT8", "KRT18", "KRT19")}
    options = rule_options(rewrite=rewrite_options(chat.address))
    started: list[subprocess.Popen[bytes]] = []

    def kill_at_the_fourth(symbol: str, number: int) -> Any:
        if len(chat.requests) == 4:
            os.kill(started[0].pid, signal.SIGKILL)
            return chat.hang
        return None

    chat.script = kill_at_the_fourth
    arguments = json.dumps([genes, options, str(tmp_path / "cache.jsonl")])
    started.append(subprocess.Popen([sys.executable, "-c", KILLED, arguments]))
    assert started[0].wait(60) == -signal.SIGKILL
    assert chat.symbols == ["COL1A1", "COL1A2", "COL3A1", "KRT8"]
    chat.script = lambda symbol, number: None
    found = make(genes, options)
    assert chat.symbols[4:] == ["KRT8", "KRT18", "KRT19"]  # the one in flight again, the three paid for not
    assert [one.functionality for one in found] == [f"function of {gene}" for gene in genes]
