"""The vocabulary object: order is number, special ids and rows are defined once, a foreign checkpoint is refused."""

import hashlib
import re

import numpy as np
import pytest

from stainscript.errors import DataContractError
from stainscript.genes.tokens.vocabulary import (
    Vocabulary,
    build_genes,
    cellfm_vocabulary,
    check_rows,
    human_positions,
    stamp_vocabulary,
)


def released(count=20_310):
    return stamp_vocabulary([f"g{n}" for n in range(count)], id_offset=30, path="model.h5ad")


def cellfm(count, path):
    return cellfm_vocabulary([f"g{n}" for n in range(count)], path=path)


def test_identity_is_the_hash_of_the_ordered_ids():
    one = stamp_vocabulary(["b", "a"], id_offset=1, path="v")
    assert one.sha256 == hashlib.sha256(b"b\na").hexdigest()
    assert one.sha256 != stamp_vocabulary(["a", "b"], id_offset=1, path="v").sha256
    assert one.index == {"b": 0, "a": 1}


def test_the_released_layout_has_20345_rows_and_its_special_ids():
    """20,310 genes + 30 ids in front + 5 spare rows; inside the network 0 is mask and 1 pad."""
    vocabulary = released()
    assert (vocabulary.id_offset, vocabulary.rows) == (30, 20_345)
    assert vocabulary.special == {"mask": 0, "pad": 1, "cls": 2, "protected": 3}
    assert vocabulary.token("g0") == 30
    assert vocabulary.token("g20309") == 20_339


def test_the_papers_numbering_starts_at_1_and_puts_its_special_ids_behind_the_genes():
    vocabulary = stamp_vocabulary(["a", "b", "c"], id_offset=1, path="v")
    assert [vocabulary.token(gene) for gene in "abc"] == [1, 2, 3]
    assert vocabulary.special == {"pad": 0, "mask": 4, "cls": 5}
    assert vocabulary.rows == 6


def test_no_special_id_of_the_network_is_a_gene():
    for vocabulary in (released(7), stamp_vocabulary(["a", "b"], id_offset=3, path="v"), cellfm(9, "v")):
        genes = {vocabulary.token(gene) for gene in vocabulary.gene_ids}
        assert genes.isdisjoint(vocabulary.special.values())
        assert max(genes | set(vocabulary.special.values())) < vocabulary.rows


def test_cellfm_rows_are_rounded_up_to_a_multiple_of_8():
    assert cellfm(24_078, "gene_info.csv").rows == 24_080
    assert cellfm(27_855, "expand_gene_info.csv").rows == 27_856
    assert cellfm(7, "v").rows == 8
    assert cellfm(8, "v").rows == 16
    assert cellfm(7, "v").token("g0") == 1


def test_tokens_are_read_back_as_genes():
    vocabulary = stamp_vocabulary(["a", "b", "c"], id_offset=30, path="v")
    assert vocabulary.genes_of(np.array([[32, 30, 0]])).tolist() == [["c", "a", ""]]


def test_a_checkpoint_with_the_rows_of_another_list_is_refused_and_the_fitting_list_named():
    with pytest.raises(DataContractError) as caught:
        check_rows(cellfm(24_078, "vocab/gene_info.csv"), rows=27_856, path="base_weight.ckpt")
    error = caught.value
    assert (error.path, error.field) == ("base_weight.ckpt", "rows of the gene table")
    assert error.expected == "24080, for the 24078 genes of vocab/gene_info.csv"
    assert error.found == "27856"
    assert error.remedy == "use expand_gene_info.csv of CellFM (27,855 genes)"


@pytest.mark.parametrize(
    ("rows", "remedy"), [(20_345, "model.h5ad of STAMP"), (24_080, "gene_info.csv"), (999, "trained with")]
)
def test_the_remedy_names_what_would_fit_where_it_is_known(rows, remedy):
    with pytest.raises(DataContractError, match=re.escape(remedy)):
        check_rows(released(100), rows=rows, path="weights.safetensors")


def test_the_rows_of_its_own_checkpoint_are_accepted():
    check_rows(released(), rows=20_345, path="pytorch_model.bin")
    check_rows(cellfm(24_078, "gene_info.csv"), rows=24_080, path="base_weight.ckpt")


def test_the_human_part_has_neither_mouse_genes_nor_suffixed_ids():
    ids = ["ENSG00000000003", "ENSG00000000003-1", "ENSG00000000005", "ENSMUSG00000000001"]
    assert human_positions(ids, path="v").tolist() == [0, 2]


def test_the_human_part_of_symbols_is_refused():
    with pytest.raises(DataContractError, match="human Ensembl ids") as caught:
        human_positions(["TP53", "EGFR"], path="symbols.txt")
    assert "TP53" in caught.value.found


def test_a_cohorts_own_vocabulary_is_the_sorted_union():
    assert build_genes(["b", "a", "b", "C"]) == ("C", "a", "b")


@pytest.mark.parametrize(
    ("genes", "found"), [((), "none"), (("a", ""), "empty"), (("a", "b", "a"), "a more than once")]
)
def test_no_genes_empty_ids_and_repeats_are_refused(genes, found):
    with pytest.raises(DataContractError, match=found):
        Vocabulary(gene_ids=genes, id_offset=1, rows=9, special={}, path="list.txt")


def test_an_offset_of_0_would_make_a_gene_the_token_of_no_gene():
    with pytest.raises(DataContractError, match="id_offset: expected 1 or more"):
        stamp_vocabulary(["a"], id_offset=0, path="v")
