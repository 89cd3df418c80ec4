import json

import numpy as np
import pandas as pd
import pytest

from stainscript.evaluation.aggregate import COLUMNS, hpg_genes, leaderboard, pcc_of_folds
from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.evaluation.errors import TRIPLEX_FLOOR, rvd_per_gene
from stainscript.evaluation.score import score_slide
from stainscript.evaluation.subsets import largest, of_labels
from stainscript.evaluation.tidy import ScoredSlide, gene_rows, slide_rows
from stainscript.types import Panel

RECORD = {"name": "e", "dataset": "toy", "method": "ridge", "encoder": "m", "protocol": "p"}
NAN = float("nan")


def panel_of(genes):
    names = tuple(f"g{n}" for n in range(genes))
    values = tuple(float(genes - n) for n in range(genes))
    return Panel(name="p", gene_ids=names, symbols=names, mean=values, variance=values[::-1], training_slides=("T",))


def frames(slides, *, experiment="e", size=1, best=(1,), heg=None, hvg=None):
    """slides: (fold, seed, slide, patient, predicted, observed)."""
    panel = panel_of(slides[0][4].shape[1])
    heg = np.arange(size) if heg is None else heg
    hvg = np.arange(len(panel))[::-1][:size] if hvg is None else hvg
    subsets = {"all": np.arange(len(panel)), f"heg{size}": heg, f"hvg{size}": hvg}
    made = []
    for fold, seed, slide, patient, predicted, observed in slides:
        one = ScoredSlide(
            slide=slide,
            patient=patient,
            spot_id=np.arange(len(observed)).astype(str),
            xy_px=np.zeros((len(observed), 2)),
            predicted=predicted,
            observed=observed,
            score=score_slide(predicted, observed, subsets=subsets, best=best),
        )
        head = {"experiment": experiment, "fold": fold, "seed": seed}
        rows = slide_rows([one], head={**head, "dataset": "toy", "space": "log1p"})
        made.append((rows, gene_rows([one], head=head, panel=panel, heg=heg, hvg=hvg)))
    return tuple(pd.concat(part, ignore_index=True) for part in zip(*made, strict=True))


def table(slides, *, resamples=0, **options):
    made = leaderboard(*frames(slides, **options), experiments=[RECORD], resamples=resamples)
    return made.set_index(["metric", "subset"])


def pair(level, *, spots=8, genes=2, seed=0):
    """Predictions that correlate by about ``level`` with their truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(spots, genes))
    return level * truth + (1 - level) * rng.normal(size=truth.shape), truth


def with_errors(*errors):
    """One slide per error e: prediction = truth + e, so its MSE is e²."""
    truth = np.arange(6.0).reshape(3, 2)
    return [(truth + error, truth) for error in errors]


def test_columns_are_the_agreed_ones_in_order():
    made = table([(0, 0, "A1", "A", *pair(0.5))]).reset_index()[list(COLUMNS)]
    assert list(made.columns)[:12] == [
        "experiment", "method", "encoder", "protocol", "metric", "subset",
        "mean", "sd", "ci_low", "ci_high", "n_folds", "n_defined",
    ]  # fmt: skip


def test_slides_are_averaged_within_folds_before_folds():
    """MSE 1 and 9 in fold 0, 36 in fold 1: (5 + 36) / 2, sd over folds with ddof 0."""
    one, three, six = with_errors(1, 3, 6)
    row = table([(0, 0, "A1", "A", *one), (0, 0, "A2", "A", *three), (1, 0, "B1", "B", *six)]).loc["mse", "all"]
    assert row["mean"] == pytest.approx(20.5)
    assert row["sd"] == pytest.approx(15.5)
    assert (row["n_folds"], row["n_slides"], row["n_seeds"], row["n_defined"]) == (2, 3, 1, 6)


def test_seeds_are_averaged_first_and_counted_apart():
    one, three, six = with_errors(1, 3, 6)
    row = table([(0, 0, "A1", "A", *one), (0, 7, "A1", "A", *three), (1, 0, "B1", "B", *six)]).loc["mse", "all"]
    assert row["mean"] == pytest.approx(20.5)
    assert (row["n_folds"], row["n_slides"], row["n_seeds"]) == (2, 2, 2)


def test_constant_predictions_have_no_correlation_anywhere():
    slides = [(fold, 0, f"{p}1", p, np.full((8, 2), 1.5), pair(1.0)[1]) for fold, p in enumerate("AB")]
    made = table(slides, resamples=20)
    for metric, subset in made.index:
        row = made.loc[metric, subset]
        if metric.startswith("pcc"):
            assert np.isnan(row["mean"])
            assert row["n_defined"] == 0
        else:
            assert np.isfinite(row["mean"])


def test_a_perfect_prediction_scores_one_everywhere():
    slides = [
        (fold, 0, f"{p}1", p, truth, truth) for fold, (p, truth) in enumerate(zip("AB", [pair(1)[1]] * 2, strict=True))
    ]
    made = table(slides, resamples=20)
    correlations = made[[metric.startswith("pcc") for metric in made.index.get_level_values("metric")]]
    np.testing.assert_allclose(correlations["mean"], 1)
    np.testing.assert_allclose(correlations["ci_low"].drop("pcc_by_gene", level="metric"), 1)
    np.testing.assert_allclose(made.drop(index=correlations.index)["mean"], 0)


def test_undefined_slides_are_left_out_and_counted():
    predicted, truth = pair(0.7)
    constant = np.ones_like(predicted)
    row = table([(0, 0, "A1", "A", predicted, truth), (0, 0, "A2", "A", constant, truth)]).loc["pcc", "all"]
    assert row["mean"] == pytest.approx(pearson_per_gene(predicted, truth).mean())
    assert row["n_defined"] == 2


def test_the_two_orders_of_averaging_differ_where_something_is_undefined():
    """Gene 1 is constant on A2. By slide: ((a + b) / 2 + c) / 2; by gene: ((a + c) / 2 + b) / 2."""
    first, second = pair(0.6, seed=1), pair(0.4, seed=2)
    second[0][:, 1] = 3.0
    (a, b), c = pearson_per_gene(*first), pearson_per_gene(*second)[0]
    made = table([(0, 0, "A1", "A", *first), (0, 0, "A2", "A", *second)])
    assert made.loc["pcc", "all"]["mean"] == pytest.approx(((a + b) / 2 + c) / 2)
    assert made.loc["pcc_by_gene", "all"]["mean"] == pytest.approx(((a + c) / 2 + b) / 2)


def test_pooled_correlation_is_over_all_spots_of_all_folds():
    slides = [(fold, 0, f"{p}1", p, *pair(0.5, seed=fold)) for fold, p in enumerate("ABC")]
    predicted, truth = (np.concatenate([slide[side] for slide in slides]) for side in (4, 5))
    row = table(slides, resamples=50).loc["pcc_pooled", "all"]
    assert row["mean"] == pytest.approx(pearson_per_gene(predicted, truth).mean())
    assert np.isnan(row["sd"])
    assert row["ci_low"] <= row["mean"] <= row["ci_high"]
    assert row["n_defined"] == 2
    assert not row["post_hoc"]


def test_pooled_subsets_take_their_own_genes():
    slides = [(fold, 0, f"{p}1", p, *pair(0.5, seed=fold)) for fold, p in enumerate("AB")]
    pooled = pearson_per_gene(*(np.concatenate([slide[side] for slide in slides]) for side in (4, 5)))
    made = table(slides)
    assert made.loc["pcc_pooled", "heg1"]["mean"] == pytest.approx(pooled[0])
    assert made.loc["pcc_pooled", "hvg1"]["mean"] == pytest.approx(pooled[1])


def test_pooled_seeds_are_averaged():
    slides = [(0, seed, "A1", "A", *pair(0.5, seed=seed)) for seed in (0, 1)]
    each = [table([slide]).loc["pcc_pooled", "all"]["mean"] for slide in slides]
    assert table(slides).loc["pcc_pooled", "all"]["mean"] == pytest.approx(np.mean(each))


def test_post_hoc_choices_say_so():
    made = table([(0, 0, "A1", "A", *pair(0.5))])
    assert {subset for (_, subset), post_hoc in made["post_hoc"].items() if post_hoc} == {"hpg1", "best1"}


def test_intervals_are_over_patients():
    several = [(fold, 0, f"{p}1", p, *pair(0.5, seed=fold)) for fold, p in enumerate("ABCD")]
    row = table(several, resamples=200).loc["pcc", "all"]
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    alone = [(fold, 0, f"A{fold}", "A", *slide[4:]) for fold, slide in enumerate(several)]
    assert np.isnan(table(alone, resamples=200).loc["pcc", "all"]["ci_low"])


def test_tables_repeat_whatever_the_order_of_files():
    slides = [(fold, 0, f"{p}1", p, *pair(0.5, seed=fold)) for fold, p in enumerate("ABCD")]
    one, other = (table(order, resamples=100) for order in (slides, slides[::-1]))
    pd.testing.assert_frame_equal(one, other)


def test_hpg_takes_genes_of_every_fold_only():
    _, genes = frames([(fold, 0, f"{p}1", p, *pair(0.5, seed=fold, genes=3)) for fold, p in enumerate("AB")])
    genes = genes[~((genes["fold"] == 1) & (genes["gene_id"] == "g0"))]
    assert sorted(hpg_genes(genes, size=3)) == ["g1", "g2"]


def golden_frames(folder, facts):
    """The golden slides as if scored: HEG and HVG by labels of the whole set."""
    with np.load(folder / "metrics_random.npz") as file:
        stored = {name: file[name] for name in file}
    names = [(fold, f"{fold}{n}") for fold, spots in facts["folds"].items() for n in range(len(spots))]
    subsets = of_labels([stored[f"{slide}_label"] for _, slide in names], size=20)
    slides = [
        (list(facts["folds"]).index(fold), 0, slide, fold, stored[f"{slide}_pred"], stored[f"{slide}_label"])
        for fold, slide in names
    ]
    made = frames(slides, size=20, heg=subsets["heg20"], hvg=subsets["hvg20"], best=(20,))
    return stored, subsets, *made


@pytest.fixture(scope="module")
def golden(shared_golden):
    facts = json.loads((shared_golden / "classic/metrics_random.json").read_text())
    return facts, *golden_frames(shared_golden / "classic", facts)


def test_golden_correlations_of_every_slide_and_gene(golden):
    _, stored, _, _, genes = golden
    for slide, rows in genes.groupby("slide"):
        np.testing.assert_allclose(rows["pcc"], stored[f"{slide}_pcc"], atol=1e-6)
    np.testing.assert_allclose(
        pcc_of_folds(genes)[[f"g{n}" for n in range(80)]].to_numpy(), stored["fold_pcc"], atol=1e-6
    )


def test_golden_errors_of_every_slide(golden):
    facts, _, _, slides, _ = golden
    values = slides[slides["subset"] == "all"].set_index(["slide", "metric"])
    for slide, expected in facts["per_sample"].items():
        assert values.loc[(slide, "mse"), "value"] == pytest.approx(expected["mse"], abs=1e-6)
        assert values.loc[(slide, "mae"), "value"] == pytest.approx(expected["mae"], abs=1e-6)
        assert values.loc[(slide, "pcc"), "n_defined"] == 80 - expected["nan"]


def test_golden_subsets(golden):
    facts, _, subsets, _, genes = golden
    assert subsets["heg20"].tolist() == facts["heg"]
    assert subsets["hvg20"].tolist() == facts["hvg"]
    assert set(facts["hvg"]) != set(facts["hvg_plain"])
    for rule in ("best", "worst"):
        found = sorted(int(gene[1:]) for gene in hpg_genes(genes, size=20, undefined=rule))
        assert found == facts[f"hpg_nan_as_{rule}"]


def test_golden_hvg_by_plain_variance_is_another_set(golden):
    facts, stored, _, _, genes = golden
    labels = np.concatenate([stored[name] for name in stored if name.endswith("_label")]).astype(np.float64)
    plain = largest(labels.var(axis=0), 20)
    assert plain.tolist() == facts["hvg_plain"]
    mean = pcc_of_folds(genes)[[f"g{n}" for n in plain]].mean(axis=1)
    np.testing.assert_allclose([mean.mean(), mean.std(ddof=0)], facts["PCC_HVG_plain_variance"], atol=1e-6)


def test_golden_averages(golden):
    facts, _, _, slides, genes = golden
    made = leaderboard(slides, genes, experiments=[RECORD], resamples=0).set_index(["metric", "subset"])
    expected = {
        ("mae", "all"): "MAE",
        ("mse", "all"): "MSE",
        ("pcc_by_gene", "all"): "PCC_ALL",
        ("pcc_by_gene", "heg20"): "PCC_HEG",
        ("pcc_by_gene", "hvg20"): "PCC_HVG",
        ("pcc", "hpg20"): "PCC_HPG_nan_as_worst",
    }
    for key, name in expected.items():
        np.testing.assert_allclose(made.loc[key, ["mean", "sd"]].astype(float), facts[name], atol=1e-6, err_msg=name)
    chosen = genes[genes["gene_id"].isin(hpg_genes(genes, size=20, undefined="best"))]
    per_fold = pcc_of_folds(chosen).mean(axis=1)
    np.testing.assert_allclose([per_fold.mean(), per_fold.std(ddof=0)], facts["PCC_HPG_nan_as_best"], atol=1e-6)


def test_golden_variance_difference_with_the_floor_of_triplex(golden):
    facts, stored, _, _, _ = golden
    found = rvd_per_gene(stored["A0_pred"], stored["A0_label"], floor=TRIPLEX_FLOOR).mean()
    assert found == pytest.approx(facts["triplex2025_torchmetrics_sample_A0"]["rvd"], abs=1e-6)
