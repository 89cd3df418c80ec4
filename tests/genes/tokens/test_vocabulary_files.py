"""Vocabularies, symbol maps and means are read as they were released, and a pickle never runs anything."""

import os
import pickle

import anndata
import numpy as np
import pandas as pd
import pytest

from stainscript.errors import DataContractError
from stainscript.genes.tokens.vocabulary import stamp_vocabulary
from stainscript.genes.tokens.vocabulary_files import (
    read_means,
    read_symbol_ids,
    read_vocabulary_genes,
    write_symbol_ids,
)

GENES = ("ENSG00000000005", "ENSG00000000003", "ENSMUSG00000000001")


def write_h5ad(path):
    anndata.AnnData(np.ones((1, 3), dtype=np.float32), var=pd.DataFrame(index=list(GENES))).write_h5ad(path)


def write_csv(path):
    path.write_text("HGNC_gene,biotype\n" + "".join(f'{gene},"RNA, long"\n' for gene in GENES))


def write_tsv(path):
    path.write_text("gene_id\tsymbol\n" + "".join(f"{gene}\tS{n}\n" for n, gene in enumerate(GENES)))


def write_txt(path):
    path.write_text("# a comment\n" + "\n".join(GENES) + "\n")


@pytest.mark.parametrize(
    ("suffix", "write"), [(".h5ad", write_h5ad), (".csv", write_csv), (".tsv", write_tsv), (".txt", write_txt)]
)
def test_the_order_of_the_file_is_kept(tmp_path, suffix, write):
    write(tmp_path / f"v{suffix}")
    assert read_vocabulary_genes(tmp_path / f"v{suffix}") == GENES


def test_genemap_csv_numbers_genes_in_another_way_and_is_refused(tmp_path):
    (tmp_path / "genemap.csv").write_text(",idx\nA1BG,1\n")
    with pytest.raises(DataContractError, match=r"columns: expected HGNC_gene; found , idx.*genemap\.csv numbers"):
        read_vocabulary_genes(tmp_path / "genemap.csv")


@pytest.mark.parametrize(("name", "found"), [("v.npz", ".npz"), ("v", "no suffix")])
def test_another_kind_of_file_is_refused(tmp_path, name, found):
    (tmp_path / name).write_text("a\n")
    with pytest.raises(DataContractError, match=f"found {found}"):
        read_vocabulary_genes(tmp_path / name)


def test_a_missing_and_a_damaged_file_are_named(tmp_path):
    with pytest.raises(DataContractError, match=r"absent\.h5ad: vocabulary: expected a file; found no such file"):
        read_vocabulary_genes(tmp_path / "absent.h5ad")
    (tmp_path / "text.h5ad").write_text("not HDF5")
    with pytest.raises(DataContractError, match="HDF5 cannot open"):
        read_vocabulary_genes(tmp_path / "text.h5ad")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_dict_of_text_is_read_at_every_protocol_and_written_as_tsv(tmp_path, protocol):
    ids = {"GAGE2A": "ENSG1", "GAGE2B": "ENSG1", "MT-CO1": "ENSG2", "É": "ENSG3"}
    (tmp_path / "ids.pkl").write_bytes(pickle.dumps(ids, protocol=protocol))
    found = read_symbol_ids(tmp_path / "ids.pkl")
    assert found == ids
    write_symbol_ids(tmp_path / "ids.tsv", found)
    assert read_symbol_ids(tmp_path / "ids.tsv") == ids


class Harmful:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_call_something_is_refused_by_name_and_runs_nothing(tmp_path, protocol):
    content = pickle.dumps({"TP53": Harmful(tmp_path / "made")}, protocol=protocol)
    (tmp_path / "ids.pkl").write_bytes(content)
    with pytest.raises(DataContractError, match=r"the opcode (STACK_)?GLOBAL, which was not run"):
        read_symbol_ids(tmp_path / "ids.pkl")
    assert not (tmp_path / "made").exists()
    pickle.loads(content)  # the file would have done it
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("value", [["TP53"], {"TP53": 7}, {"TP53": None}, {"TP53": ("a", "b")}, {"a": b"bytes"}])
def test_a_pickle_of_anything_but_text_is_refused(tmp_path, value):
    (tmp_path / "ids.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(DataContractError, match="a pickled dict of text to text"):
        read_symbol_ids(tmp_path / "ids.pkl")


@pytest.mark.parametrize("value", ["only text", {"a": {"b": "c"}}])
def test_allowed_opcodes_that_make_something_else_are_refused_too(tmp_path, value):
    (tmp_path / "ids.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(DataContractError, match="found something else"):
        read_symbol_ids(tmp_path / "ids.pkl")


def test_a_cut_and_a_wrong_pickle_are_refused(tmp_path):
    content = pickle.dumps({"TP53": "ENSG1"})
    for broken in (content[:-4], b"", b"plain text", b"}s."):
        (tmp_path / "ids.pkl").write_bytes(broken)
        with pytest.raises(DataContractError, match="pickle: expected a pickled dict of text to text"):
            read_symbol_ids(tmp_path / "ids.pkl")


def test_a_symbol_with_two_ids_is_refused_with_its_line(tmp_path):
    (tmp_path / "ids.tsv").write_text("symbol\tgene_id\nA\tENSG1\nB\tENSG2\nA\tENSG3\n")
    with pytest.raises(DataContractError, match="line 4: expected one gene id a symbol, ENSG1; found A again"):
        read_symbol_ids(tmp_path / "ids.tsv")


def test_means_keep_their_nan(tmp_path):
    np.save(tmp_path / "m.npy", np.array([1.5, np.nan, 590.0]))
    np.testing.assert_array_equal(read_means(tmp_path / "m.npy", genes=3, vocabulary="v"), [1.5, np.nan, 590.0])


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.ones(2), r"float64 \(2,\)"),
        (np.ones((3, 1)), r"float64 \(3, 1\)"),
        (np.ones(3, dtype=np.int64), "int64"),
        (np.array([1.0, 0.0, 2.0]), "0.0 at position 1"),
        (np.array([1.0, 2.0, -3.0]), "-3.0 at position 2"),
        (np.array([np.inf, 2.0, 3.0]), "inf at position 0"),
    ],
)
def test_means_of_another_length_type_or_range_are_refused(tmp_path, array, found):
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(DataContractError, match=f"means: expected .*found {found}.*"):
        read_means(tmp_path / "m.npy", genes=3, vocabulary="model.h5ad")


def test_means_that_are_pickled_objects_are_refused(tmp_path):
    np.save(tmp_path / "m.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataContractError, match="an array of numbers"):
        read_means(tmp_path / "m.npy", genes=1, vocabulary="v")


def test_a_list_with_a_repeat_would_shift_every_number_behind_it_and_is_refused(tmp_path):
    (tmp_path / "v.csv").write_text("HGNC_gene\nA\nB\nA\n")
    with pytest.raises(DataContractError, match="A more than once"):
        stamp_vocabulary(read_vocabulary_genes(tmp_path / "v.csv"), id_offset=1, path=tmp_path / "v.csv")
