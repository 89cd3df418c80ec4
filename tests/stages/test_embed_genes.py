"""From descriptions to a store of embeddings, one row a gene."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stainscript.artifacts.files import file_sha256
from stainscript.artifacts.stores import open_store
from stainscript.batches.gene_text import load_gene_text
from stainscript.encoders import text as text_encoders
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.records import Description, write_descriptions
from stainscript.stages.embed_genes import embed_genes

TFIDF = {
    "kind": "tfidf",
    "weights": None,
    "weights_sha256": None,
    "revision": "main",
    "seed": 0,
    "options": {},
    "pooling": None,
    "dimension": None,
    "normalise": False,
    "max_length": None,
    "batch_size": 4,
    "precision": "float32",
    "text_source": "values",
}
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
BERT = TFIDF | {"kind": "biobert_large", "weights": "random", "options": TINY | {"vocab_size": 200}}


def description(gene: str, **given: str) -> Description:
    known = {"functionality": f"what {gene.lower()} does in a cell", "phenotype": "tied to tumours", "summary": ""}
    release = {"source": "names", "source_release": "2026-10"}
    return Description(**{"gene_id": f"ENSG-{gene}", "symbol": gene, **known, **release, **given})


@pytest.fixture
def write(tmp_path):
    def written(*described: Description) -> Path:
        write_descriptions(tmp_path / "descriptions.jsonl", described)
        return tmp_path / "descriptions.jsonl"

    return written


@pytest.fixture
def genes(write) -> Path:
    return write(
        description("ERBB2", functionality="receptor kinase that signals growth", summary="A kinase."),
        description("EGFR", functionality="receptor kinase that signals growth", raw='{"a": "b"}'),
        description("COL1A1", functionality="collagen of the matrix", model="m", prompt_sha256="p", strategy="full"),
        description("COL3A1", functionality="collagen of vessel walls", disease="breast cancer"),
        description("TBCCD1", functionality="", phenotype=""),
    )


def texts_of(path: Path, source: str) -> list[str]:
    from stainscript.genes.descriptions.records import read_descriptions

    return [one.text(source) for one in read_descriptions(path)]


@pytest.mark.parametrize("encoder", [TFIDF, BERT], ids=["tfidf", "biobert"])
def test_one_row_a_gene_in_the_order_of_the_file(genes, tmp_path, encoder):
    embed_genes(descriptions=genes, encoder=encoder, out=tmp_path / "out")
    store = open_store(tmp_path / "out", "gene_text")
    assert store.ids("gene_id").tolist() == [f"ENSG-{g}" for g in ("ERBB2", "EGFR", "COL1A1", "COL3A1", "TBCCD1")]
    keys = ("weights", "seed", "options", "batch_size")
    direct = text_encoders.load(encoder["kind"], **{k: encoder[k] for k in keys}, hardware={"accelerator": "cpu"})
    np.testing.assert_allclose(store["embeddings"], direct.encode(texts_of(genes, "values")), rtol=0, atol=1e-6)
    assert len(np.unique(store["embeddings"], axis=0)) == 5
    rows = load_gene_text(tmp_path / "out", ["ENSG-COL3A1", "ENSG-ERBB2"])
    np.testing.assert_array_equal(rows, store["embeddings"][[3, 0]])


def test_the_store_says_what_it_was_made_of(genes, tmp_path):
    entry = BERT | {"name": "mine", "dimension": 3, "normalise": True, "max_length": 40, "pooling": "cls", "seed": 7}
    embed_genes(descriptions=genes, encoder=entry, out=tmp_path / "out")
    store = open_store(tmp_path / "out", "gene_text")
    assert store["embeddings"].shape == (5, 3)
    np.testing.assert_allclose(np.linalg.norm(store["embeddings"], axis=1), 1, atol=1e-6)
    assert store.attrs["card"]["licence"]
    expected = {
        "source": "names",
        "release": "2026-10",
        "prompt": "p",
        "model": "m",
        "strategy": "full",
        "disease": "breast cancer",
        "descriptions_sha256": file_sha256(genes),
        "text_source": "values",
        "encoder": "mine",
        "kind": "biobert_large",
        "weights_sha256": "random:7",
        "pooling": "cls",
        "dimension": 3,
        "normalise": True,
        "max_length": 40,
        "precision": "float32",
        "truncated": 0,
        "without_text": 1,
    }
    assert {key: store.attrs[key] for key in expected} == expected


def test_many_prompts_are_told_by_one_digest_and_few_are_listed(write, tmp_path):
    found = {}
    for count in (2, 5):
        described = [description(f"G{n}", prompt_sha256=f"p{n % count}") for n in range(6)]
        embed_genes(descriptions=write(*described), encoder=TFIDF, out=tmp_path / str(count))
        found[count] = open_store(tmp_path / str(count), "gene_text").attrs["prompt"]
    assert found[2] == "p0, p1"
    assert found[5].startswith("5 different, SHA-256 ")


@pytest.mark.parametrize("source", ["raw_json", "summary"])
def test_the_source_of_the_text_changes_the_vectors(genes, tmp_path, source):
    for name in ("values", source):
        embed_genes(descriptions=genes, encoder=BERT | {"text_source": name}, out=tmp_path / name)
    one, other = (open_store(tmp_path / n, "gene_text") for n in ("values", source))
    assert np.abs(one["embeddings"] - other["embeddings"]).max(axis=1).min() > 1e-4 or source == "summary"
    assert np.abs(one["embeddings"][0] - other["embeddings"][0]).max() > 1e-4
    assert other.attrs["text_source"] == source


def test_a_gene_without_text_is_embedded_by_its_symbol_and_named_in_the_log(genes, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        embed_genes(descriptions=genes, encoder=BERT, out=tmp_path / "out")
    assert "1 of 5 genes have no text and are embedded by their symbol: ENSG-TBCCD1" in caplog.text
    made = text_encoders.load("biobert_large", weights="random", options=BERT["options"])
    bare = load_gene_text(tmp_path / "out", ["ENSG-TBCCD1"])
    np.testing.assert_allclose(bare, made.encode(["TBCCD1"]), rtol=0, atol=1e-6)


def test_without_summaries_all_are_embedded_by_their_symbols(genes, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        embed_genes(descriptions=genes, encoder=BERT | {"text_source": "summary"}, out=tmp_path / "out")
    assert "4 of 5 genes have no text" in caplog.text
    assert open_store(tmp_path / "out", "gene_text").attrs["without_text"] == 4


def test_genes_with_one_text_are_counted(write, tmp_path, caplog):
    same = [description("A", symbol="X"), description("B", symbol="X"), description("C")]
    same = [Description(**{**vars(one), "functionality": "the same"}) for one in same[:2]] + same[2:]
    with caplog.at_level(logging.WARNING):
        embed_genes(descriptions=write(*same), encoder=BERT, out=tmp_path / "out")
    assert "1 of 3 genes have the vector of another gene" in caplog.text


# Bad input


def refused(tmp_path, **given: Any) -> DataContractError:
    with pytest.raises(DataContractError) as error:
        embed_genes(out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()
    return error.value


@pytest.mark.parametrize("content", [None, ""])
def test_no_descriptions_are_refused(tmp_path, content):
    path = tmp_path / "none.jsonl"
    if content is not None:
        path.write_text(content)
    error = refused(tmp_path, descriptions=path, encoder=TFIDF)
    assert error.path == str(path)
    assert "describe_genes" in error.remedy


def test_a_gene_described_twice_is_refused(write, tmp_path):
    path = write(description("A"))
    path.write_text(path.read_text() * 2)
    assert "ENSG-A again" in refused(tmp_path, descriptions=path, encoder=TFIDF).found


def test_a_line_that_is_no_description_is_refused(genes, tmp_path):
    genes.write_text(genes.read_text() + json.dumps({"gene_id": "x"}) + "\n")
    assert refused(tmp_path, descriptions=genes, encoder=TFIDF).field == "line 6"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "biobert"}, "did you mean"),
        ({"kind": "conch", "weights": None}, "ask for access at https://huggingface.co/MahmoodLab/CONCH"),
        ({"kind": "plip", "weights": "/nonexistent/plip"}, "fetch it at https://huggingface.co/vinid/plip"),
        ({"text_source": "value"}, "did you mean 'values'"),
        ({"dimension": 9}, "lower dimension"),
        ({"pooling": "mean"}, "use one of the names listed"),
    ],
)
def test_a_wrong_encoder_is_refused_with_what_to_do(genes, tmp_path, change, words):
    assert words in refused(tmp_path, descriptions=genes, encoder=TFIDF | change).remedy
