import numpy as np
import pytest

from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.evaluation.score import score_slide
from stainscript.evaluation.tidy import ScoredSlide, drawn_genes, gene_rows, map_rows, slide_rows
from stainscript.types import Panel

GENES = 12
PANEL = Panel(
    name="p",
    gene_ids=tuple(f"ENSG{n}" for n in range(GENES)),
    symbols=tuple(f"S{n}" for n in range(GENES)),
    mean=tuple(float(n) for n in range(GENES)),
    variance=(1.0,) * GENES,
    training_slides=("T",),
)
SPOTS = 40


def scored(noise):
    """Gene n is predicted with noise[n] times the spread of the truth."""
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(SPOTS, GENES))
    predicted = observed + np.array(noise) * rng.normal(size=observed.shape)
    return made(predicted, observed)


def made(predicted, observed):
    return ScoredSlide(
        slide="A1",
        patient="A",
        spot_id=np.array([f"s{n}" for n in range(len(observed))], dtype=object),
        xy_px=np.stack([np.arange(len(observed)), 100 + np.arange(len(observed))], axis=1).astype(float),
        predicted=predicted,
        observed=observed,
        score=score_slide(predicted, observed, subsets={"all": np.arange(GENES)}, best=(2,)),
    )


def test_the_best_the_worst_and_those_asked_for_are_drawn():
    noise = [0.1, 5, 0.2, 4, 0.3, 3, 0.4, 90, 0.5, 80, 0.6, 2]
    pcc = scored(noise).score.pcc
    order = np.argsort(-pcc).tolist()
    drawn = drawn_genes([scored(noise)], panel=PANEL, asked=("S3", "absent"))
    assert drawn.tolist() == sorted({3, *order[:6], *order[-2:]})


def test_a_constant_prediction_draws_the_genes_of_largest_and_smallest_mean():
    truth = np.random.default_rng(0).normal(size=(5, GENES))
    drawn = drawn_genes([made(np.ones_like(truth), truth)], panel=PANEL, asked=())
    assert drawn.tolist() == [0, 1, 6, 7, 8, 9, 10, 11]


def test_maps_keep_each_value_with_its_spot_and_gene():
    predicted = np.arange(3)[:, None] * 100.0 + np.arange(GENES)
    frame = map_rows(made(predicted, -predicted), panel=PANEL, drawn=np.array([4, 7]))
    assert len(frame) == 6
    row = frame[(frame["symbol"] == "S7") & (frame["spot_id"] == "s2")].iloc[0]
    assert (row["predicted"], row["measured"], row["x_px"], row["y_px"]) == (207, -207, 2, 102)
    assert frame["predicted"].dtype == np.float32


def test_gene_rows_hold_what_pooling_needs():
    one = scored([0.5] * GENES)
    head = {"experiment": "e", "fold": 1, "seed": 2}
    frame = gene_rows([one], head=head, panel=PANEL, heg=np.array([3]), hvg=np.array([0, 5]))
    assert frame["gene_id"].tolist() == list(PANEL.gene_ids)
    assert np.flatnonzero(frame["in_heg"]).tolist() == [3]
    assert np.flatnonzero(frame["in_hvg"]).tolist() == [0, 5]
    np.testing.assert_allclose(frame["pcc"], pearson_per_gene(one.predicted, one.observed))
    np.testing.assert_allclose(frame["m2_observed"] / frame["n_spots"], one.observed.var(axis=0))
    np.testing.assert_allclose(frame["cross"] / np.sqrt(frame["m2_observed"] * frame["m2_predicted"]), frame["pcc"])


def test_slide_rows_are_one_a_metric_and_subset():
    frame = slide_rows(
        [scored([0.5] * GENES)], head={"experiment": "e", "fold": 0, "seed": 0, "dataset": "d", "space": "counts"}
    )
    assert not frame.duplicated(["slide", "metric", "subset"]).any()
    best = frame[frame["subset"] == "best2"].iloc[0]
    assert best["post_hoc"]
    assert best["n_defined"] == 2
    assert frame.loc[frame["metric"] == "mse", "value"].item() == pytest.approx(
        np.square(scored([0.5] * GENES).predicted - scored([0.5] * GENES).observed).mean()
    )
