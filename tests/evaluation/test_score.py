import numpy as np
import pytest

from stainscript.evaluation.score import score_slide

OBSERVED = np.array([[0.0, 0.0, 4.0, 1.0], [1.0, 1.0, 4.0, 2.0], [2.0, 5.0, 4.0, 3.0]])
PREDICTED = np.array([[0.0, 5.0, 1.0, 7.0], [2.0, 4.0, 2.0, 7.0], [4.0, 0.0, 3.0, 7.0]])  # +1, −1, undefined, undefined
SUBSETS = {"all": np.arange(4), "heg2": np.array([0, 2]), "hvg2": np.array([2, 3])}


def rows():
    made = score_slide(PREDICTED, OBSERVED, subsets=SUBSETS, best=(1, 50)).rows
    return {(row.metric, row.subset): row for row in made}


def test_correlation_is_the_mean_over_defined_genes():
    row = rows()["pcc", "all"]
    assert row.value == pytest.approx(0, abs=1e-9)
    assert (row.n_defined, row.n_genes, row.n_spots, row.post_hoc) == (2, 4, 3, False)
    assert rows()["pcc", "heg2"].value == pytest.approx(1)


def test_a_subset_without_any_defined_gene_is_undefined():
    row = rows()["pcc", "hvg2"]
    assert np.isnan(row.value)
    assert (row.n_defined, row.n_genes) == (0, 2)


def test_best_genes_are_marked_post_hoc():
    assert rows()["pcc", "best1"].value == pytest.approx(1)
    assert rows()["pcc", "best1"].post_hoc
    assert rows()["pcc", "best50"].n_defined == 2


def test_errors_are_over_spots_and_genes():
    assert rows()["mse", "all"].value == pytest.approx(np.square(PREDICTED - OBSERVED).mean())
    assert rows()["mae", "heg2"].value == pytest.approx(np.abs(PREDICTED - OBSERVED)[:, [0, 2]].mean())
    assert rows()["mse", "all"].n_defined == 4


def test_variance_difference_leaves_a_constant_truth_out():
    row = rows()["rvd", "heg2"]
    assert row.value == pytest.approx(9)
    assert row.n_defined == 1


def test_every_metric_has_every_subset():
    assert len(rows()) == 4 * 3 + 2


def test_a_gene_that_the_slide_does_not_measure_is_undefined_everywhere():
    predicted = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]])
    observed = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    everyone = {"all": np.arange(2)}
    scored = score_slide(predicted, observed, subsets=everyone, best=(), measured=np.array([True, False]))
    assert scored.pcc[0] == pytest.approx(1)
    assert np.isnan([scored.pcc[1], scored.mse[1], scored.mae[1]]).all()
    assert scored.moments.n.tolist() == [3, 0]
    assert [row.n_defined for row in scored.rows if row.metric in ("pcc", "mse")] == [1, 1]
    assert next(row.value for row in scored.rows if row.metric == "mse") == 0
