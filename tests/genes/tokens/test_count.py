"""GenAR's tokens: the released dataset class on its synthetic slides, and every count that is none refused."""

import numpy as np
import pytest
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.moments import pooled, sums_of
from stainscript.genes.tokens.count import (
    continuous_targets,
    count_statistics,
    count_tokens,
    panel_columns,
    panel_counts,
)

FILE = "expression/toy/S1.h5ad"


def counts_of(values, columns=None):
    values = np.asarray(values)
    columns = np.arange(values.shape[1]) if columns is None else np.asarray(columns)
    return panel_counts(sparse.csr_matrix(values), columns, path=FILE)


def test_a_count_is_its_own_token_up_to_the_cap():
    raw = counts_of([[0, 1, 1999, 2000, 2001, 2500]])
    assert count_tokens(raw, cap=2000).tolist() == [[0, 1, 1999, 2000, 2000, 2000]]
    assert count_tokens(raw, cap=500).tolist() == [[0, 1, 500, 500, 500, 500]]
    assert raw.tolist() == [[0, 1, 1999, 2000, 2001, 2500]]


def test_positions_are_the_panels_genes_in_the_panels_order():
    columns = panel_columns(["a", "b", "c"], ["c", "a"], path=FILE)
    assert counts_of([[10, 11, 12]], columns).tolist() == [[12, 10]]


def test_a_gene_that_the_slide_does_not_measure_is_an_error():
    with pytest.raises(DataContractError) as caught:
        panel_columns(["a", "b"], ["b", "x", "y"], path=FILE)
    error = caught.value
    assert (error.path, error.field, error.expected) == (FILE, "gene_id", "all 3 genes of the panel")
    assert error.found.startswith("no x (2 genes of the panel")


def test_values_a_hair_from_whole_numbers_are_whole_numbers():
    assert counts_of([[3.00009, 2.99995, -0.9e-6, 0.00009]]).tolist() == [[3, 3, 0, 0]]


@pytest.mark.parametrize("value", [np.nan, -1.1e-6, -3.0, 0.5, 3.00011, 2.9998, np.inf, -np.inf])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(DataContractError) as caught:
        counts_of([[1.0, 2.0], [value, 4.0]])
    assert (caught.value.path, caught.value.field) == (FILE, "counts")
    assert caught.value.found == f"{value} at spot 1, gene 0 of the panel"


def test_a_negative_integer_is_refused():
    with pytest.raises(DataContractError, match="found -2 at spot 0, gene 1"):
        counts_of([[1, -2]])


def test_what_is_no_count_outside_the_panel_is_nobodys_business():
    assert counts_of([[1.0, np.nan, 0.5]], columns=[0]).tolist() == [[1]]


def test_continuous_targets_divide_by_the_panels_library():
    """1 of 4 counts: ln(1 + 2500)."""
    np.testing.assert_allclose(
        continuous_targets(np.array([[1, 3], [0, 0]])), [[np.log(2501), np.log(7501)], [0, 0]], rtol=1e-6
    )


def test_dispersion_by_hand():
    """0, 4, 8: mean 4, population variance 32/3, θ = 16 / (20/3) = 2.4. A constant has no excess; an absent gene, 0."""
    found = count_statistics(sums_of(sparse.csr_matrix([[0, 5, 0], [4, 5, 0], [8, 5, 0]])))
    np.testing.assert_allclose(found.mean, [4, 5, 0])
    np.testing.assert_allclose(found.dispersion, [2.4, 1e6, 1e-3])


@pytest.fixture(scope="module")
def golden(shared_golden):
    with np.load(shared_golden / "genar/dataset/synthetic_prad.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def slides(golden):
    columns = panel_columns(golden["all_genes"].tolist(), golden["panel"].tolist(), path=FILE)
    return {name: counts_of(golden[f"{name}_counts_allgenes"], columns) for name in ("S1", "S2", "S3")}


@pytest.mark.parametrize(("names", "part"), [(("S2", "S3"), "train"), (("S1",), "test")])
def test_tokens_and_uncapped_counts_are_the_released_ones(golden, slides, names, part):
    assert golden[f"{part}_slide"].tolist() == [name for name in names for _ in slides[name]]
    raw = np.concatenate([slides[name] for name in names])
    np.testing.assert_array_equal(raw, golden[f"{part}_raw"])
    np.testing.assert_array_equal(count_tokens(raw, cap=2000), golden[f"{part}_tokens"])
    if part == "test":
        assert raw.max() > 2000 == golden["test_tokens"].max()


def test_continuous_targets_are_the_released_ones(golden, slides):
    """To one unit of float32: the release divides and multiplies in float32, the project's normaliser in float64."""
    found = continuous_targets(slides["S1"])
    np.testing.assert_allclose(found, golden["test_continuous_targets"], rtol=2**-23)


def test_statistics_of_the_training_slides_are_the_released_ones(golden, slides):
    found = count_statistics(pooled([sums_of(sparse.csr_matrix(slides[name])) for name in ("S2", "S3")]))
    np.testing.assert_allclose(found.mean, golden["train_stats_gene_means"], rtol=1e-14)
    np.testing.assert_allclose(found.dispersion, golden["train_stats_dispersion"], rtol=1e-12)
