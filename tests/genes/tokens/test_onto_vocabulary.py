"""A slide's columns find their genes: by exact look-up as released, or by old names too, added up or the first kept."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from stainscript.genes.identifiers.names import builtin
from stainscript.genes.tokens.onto_vocabulary import match_vocabulary, to_vocabulary
from stainscript.genes.tokens.vocabulary import stamp_vocabulary

ATP5F1B, ERBB2 = "ENSG00000110955", "ENSG00000141736"


def vocabulary(*genes, symbols=None):
    return stamp_vocabulary(genes, id_offset=1, symbol_ids=symbols, path="v")


def csr(rows):
    return sparse.csr_matrix(np.array(rows, dtype=np.int32))


def test_genes_go_to_their_place_others_are_dropped_and_absent_ones_are_zero():
    counts, report = to_vocabulary(csr([[1, 2, 3], [4, 0, 6]]), ["c", "x", "a"], vocabulary("a", "b", "c"))
    assert counts.toarray().tolist() == [[3, 0, 1], [6, 0, 4]]
    assert counts.dtype == np.int32
    assert (report.mapped, report.unmapped, report.merged) == (("c", "a"), ("x",), {})
    assert report.position.tolist() == [2, -1, 0]


def test_columns_of_one_gene_are_added_up():
    counts, report = to_vocabulary(
        csr([[1, 2, 3], [0, 5, 0]]), ["G1", "G2", "b"], vocabulary("a", "b", symbols={"G1": "a", "G2": "a"})
    )
    assert counts.toarray().tolist() == [[3, 3], [5, 0]]
    assert report.merged == {"a": ("G1", "G2")}
    assert report.mapped == ("G1", "G2", "b")


def test_the_released_policy_keeps_the_first_of_them():
    known = vocabulary("a", "b", symbols={"G1": "a", "G2": "a"})
    counts, report = to_vocabulary(csr([[1, 2, 3]]), ["G1", "G2", "b"], known, merge="first")
    assert counts.toarray().tolist() == [[1, 3]]
    assert (report.mapped, report.unmapped) == (("G1", "b"), ())
    assert report.merged == {"a": ("G1", "G2")}


def test_the_released_policy_finds_a_suffixed_id_if_the_vocabulary_has_one():
    known = vocabulary("a", "a-1", symbols={"G1": "a", "G2": "a"})
    counts, _ = to_vocabulary(csr([[1, 2]]), ["G1", "G2"], known, merge="first")
    assert counts.toarray().tolist() == [[1, 2]]


def test_exact_look_up_knows_neither_versions_nor_old_symbols():
    report = match_vocabulary([f"{ERBB2}.17", "ATP5B"], vocabulary(ATP5F1B, ERBB2), merge="sum", names=None)
    assert report.mapped == ()


def test_names_find_versions_and_old_symbols_in_a_vocabulary_of_ensembl_ids():
    report = match_vocabulary(
        [f"{ERBB2}.17", "ATP5B", "NO-GENE"], vocabulary(ATP5F1B, ERBB2), merge="sum", names=builtin("human")
    )
    assert report.position.tolist() == [1, 0, -1]
    assert report.unmapped == ("NO-GENE",)


def test_names_find_old_symbols_in_a_vocabulary_of_current_ones_and_the_other_way_round():
    names = builtin("human")
    assert match_vocabulary(["ATP5B"], vocabulary("A", "ATP5F1B"), merge="sum", names=names).position.tolist() == [1]
    assert match_vocabulary(["ATP5F1B"], vocabulary("A", "ATP5B"), merge="sum", names=names).position.tolist() == [1]


def test_an_old_symbol_is_found_by_the_vocabularys_own_symbol_map():
    known = vocabulary("id-1", "id-2", symbols={"ATP5F1B": "id-2"})
    assert match_vocabulary(["ATP5B"], known, merge="sum", names=builtin("human")).position.tolist() == [1]


def test_an_old_and_a_new_name_of_one_gene_meet_and_are_added_up():
    counts, report = to_vocabulary(
        csr([[2, 3]]), ["ATP5B", "ATP5F1B"], vocabulary(ATP5F1B), merge="sum", names=builtin("human")
    )
    assert counts.toarray().tolist() == [[5]]
    assert report.merged == {ATP5F1B: ("ATP5B", "ATP5F1B")}


def test_a_gene_id_that_leads_nowhere_is_tried_by_its_symbol():
    report = match_vocabulary(
        ["ENSG00000999999"], vocabulary("A", "ERBB2"), merge="sum", names=builtin("human"), symbols=["ERBB2"]
    )
    assert report.position.tolist() == [1]


def test_stored_zeros_stay_stored_so_that_the_release_can_rank_them():
    counts = sparse.csr_matrix((np.array([2, 0, 5]), np.array([0, 1, 2]), np.array([0, 3])), shape=(1, 3))
    moved, _ = to_vocabulary(counts, ["c", "b", "a"], vocabulary("a", "b", "c"))
    assert moved.nnz == 3
    assert counts.nnz == 3


def test_a_slide_with_the_vocabularys_genes_is_handed_on_untouched():
    counts = csr([[1, 2]])
    assert match_vocabulary(["a", "b"], vocabulary("a", "b"), merge="sum", names=None).apply(counts) is counts


def test_the_released_mapping_of_18_mixed_names(shared_golden):
    """Golden 01c: symbols, Ensembl ids, an unknown name, two pairs of one gene, a mouse gene."""
    facts = json.loads((shared_golden / "stamp/01c_names.json").read_text())
    known = [name for name, there in zip(facts["mapped_by_upstream"], facts["in_vocab"], strict=True) if there]
    plain = [name.removesuffix("-1") for name in facts["mapped_by_upstream"]]
    symbols = {name: gene for name, gene in zip(facts["var_names"], plain, strict=True) if name != gene}
    report = match_vocabulary(
        facts["var_names"], vocabulary(*sorted(known), symbols=symbols), merge="first", names=None
    )
    assert (report.position >= 0).tolist() == facts["in_vocab"]
    assert {gene: len(columns) for gene, columns in report.merged.items()} == {
        "ENSG00000205777": 2,
        "ENSG00000107815": 2,
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=4),
    st.permutations(range(5)),
    st.sampled_from(["sum", "first"]),
)
def test_permuting_columns_with_their_names_changes_no_count(rows, order, merge):
    """Of the columns of one gene, the first stays the first; under ``sum`` any order will do."""
    names = np.array(["p", "q", "r", "s", "t"])
    known = vocabulary("B", "A", "C", symbols={"p": "A", "q": "A", "r": "B", "s": "C"})
    assume(merge == "sum" or order.index(0) < order.index(1))
    plain, _ = to_vocabulary(csr(rows), list(names), known, merge=merge)
    mixed, _ = to_vocabulary(csr(np.array(rows)[:, list(order)]), list(names[list(order)]), known, merge=merge)
    assert plain.toarray().tolist() == mixed.toarray().tolist()


@pytest.mark.parametrize("merge", ["sum", "first"])
def test_totals_are_those_of_the_columns_that_were_kept(merge):
    counts = csr([[7, 1, 2, 40]])
    moved, report = to_vocabulary(counts, ["x", "a", "b", "y"], vocabulary("b", "a"), merge=merge)
    assert moved.sum() == 3
    assert report.unmapped == ("x", "y")
