"""HEST-Bench's averages: pooled over a fold, plain over genes, folds and tasks."""

import json

import numpy as np
import pandas as pd
import pytest

from stainscript.errors import DataContractError
from stainscript.evaluation.hest_bench import (
    FOLD_COLUMNS,
    OVERALL_COLUMNS,
    TASK_COLUMNS,
    fold_scores,
    overall,
    pooled_genes,
    ranked_genes,
    task_scores,
)
from stainscript.evaluation.score import score_slide
from stainscript.evaluation.tidy import ScoredSlide, gene_rows
from stainscript.splits.hest_bench import AVERAGED
from stainscript.types import Panel

NAN = float("nan")


def rows_of(predicted, observed, *, fold=0, slide="A", experiment="e", seed=0, measured=None):
    """Rows of ``genes.parquet`` for one slide; predicted, observed: (S, G)."""
    predicted, observed = np.array(predicted, dtype=float), np.array(observed, dtype=float)
    names = tuple(f"g{n}" for n in range(observed.shape[1]))
    constant = (1.0,) * len(names)
    panel = Panel(name="p", gene_ids=names, symbols=names, mean=constant, variance=constant, training_slides=("T",))
    everything = np.arange(len(names))
    one = ScoredSlide(
        slide=slide,
        patient=slide,
        spot_id=np.arange(len(observed)).astype(str),
        xy_px=np.zeros((len(observed), 2)),
        predicted=predicted,
        observed=observed,
        score=score_slide(predicted, observed, subsets={"all": everything}, best=(), measured=measured),
    )
    head = {"experiment": experiment, "fold": fold, "seed": seed}
    return gene_rows([one], head=head, panel=panel, heg=everything, hvg=everything)


def stacked(*parts):
    return pd.concat(parts, ignore_index=True)


def record(name="e", dataset="SKCM", **options):
    return {"name": name, "dataset": dataset, "method": "hest_pca256", "encoder": "uni", "protocol": "hest"} | options


def column(*values):
    return np.array(values, dtype=float)[:, None]


# Within each slide prediction and truth run against each other, between slides together: per slide −1, pooled above 0.
SIMPSON = [
    rows_of(column(0, 1), column(1, 0), slide="A"),
    rows_of(column(10, 11), column(11, 10), slide="B"),
]


def test_spots_of_a_fold_are_pooled_over_its_slides_and_never_averaged_per_slide():
    """Predicted 0, 1, 10, 11 and truth 1, 0, 11, 10: deviations ∓5.5, ∓4.5; cross 99, squares 101."""
    assert [part["pcc"].iloc[0] for part in SIMPSON] == pytest.approx([-1.0, -1.0])
    assert fold_scores(stacked(*SIMPSON))["pearson"].tolist() == [pytest.approx(99 / 101)]


def test_folds_are_not_pooled_with_each_other():
    second = SIMPSON[1].assign(fold=1)
    assert fold_scores(stacked(SIMPSON[0], second))["pearson"].tolist() == pytest.approx([-1.0, -1.0])


def test_errors_and_r2_are_pooled_too():
    """Errors are 1 everywhere: mse 1; truth deviates by 5.5 and 4.5 twice each: Σ 101, r2 = 1 − 4 / 101."""
    scores = pooled_genes(stacked(*SIMPSON)).loc["g0"]
    assert scores["mse"] == 1.0
    assert scores["r2"] == pytest.approx(1 - 4 / 101)


def test_values_of_a_fold_equal_a_direct_computation_on_the_pooled_spots():
    rng = np.random.default_rng(0)
    truth = [rng.normal(loc=level, size=(spots, 7)) for level, spots in ((0, 9), (2, 14), (-1, 5))]
    predicted = [part + rng.normal(size=part.shape) for part in truth]
    made = [rows_of(p, t, slide=f"s{n}") for n, (p, t) in enumerate(zip(predicted, truth, strict=True))]
    p, t = np.concatenate(predicted), np.concatenate(truth)
    pearson = np.array([np.corrcoef(p[:, n], t[:, n])[0, 1] for n in range(7)])
    mse = np.square(p - t).mean(axis=0)
    row = fold_scores(stacked(*made)).iloc[0]
    assert row["pearson"] == pytest.approx(pearson.mean())
    assert row["pearson_sd"] == pytest.approx(pearson.std())
    quartiles = np.percentile(mse, [25, 50, 75])
    np.testing.assert_allclose(row[["mse_q1", "mse_q2", "mse_q3"]].astype(float), quartiles)
    r2 = np.percentile(1 - mse / t.var(axis=0), [25, 50, 75])
    np.testing.assert_allclose(row[["r2_q1", "r2_q2", "r2_q3"]].astype(float), r2)
    assert (row["n_slides"], row["n_spots"], row["n_genes"], row["n_defined"]) == (3, 28, 7, 7)


@pytest.mark.parametrize("variant", ["PCA", "None"])
def test_a_fold_of_the_released_code_is_reproduced_from_moments_of_two_slides(shared_golden, variant):
    folder = shared_golden / "histoprism" / "hest_bench"
    results = json.loads((folder / "probe_small.json").read_text())["results"][variant]
    predicted = np.load(folder / f"probe_small_{variant}.npz")["preds"]
    truth = np.load(folder / "probe_small_data.npz")["y_test"]
    parts = [rows_of(predicted[rows], truth[rows], slide=n) for n, rows in (("A", slice(20)), ("B", slice(20, None)))]
    row = fold_scores(stacked(*parts)).iloc[0]
    assert row["pearson"] == pytest.approx(results["pearson_mean"], abs=1e-6)
    assert row["pearson_sd"] == pytest.approx(results["pearson_std"], abs=1e-6)
    for ours, theirs in (("mse", "l2_error"), ("r2", "r2_score")):
        for n in (1, 2, 3):
            assert row[f"{ours}_q{n}"] == pytest.approx(results[f"{theirs}_q{n}"], abs=1e-5)
    each = pooled_genes(stacked(*parts))["pearson"]
    assert each.tolist() == pytest.approx([entry["pearson_corr"] for entry in results["pearson_corrs"]], abs=1e-6)


def test_one_constant_gene_makes_the_fold_and_the_task_undefined_but_not_the_other_column():
    """Gene 0 correlates fully in both folds; gene 1 is constant in fold 0 and anticorrelated in fold 1."""
    first = rows_of([[0, 1], [1, 2]], [[0, 5], [1, 5]], fold=0)
    second = rows_of([[0, 1], [1, 2]], [[0, 6], [1, 5]], fold=1)
    folds = fold_scores(stacked(first, second))
    np.testing.assert_allclose(folds["pearson"], [NAN, 0.0], atol=1e-12)
    assert folds["pearson_defined"].tolist() == pytest.approx([1.0, 0.0])
    assert folds["n_defined"].tolist() == [1, 2]
    task = task_scores(stacked(first, second), experiments=[record()]).iloc[0]
    assert np.isnan(task["pearson"])
    assert np.isnan(task["sd"])
    assert (task["pearson_defined"], task["sd_defined"], task["n_undefined"]) == pytest.approx((0.5, 0.5, 1))


def test_a_gene_that_no_test_slide_measures_is_undefined():
    made = rows_of([[0, 1], [1, 2]], [[0, 0], [1, 0]], measured=np.array([True, False]))
    scores = pooled_genes(made)
    np.testing.assert_allclose(scores["pearson"], [1.0, NAN], atol=1e-12)
    np.testing.assert_allclose(scores["mse"], [0.0, NAN], atol=1e-12)


def test_the_task_is_the_mean_of_folds_with_population_sd():
    """Folds of +1 (two slides) and −1 (one slide): mean 0, sd 1; over samples it would be √2, over slides 1/3."""
    up = rows_of(column(0, 1, 2), column(0, 1, 2), fold=0, slide="A")
    also_up = rows_of(column(3, 4), column(3, 4), fold=0, slide="B")
    down = rows_of(column(0, 1), column(1, 0), fold=1, slide="C")
    task = task_scores(stacked(up, also_up, down), experiments=[record()]).iloc[0]
    assert (task["pearson"], task["sd"]) == (pytest.approx(0.0), pytest.approx(1.0))
    assert (task["task"], task["n_folds"], task["n_folds_published"]) == ("SKCM", 2, 2)


def test_seeds_are_averaged_within_a_fold_and_an_undefined_one_is_not_hidden():
    up, down = column(0, 1), column(1, 0)
    both = stacked(rows_of(up, up, seed=0), rows_of(down, up, seed=1))
    assert task_scores(both, experiments=[record()])["pearson"].tolist() == [pytest.approx(0.0)]
    flat = stacked(rows_of(up, up, seed=0), rows_of(column(1, 1), up, seed=1))
    made = task_scores(flat, experiments=[record()]).iloc[0]
    assert np.isnan(made["pearson"])
    assert (made["pearson_defined"], made["n_seeds"], made["n_undefined"]) == pytest.approx((1.0, 2, 0.5))


def test_a_dataset_that_is_no_task_is_refused():
    with pytest.raises(DataContractError, match=r"datasets\.her2st: expected one of CCRCC"):
        task_scores(stacked(*SIMPSON), experiments=[record(dataset="her2st")])


def test_columns_are_the_agreed_ones():
    tasks = task_scores(stacked(*SIMPSON), experiments=[record()])
    assert tuple(fold_scores(stacked(*SIMPSON)).columns) == FOLD_COLUMNS
    assert tuple(tasks.columns) == TASK_COLUMNS
    assert tuple(overall(tasks).columns) == OVERALL_COLUMNS


def nine(values, *, encoder="uni", extra=()):
    """A table of tasks with made-up scores."""
    found = [*zip(AVERAGED, values, strict=False), *extra]
    return pd.DataFrame(
        [
            dict.fromkeys(TASK_COLUMNS, 0)
            | {"task": t, "method": "m", "encoder": encoder, "protocol": "p", "experiment": t}
            | {"pearson": value, "pearson_defined": value}
            for t, value in found
        ]
    )


def test_the_overall_score_is_the_mean_of_nine_tasks_without_hcc():
    made = overall(nine([0.1 * n for n in range(9)], extra=[("HCC", 100.0)])).iloc[0]
    assert made["pearson"] == pytest.approx(0.4)
    assert made["n_tasks"] == 9


def test_a_missing_task_leaves_the_overall_score_undefined():
    made = overall(nine([0.5] * 8)).iloc[0]
    assert np.isnan(made["pearson"])
    assert made["n_tasks"] == 8


def test_encoders_are_averaged_apart():
    made = overall(stacked(nine([0.2] * 9, encoder="uni"), nine([0.4] * 9, encoder="conch")))
    assert made.set_index("encoder")["pearson"].to_dict() == pytest.approx({"uni": 0.2, "conch": 0.4})


def test_genes_are_ranked_by_their_mean_over_folds_undefined_last():
    """g1: +1 and +1; g0: +1 and −1; g2: constant in fold 1."""
    first = rows_of([[0, 0, 0], [1, 1, 1]], [[0, 0, 0], [1, 1, 1]], fold=0)
    second = rows_of([[0, 0, 0], [1, 1, 1]], [[1, 0, 3], [0, 1, 3]], fold=1)
    ranked = ranked_genes(stacked(first, second))
    assert ranked.index.tolist() == ["g1", "g0", "g2"]
    np.testing.assert_allclose(ranked["mean"], [1.0, 0.0, NAN], atol=1e-12)
