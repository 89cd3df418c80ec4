from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.records import Description, check_panel, read_descriptions, write_descriptions

NAMED = Description(
    gene_id="ENSG00000170421",
    symbol="KRT8",
    functionality="keratin, filament",
    phenotype="apical surface",
    summary="keratin, filament; apical surface",
    source="names",
    source_release="families",
    date="2026-11-21",
)
ASKED = dataclasses.replace(
    NAMED,
    gene_id="ENSG00000141736",
    symbol="ERBB2",
    summary='A receptor\u2028of the "EGF" family.\nTwo lines.',
    model="gpt-4o",
    strategy="full",
    raw='<think>{no}</think>```json\n{"gene symbol": "ERBB2", "functionality": "kinase", "phenotype": "growth"}\n```',
)


def test_what_is_written_is_read_in_the_same_order(tmp_path: Path) -> None:
    write_descriptions(tmp_path / "text.jsonl", [ASKED, NAMED])
    assert read_descriptions(tmp_path / "text.jsonl") == [ASKED, NAMED]
    assert (tmp_path / "text.jsonl").read_text().count("\n") == 2


def test_the_embedded_text_is_symbol_function_and_phenotype_in_one_line() -> None:
    assert NAMED.text() == "KRT8 keratin, filament apical surface"
    assert dataclasses.replace(NAMED, phenotype="").text("values") == "KRT8 keratin, filament"


def test_raw_json_is_the_object_as_the_model_wrote_it() -> None:
    assert ASKED.text("raw_json") == '{"gene symbol": "ERBB2", "functionality": "kinase", "phenotype": "growth"}'
    made = json.loads(NAMED.text("raw_json"))
    assert made == {"gene symbol": "KRT8", "functionality": "keratin, filament", "phenotype": "apical surface"}


def test_a_gene_without_summary_is_embedded_by_its_symbol() -> None:
    assert NAMED.text("summary") == "keratin, filament; apical surface"
    assert dataclasses.replace(NAMED, summary="").text("summary") == "KRT8"


def test_a_misspelt_text_source_names_the_known_ones() -> None:
    with pytest.raises(DataContractError, match="raw_json, summary, values") as caught:
        NAMED.text("value")
    assert "did you mean 'values'" in str(caught.value)


def row(**changes: object) -> str:
    return json.dumps({**dataclasses.asdict(NAMED), **changes})


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("{broken", "line 2: expected a JSON object with"),
        (row(), "line 2: expected each gene once; found ENSG00000170421 again"),
        (row(gene_id="x", phenotype=None), "line 2: expected text in every field; found none in phenotype"),
        (row(gene_id="x", colour="red"), "colour differ"),
        ("", "line 2"),
    ],
)
def test_a_line_that_is_no_description_is_named(tmp_path: Path, second: str, said: str) -> None:
    path = tmp_path / "text.jsonl"
    path.write_text(f"{row()}\n{second}\n{row(gene_id='y')}\n")
    with pytest.raises(DataContractError) as caught:
        read_descriptions(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "describe_genes" in caught.value.remedy


def test_a_panel_is_served_in_its_own_order() -> None:
    found = check_panel([NAMED, ASKED], [ASKED.gene_id, NAMED.gene_id], "text.jsonl")
    assert [one.symbol for one in found] == ["ERBB2", "KRT8"]


def test_descriptions_of_another_panel_are_refused_with_the_missing_genes() -> None:
    with pytest.raises(DataContractError) as caught:
        check_panel([NAMED], [NAMED.gene_id, "A", "B", "C", "D", "E", "F", "G"], "text.jsonl")
    assert str(caught.value).startswith("text.jsonl: gene_id: expected a description of each of the panel's 8 genes")
    assert "A, B, C, D, E and 2 more" in caught.value.found
    assert "another panel" in caught.value.found
