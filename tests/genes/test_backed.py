import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.backed import blocks, read_block, read_head

COUNTS = np.array([[1, 0, 2], [0, 0, 0], [3, 4, 0], [0, 5, 6]], dtype=np.int32)


def slide(counts, **uns):
    genes = [f"ENSG{number}" for number in range(counts.shape[1])]
    return anndata.AnnData(
        counts,
        obs=pd.DataFrame(index=[f"spot{number}" for number in range(counts.shape[0])]),
        var=pd.DataFrame({"symbol": [f"G{number}" for number in range(len(genes))]}, index=genes),
        uns={"dataset": "toy", "slide": "A1", **uns},
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("backed") / "A1.h5ad"
    slide(sparse.csr_matrix(COUNTS)).write_h5ad(path)
    return path


def test_the_head_names_slide_spots_and_genes(path):
    head = read_head(path)
    assert (head.dataset, head.slide, head.shape) == ("toy", "A1", (4, 3))
    assert head.gene_ids == ("ENSG0", "ENSG1", "ENSG2")
    assert head.symbols == ("G0", "G1", "G2")
    assert head.spot_id.tolist() == ["spot0", "spot1", "spot2", "spot3"]


@settings(max_examples=20, deadline=None)
@given(spots=st.integers(1, 6))
def test_blocks_together_are_the_slide(path, spots):
    read = list(blocks(path, spots=spots))
    np.testing.assert_array_equal(np.vstack([counts.toarray() for _, counts in read]), COUNTS)
    assert [rows.start for rows, _ in read] == list(range(0, 4, spots))
    assert all(counts.shape[0] == rows.stop - rows.start <= spots for rows, counts in read)


def test_some_spots_are_read_without_the_rest(path):
    np.testing.assert_array_equal(read_block(path, slice(1, 3)).toarray(), COUNTS[1:3])


def test_a_slide_in_memory_is_read_as_one_on_disk(path):
    adata = slide(sparse.csr_matrix(COUNTS.astype(float)))
    assert read_head(adata).gene_ids == read_head(path).gene_ids
    np.testing.assert_array_equal(read_block(adata, slice(2, 4)).toarray(), COUNTS[2:])
    assert read_block(adata, slice(2, 4)).dtype.kind == "i"
    assert [rows for rows, _ in blocks(adata, spots=3)] == [slice(0, 3), slice(3, 4)]


def test_what_is_read_from_memory_may_be_changed(path):
    adata = slide(sparse.csr_matrix(COUNTS))
    read_block(adata, slice(0, 4)).data[:] = 9
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)


def test_genes_of_a_spot_come_in_ascending_order(tmp_path):
    unsorted = sparse.csr_matrix((np.array([2, 1], dtype=np.int32), [2, 0], [0, 2]), shape=(1, 3))
    slide(unsorted).write_h5ad(tmp_path / "a.h5ad")
    assert read_block(tmp_path / "a.h5ad", slice(0, 1)).indices.tolist() == [0, 2]


def test_a_count_of_0_that_is_stored_stays(tmp_path):
    stored = sparse.csr_matrix((np.array([0, 1], dtype=np.int32), [0, 2], [0, 2]), shape=(1, 3))
    slide(stored).write_h5ad(tmp_path / "a.h5ad")
    assert read_block(tmp_path / "a.h5ad", slice(0, 1)).data.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (COUNTS, "X: expected csr_matrix, which is read by rows; found array"),
        (sparse.csc_matrix(COUNTS), "X: expected csr_matrix, which is read by rows; found csc_matrix"),
        (sparse.csr_matrix(COUNTS * 0.5), "X: expected integer counts; found values of type float64"),
        (sparse.csr_matrix(-COUNTS), "X: expected counts from 0 to 2147483647; found -6 … -1"),
        (sparse.csr_matrix(COUNTS.astype(np.int64) << 30), "found 1073741824 … 6442450944"),
    ],
)
def test_counts_that_are_none_are_refused(counts, message, tmp_path):
    slide(counts).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(DataContractError) as caught:
        read_block(tmp_path / "a.h5ad", slice(0, 4))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "a.h5ad"))


def test_fractions_in_memory_are_refused():
    with pytest.raises(DataContractError, match=r"expression/toy/A1.h5ad: X: expected integer counts; found fractions"):
        read_block(slide(sparse.csr_matrix(COUNTS / 2)), slice(0, 4))


def test_a_missing_file_and_another_kind_of_file_are_named(tmp_path):
    with pytest.raises(DataContractError, match=r"b.h5ad: expression: expected an .h5ad file; found no such file"):
        read_head(tmp_path / "b.h5ad")
    (tmp_path / "text.h5ad").write_text("counts")
    with pytest.raises(DataContractError, match="found a file that HDF5 cannot open"):
        read_head(tmp_path / "text.h5ad")


def test_repeated_gene_ids_and_missing_names_are_refused(tmp_path):
    twice, nameless, plain = (slide(sparse.csr_matrix(COUNTS)) for _ in range(3))
    twice.var_names = ["a", "a", "b"]
    del nameless.uns["slide"], plain.var["symbol"]
    for adata, message in (
        (twice, "var_names: expected each gene id once; found repeats"),
        (nameless, "uns['slide']: expected a value; found none"),
        (plain, "var['symbol']: expected a value; found none"),
    ):
        adata.write_h5ad(tmp_path / "a.h5ad")
        with pytest.raises(DataContractError) as caught:
            read_head(tmp_path / "a.h5ad")
        assert f"a.h5ad: {message}" in str(caught.value)
