"""Text embeddings by gene id, in the order of a panel."""

from __future__ import annotations

import numpy as np
import pytest

from stainscript.artifacts.stores import write_store
from stainscript.batches.gene_text import load_gene_text
from stainscript.errors import DataContractError

ATTRS = ("source", "release", "prompt", "model", "encoder", "weights_sha256", "pooling", "descriptions_sha256")


def store(folder, genes=("A", "B", "C"), value=None):
    embeddings = np.arange(3 * len(genes), dtype=np.float32).reshape(-1, 3)
    if value is not None:
        embeddings[1, 2] = value
    arrays = {"embeddings": embeddings, "gene_id": np.asarray(genes, dtype=object)}
    write_store(folder, "gene_text", arrays, dict.fromkeys(ATTRS, ""))
    return folder


def test_rows_come_in_the_order_asked_for_and_may_be_fewer(tmp_path):
    found = load_gene_text(store(tmp_path / "t"), ["C", "A"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[6, 7, 8], [0, 1, 2]])


def test_genes_of_another_panel_are_named(tmp_path):
    folder = store(tmp_path / "t")
    with pytest.raises(DataContractError) as error:
        load_gene_text(folder, ["A", *"XYZUVWQ"])
    assert (error.value.path, error.value.field) == (str(folder), "gene_id")
    assert error.value.expected == "embeddings of the panel's 8 genes"
    assert error.value.found == "3 genes without X, Y, Z, U, V and 2 more: the embeddings of another panel"
    assert "describe_genes and embed_genes" in error.value.remedy


def test_a_gene_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(DataContractError, match="expected each gene once; found A twice"):
        load_gene_text(store(tmp_path / "t", ("A", "A", "B")), ["B"])


def test_numbers_that_are_not_finite_are_refused_where_they_are_asked_for(tmp_path):
    folder = store(tmp_path / "t", value=np.nan)
    assert load_gene_text(folder, ["A", "C"]).shape == (2, 3)
    with pytest.raises(DataContractError, match="expected finite numbers; found others at B"):
        load_gene_text(folder, ["A", "B"])


def test_another_store_and_no_store_are_refused(tmp_path):
    with pytest.raises(DataContractError, match="manifest of a gene_text store"):
        load_gene_text(tmp_path / "none", ["A"])
    arrays = {"features": np.zeros((1, 2), np.float32), "spot_id": np.array(["s"], dtype=object)}
    attrs = ("dataset", "slide", "view", "encoder", "weights_sha256", "transform", "precision")
    write_store(tmp_path / "f", "features", arrays, dict.fromkeys(attrs, ""))
    with pytest.raises(DataContractError, match="kind: expected gene_text; found features"):
        load_gene_text(tmp_path / "f", ["A"])
