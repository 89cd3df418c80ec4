"""Rows that a protocol of counts adds, and their way into the leaderboard."""

import numpy as np
import pytest

from stainscript.evaluation.aggregate import COUNT_METRICS, leaderboard
from stainscript.evaluation.counts import count_diagnostics, standard_score
from stainscript.evaluation.score import score_slide
from stainscript.evaluation.tidy import ScoredSlide, gene_rows, slide_rows
from stainscript.types import Panel, Space

GENES, SPOTS = 6, 25
SUBSETS = {"all": np.arange(GENES), "heg2": np.array([0, 3]), "hvg2": np.array([4, 5])}
RNG = np.random.default_rng(0)
OBSERVED = RNG.poisson([1, 2, 5, 20, 80, 3], size=(SPOTS, GENES)).astype(np.float32)
PREDICTED = np.maximum(OBSERVED + RNG.integers(-2, 3, size=OBSERVED.shape), 0).astype(np.float32)
PREDICTED[:, 5] = 7  # undefined
THETA = np.full(GENES, 2.0)


def scored(space, **changes):
    given = {"subsets": SUBSETS, "best": (2, 50), "space": space, **changes}
    return score_slide(PREDICTED, OBSERVED, **given)


def rows(space, **changes):
    return {(row.metric, row.subset): row for row in scored(space, **changes).rows}


@pytest.mark.parametrize("space", [None, Space.LOG1P, Space.LOG1P_CP10K, Space.LOG10P1_CP10K])
def test_other_spaces_have_no_further_rows(space):
    assert {metric for metric, _ in rows(space)} == {"pcc", "mse", "mae", "rvd"}


@pytest.mark.parametrize("space", [Space.LOG2P1, Space.COUNTS])
def test_further_rows_come_after_the_usual_ones_and_leave_them_alone(space):
    usual = scored(None).rows
    assert scored(space).rows[: len(usual)] == usual


def test_counts_have_the_columns_of_genars_tables():
    found, expected = rows(Space.COUNTS), standard_score(PREDICTED, OBSERVED, cap=2000, sizes=(2, 50))
    for size in (2, 50):
        assert found["pcc_log2", f"best{size}"].value == pytest.approx(expected.pcc_top[size])
        assert found["pcc_log2", f"best{size}"].post_hoc
    assert found["pcc_log2", "best50"].n_defined == expected.n_defined == 5
    for name in ("mse", "mae", "rvd"):
        assert found[f"{name}_log2", "all"].value == pytest.approx(getattr(expected, name))
    heg = standard_score(PREDICTED[:, [0, 3]], OBSERVED[:, [0, 3]], cap=2000)
    assert found["mse_log2", "heg2"].value == pytest.approx(heg.mse)


def test_counts_have_genars_diagnostics():
    found, expected = rows(Space.COUNTS, theta=THETA), count_diagnostics(PREDICTED, OBSERVED, theta=THETA)
    assert found["spearman", "all"].value == pytest.approx(expected.spearman)
    assert found["spearman", "all"].n_defined == expected.n_spearman == 5
    assert found["nb_nll", "all"].value == pytest.approx(expected.nb_nll)
    assert found["library_pearson", "all"].value == pytest.approx(expected.library_pearson)
    assert found["library_spearman", "all"].value == pytest.approx(expected.library_spearman)
    for name in ("precision", "recall", "f1"):
        assert found[f"zero_{name}", "all"].value == pytest.approx(getattr(expected.zeros, name))
    assert ("nb_nll", "all") not in rows(Space.COUNTS)


def test_an_undefined_correlation_counts_as_zero_where_the_name_says_so():
    """Five genes are defined; the mean of the best 50 is over five, or over six with a zero."""
    found = rows(Space.LOG2P1)
    assert found["pcc_zero", "best50"].value == pytest.approx(found["pcc", "best50"].value * 5 / 6)
    assert (found["pcc_zero", "best50"].n_defined, found["pcc", "best50"].n_defined) == (6, 5)
    assert found["pcc_zero", "best2"].value == found["pcc", "best2"].value


def test_rank_correlation_is_the_same_in_both_spaces():
    logs = score_slide(np.log2(PREDICTED + 1), np.log2(OBSERVED + 1), subsets=SUBSETS, best=(), space=Space.LOG2P1).rows
    found = next(row.value for row in logs if (row.metric, row.subset) == ("spearman", "hvg2"))
    assert found == pytest.approx(rows(Space.COUNTS)["spearman", "hvg2"].value)


def test_a_gene_that_the_slide_does_not_measure_enters_no_row():
    measured = np.array([True] * 3 + [False] + [True] * 2)
    found = rows(Space.COUNTS, measured=measured, theta=THETA)
    kept = np.flatnonzero(measured)
    alone = score_slide(
        PREDICTED[:, kept],
        OBSERVED[:, kept],
        subsets={"all": np.arange(5)},
        best=(2, 50),
        space=Space.COUNTS,
        theta=THETA[kept],
    )
    for row in alone.rows:
        assert found[row.metric, row.subset].value == pytest.approx(row.value), row
        assert found[row.metric, row.subset].n_defined == row.n_defined
    assert found["spearman", "heg2"].n_defined == 1


def test_a_negative_prediction_is_a_count_of_zero_to_the_logarithm():
    below = np.where(PREDICTED == 0, np.float32(-3), PREDICTED)
    made = score_slide(below, OBSERVED, subsets=SUBSETS, best=(), space=Space.COUNTS).rows
    value = next(row.value for row in made if (row.metric, row.subset) == ("mse_log2", "all"))
    assert value == pytest.approx(rows(Space.COUNTS)["mse_log2", "all"].value)


def test_the_leaderboard_averages_further_rows_like_the_others():
    names = tuple(f"g{n}" for n in range(GENES))
    panel = Panel(name="p", gene_ids=names, symbols=names, mean=(1.0,) * 6, variance=(1.0,) * 6, training_slides=("T",))
    one = ScoredSlide(
        slide="A1",
        patient="A",
        spot_id=np.arange(SPOTS).astype(str),
        xy_px=np.zeros((SPOTS, 2)),
        predicted=PREDICTED,
        observed=OBSERVED,
        score=scored(Space.COUNTS, theta=THETA),
    )
    head = {"experiment": "e", "fold": 0, "seed": 0}
    made = leaderboard(
        slide_rows([one], head={**head, "dataset": "toy", "space": "counts"}),
        gene_rows([one], head=head, panel=panel, heg=SUBSETS["heg2"], hvg=SUBSETS["hvg2"]),
        experiments=[{"name": "e", "dataset": "toy", "method": "genar", "encoder": "m", "protocol": "p"}],
        resamples=0,
    ).set_index(["metric", "subset"])
    assert set(COUNT_METRICS) <= set(made.index.get_level_values("metric"))
    for (metric, subset), row in rows(Space.COUNTS, theta=THETA).items():
        if (metric, subset) in made.index:
            assert made.loc[(metric, subset), "mean"] == pytest.approx(row.value, nan_ok=True), (metric, subset)
    assert ("mse_log2", "heg2") not in made.index  # over HEG and HVG errors stay with the slides
    assert ("zero_f1", "all") in made.index
