import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.normalise import measures, smooth_grid3x3, sparse_to_space, target_matrix, to_space
from stainscript.types import Space, Target

COUNTS = np.array([[0, 1, 3], [0, 0, 0], [2, 0, 6]])


def slide(counts, *, grid=None, genes="ABC"):
    counts = np.asarray(counts)
    names = pd.Index(list(genes[: counts.shape[1]]))
    return anndata.AnnData(
        sparse.csr_matrix(counts.astype(np.int32)),
        var=pd.DataFrame({"symbol": names}, index=names),
        obs=pd.DataFrame(index=[f"s{n}" for n in range(len(counts))]),
        obsm={"grid": np.array(grid if grid is not None else [[n, 10 * n] for n in range(len(counts))])},
        uns={"dataset": "toy", "slide": "T1", "patient": "P"},
    )


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize(
    ("space", "three"),
    [
        (Space.COUNTS, 3.0),
        (Space.LOG1P, np.log(4)),
        (Space.LOG2P1, 2.0),
        (Space.LOG1P_CP10K, np.log(1 + 1e4 * 3 / 4)),
        (Space.LOG10P1_CP10K, np.log10(1 + 1e4 * 3 / 4)),
    ],
)
def test_each_space_maps_a_count_of_three_in_a_library_of_four_as_defined(space, three, form):
    values = to_space(form(COUNTS), space=space, library_size=COUNTS.sum(axis=1))
    assert values.dtype == np.float32
    assert values[0, 2] == pytest.approx(three, rel=1e-6)
    assert values[0, 0] == 0.0


def test_a_spot_without_counts_stays_zero():
    assert not to_space(COUNTS, space=Space.LOG1P_CP10K, library_size=COUNTS.sum(axis=1))[1].any()


def test_the_input_is_left_as_it_was():
    given_counts = sparse.csr_matrix(COUNTS.astype(np.float64))
    sparse_to_space(given_counts, space=Space.LOG1P)
    np.testing.assert_array_equal(given_counts.toarray(), COUNTS)


def test_a_space_by_library_needs_the_library():
    with pytest.raises(ValueError, match="library_size"):
        to_space(COUNTS, space=Space.LOG1P_CP10K)


def test_library_over_all_genes_and_over_the_panel_differ():
    adata = slide([[1, 1, 8]])
    over_all = target_matrix(adata, gene_ids=["A", "B"], target=Target(space=Space.LOG1P_CP10K))
    over_panel = target_matrix(adata, gene_ids=["A", "B"], target=Target(space=Space.LOG1P_CP10K, library="panel"))
    np.testing.assert_allclose(over_all, np.log1p([[1000, 1000]]), rtol=1e-6)
    np.testing.assert_allclose(over_panel, np.log1p([[5000, 5000]]), rtol=1e-6)


def test_genes_come_in_the_order_asked_for():
    values = target_matrix(slide([[5, 6, 7]]), gene_ids=["C", "A"], target=Target(space=Space.COUNTS))
    np.testing.assert_array_equal(values, [[7, 5]])


def test_a_gene_the_slide_does_not_measure_is_named():
    with pytest.raises(DataContractError, match=r"expression/toy/T1.h5ad: gene_id: .* no XYZ \(1 genes"):
        target_matrix(slide([[5, 6, 7]]), gene_ids=["A", "XYZ"], target=Target(space=Space.COUNTS))


def test_an_unmeasured_gene_can_be_a_column_of_zeros_to_mask():
    adata = slide([[5, 6, 7]])
    target = Target(space=Space.COUNTS)
    values = target_matrix(adata, gene_ids=["C", "XYZ", "A"], target=target, unmeasured="zero")
    np.testing.assert_array_equal(values, [[7, 0, 5]])
    assert measures(adata, ["C", "XYZ", "A"]).tolist() == [True, False, True]


def test_smoothing_averages_occupied_cells_only():
    """Spots at 1x1, 1x2 and 3x3: the first two are neighbours, the third has none."""
    values = smooth_grid3x3(np.array([[0.0], [2.0], [8.0]]), grid=np.array([[1, 1], [1, 2], [3, 3]]))
    np.testing.assert_array_equal(values.ravel(), [1, 1, 8])


def test_smoothing_reaches_diagonals_and_does_not_wrap_from_row_to_row():
    grid = np.array([[0, 0], [1, 1], [0, 5], [1, 0], [2, 5]])
    values = smooth_grid3x3(np.array([[1.0], [2.0], [10.0], [3.0], [20.0]]), grid=grid)
    np.testing.assert_array_equal(values.ravel(), [2, 2, 10, 2, 20])


def test_smoothing_comes_after_the_logarithm():
    adata = slide([[0], [3]], grid=[[0, 0], [0, 1]])
    values = target_matrix(adata, gene_ids=["A"], target=Target(space=Space.LOG2P1, smooth="grid3x3"))
    np.testing.assert_allclose(values.ravel(), [1, 1])  # (log2 1 + log2 4) / 2, not log2(1 + 1.5)


def test_two_spots_in_one_cell_cannot_be_smoothed():
    with pytest.raises(ValueError, match="share an array cell"):
        smooth_grid3x3(np.ones((2, 1)), grid=np.array([[1, 1], [1, 1]]))


def test_two_spots_in_one_cell_are_named():
    adata = slide([[1], [2], [3]], grid=[[0, 0], [4, 7], [4, 7]])
    with pytest.raises(DataContractError, match=r"T1.h5ad: grid: .* 2 spots at \(row, col\) \(4, 7\), the first s1"):
        target_matrix(adata, gene_ids=["A"], target=Target(space=Space.COUNTS, smooth="grid3x3"))
    target_matrix(adata, gene_ids=["A"], target=Target(space=Space.COUNTS))


@settings(max_examples=30, deadline=None)
@given(
    cells=st.sets(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=40),
    constant=st.floats(-10, 10, allow_nan=False),
)
def test_smoothing_preserves_constants(cells, constant):
    values = smooth_grid3x3(np.full((len(cells), 2), constant), grid=np.array(sorted(cells)))
    np.testing.assert_allclose(values, constant, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(cells=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25))
def test_smoothing_equals_the_definition_spot_by_spot(cells):
    grid = np.array(sorted(cells))
    values = np.arange(len(grid), dtype=np.float64)[:, None] ** 2
    near = np.abs(grid[:, None] - grid[None]).max(axis=2) <= 1
    expected = [values[row].mean() for row in near]
    np.testing.assert_allclose(smooth_grid3x3(values, grid=grid).ravel(), expected)


@settings(max_examples=30, deadline=None)
@given(factor=st.integers(1, 50))
def test_log_normalised_values_do_not_depend_on_depth(factor):
    one = to_space(COUNTS, space=Space.LOG1P_CP10K, library_size=COUNTS.sum(axis=1))
    deeper = to_space(COUNTS * factor, space=Space.LOG1P_CP10K, library_size=COUNTS.sum(axis=1) * factor)
    np.testing.assert_allclose(one, deeper, rtol=1e-6)
