"""What the doctor says of gene inputs: tables, keys that are not set, weights that must be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from stainscript.doctor.genes import genes
from stainscript.plan import paths


@pytest.fixture
def found(config, repository: Path):
    """subject → finding, with these gene inputs asked for."""

    def look(change=lambda _: None, **grid: object):
        def ask(raw: dict) -> None:
            raw["genes"] = [{"datasets": ["phantom"], "protocols": ["hmhvg"], **grid}]
            change(raw)

        return {one.subject: one for one in genes(config(ask), datasets=["phantom"], repository=repository)}

    return look


def test_what_works_offline_is_well(found) -> None:
    looked = found(descriptions=["offline"], text_encoders=["tfidf"], pathways=["phantom"], tokens=["stamp"])
    assert {subject: one.level for subject, one in looked.items()} == {
        "references.phantom_sets": "ok",
        "descriptions.offline": "ok",
        "text_encoders.tfidf": "ok",
    }


def test_a_table_is_to_be_fetched_then_fetched_and_an_absent_copy_is_missing(found, tmp_path: Path) -> None:
    looked = found(lambda raw: raw["identifiers"].update(human="hgnc"), pathways=["hallmark"])
    assert [looked[f"references.{name}"].level for name in ("hgnc", "hallmark")] == ["note", "note"]
    assert "MSigDB 2025.1.Hs, h.all; licence: CC BY 4.0" in looked["references.hallmark"].found
    place = Path(paths.reference("hallmark", "h.all.v2025.1.Hs.symbols.gmt"))
    place.parent.mkdir(parents=True)
    place.touch()
    assert found(pathways=["hallmark"])["references.hallmark"].level == "ok"
    lost = found(lambda raw: raw["references"]["hallmark"].update(file="/none/h.gmt"), pathways=["hallmark"])
    assert lost["references.hallmark"].level == "missing"
    assert "/none/h.gmt" in str(lost["references.hallmark"].found)


def test_variables_that_are_not_set_are_named_and_set_ones_are_never_shown(found, monkeypatch) -> None:
    for variable in ("NCBI_EMAIL", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    missing = found(descriptions=["dkan"])["descriptions.dkan"]
    assert (missing.level, missing.found) == ("missing", "NCBI_EMAIL, OPENAI_API_KEY not set")
    monkeypatch.setenv("NCBI_EMAIL", "me@example.org")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ready = found(descriptions=["dkan", "dkan_local"])
    assert ready["descriptions.dkan"].level == "note"
    assert "gpt-4o" in ready["descriptions.dkan"].found
    assert "localhost:11434" in ready["descriptions.dkan_local"].found
    assert "sk-secret" not in repr(ready)


def test_gated_weights_are_missing_without_a_token(found, monkeypatch) -> None:
    wanted = {"descriptions": ["offline"], "text_encoders": ["conch_text", "biogpt"]}
    looked = found(**wanted)
    assert (looked["text_encoders.conch_text"].level, looked["text_encoders.biogpt"].level) == ("missing", "note")
    assert "ask for access at https://huggingface.co/MahmoodLab" in looked["text_encoders.conch_text"].remedy
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    assert found(**wanted)["text_encoders.conch_text"].level == "note"


def test_a_table_that_nothing_reads_is_not_looked_for(found) -> None:
    assert found(statistics=True) == {}
