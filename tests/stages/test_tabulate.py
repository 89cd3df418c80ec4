import numpy as np
import pandas as pd
import pytest

from stainscript.artifacts.files import write_parquet
from stainscript.errors import DataContractError
from stainscript.evaluation.score import score_slide
from stainscript.evaluation.tidy import ScoredSlide, gene_rows, slide_rows
from stainscript.report.leaderboard import read_leaderboard
from stainscript.stages.tabulate import show_table, tabulate
from stainscript.types import Panel

PANEL = Panel(
    name="p",
    gene_ids=("a", "b", "c"),
    symbols=("A", "B", "C"),
    mean=(1.0, 2.0, 3.0),
    variance=(3.0, 2.0, 1.0),
    training_slides=("T",),
)
SUBSETS = {"all": np.arange(3), "heg2": np.array([2, 1]), "hvg2": np.array([0, 1])}
EXPERIMENTS = [
    {"name": f"toy.p_1.{method}.m", "dataset": "toy", "method": method, "encoder": "m", "protocol": "p_1"}
    for method in ("oracle", "mean", "ridge")
]


def write_metrics(folder):
    """Three experiments, two folds of one patient each."""
    rng = np.random.default_rng(0)
    paths = {"slides": [], "genes": []}
    for fold, patient in enumerate("AB"):
        truth = rng.normal(2, 1, size=(15, 3)).astype(np.float32)
        noisy = (truth + rng.normal(size=truth.shape)).astype(np.float32)
        made = {"oracle": truth, "mean": np.full_like(truth, 2), "ridge": noisy}
        for record in EXPERIMENTS:
            predicted = made[record["method"]]
            one = ScoredSlide(
                slide=f"{patient}1",
                patient=patient,
                spot_id=np.arange(15).astype(str),
                xy_px=np.zeros((15, 2)),
                predicted=predicted,
                observed=truth,
                score=score_slide(predicted, truth, subsets=SUBSETS, best=(2,)),
            )
            head = {"experiment": record["name"], "fold": fold, "seed": 0}
            rows = {
                "slides": slide_rows([one], head={**head, "dataset": "toy", "space": "log1p"}),
                "genes": gene_rows([one], head=head, panel=PANEL, heg=SUBSETS["heg2"], hvg=SUBSETS["hvg2"]),
            }
            for kind, frame in rows.items():
                paths[kind].append(folder / record["method"] / f"fold{fold}" / f"{kind}.parquet")
                write_parquet(paths[kind][-1], frame)
    return paths


def run(folder, paths, *, name="out", experiments=EXPERIMENTS, bootstrap=50):
    outputs = {suffix: folder / name / f"leaderboard.{suffix}" for suffix in ("tsv", "md", "tex")}
    tabulate(**paths, experiments=experiments, bootstrap=bootstrap, **outputs)
    return outputs


def test_the_tsv_has_the_agreed_columns_and_reads_back(tmp_path):
    frame = read_leaderboard(run(tmp_path, write_metrics(tmp_path))["tsv"])
    assert frame.columns.tolist() == [
        "experiment", "method", "encoder", "protocol", "metric", "subset", "mean", "sd", "ci_low", "ci_high",
        "n_folds", "n_defined", "dataset", "space", "n_slides", "n_seeds", "post_hoc", "note",
    ]  # fmt: skip
    assert frame["method"].drop_duplicates().tolist() == ["oracle", "mean", "ridge"]
    row = frame.query("method == 'oracle' and metric == 'pcc' and subset == 'all'").iloc[0]
    assert (row["mean"], row["sd"], row["ci_low"], row["ci_high"]) == (1, 0, 1, 1)
    assert (row["n_folds"], row["n_defined"], row["n_slides"], row["n_seeds"]) == (2, 6, 2, 1)


def test_an_undefined_mean_is_written_as_nan_and_shown_as_a_dash(tmp_path):
    outputs = run(tmp_path, write_metrics(tmp_path))
    line = next(
        line for line in outputs["tsv"].read_text().splitlines() if "\tmean\t" in line and "\tpcc\tall\t" in line
    )
    assert line.split("\t")[6:12] == ["nan", "nan", "nan", "nan", "2", "0"]
    row = next(line for line in outputs["md"].read_text().splitlines() if line.startswith("| *mean*"))
    assert "– (0 defined)" in row


def test_the_markdown_shows_the_main_columns_only(tmp_path):
    text = run(tmp_path, write_metrics(tmp_path))["md"].read_text().lower()
    heading = next(line for line in text.splitlines() if "method" in line)
    for column in ("pcc all", "pcc heg2", "pcc hvg2", "pcc hpg2", "pcc best2", "mse all", "mae all"):
        assert column in heading
    assert heading.count("pooled") == 1
    assert "gene" not in heading
    assert "rvd" not in heading


def test_latex_is_escaped_and_ruled(tmp_path):
    text = run(tmp_path, write_metrics(tmp_path))["tex"].read_text()
    assert r"\toprule" in text
    assert r"\bottomrule" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any("_" in line.replace(r"\_", "") for line in body)


def test_equal_metrics_give_equal_bytes_whatever_their_order(tmp_path):
    paths = write_metrics(tmp_path)
    one = run(tmp_path, paths, name="one")
    two = run(tmp_path, {kind: files[::-1] for kind, files in paths.items()}, name="two")
    for suffix in one:
        assert one[suffix].read_bytes() == two[suffix].read_bytes()


def test_no_negative_zero_is_printed(tmp_path):
    assert "-0.000000" not in run(tmp_path, write_metrics(tmp_path))["tsv"].read_text()


def test_without_resamples_there_are_no_intervals(tmp_path):
    frame = read_leaderboard(run(tmp_path, write_metrics(tmp_path), bootstrap=0)["tsv"])
    assert frame[["ci_low", "ci_high"]].isna().all(axis=None)


def test_an_experiment_without_metrics_is_named(tmp_path):
    extra = [*EXPERIMENTS, {**EXPERIMENTS[0], "name": "toy.p_1.mlp.m"}]
    with pytest.raises(DataContractError, match=r"metrics of toy\.p_1\.mlp\.m"):
        run(tmp_path, write_metrics(tmp_path), experiments=extra)


def test_metrics_of_other_sets_are_left_out(tmp_path):
    frame = pd.read_csv(run(tmp_path, write_metrics(tmp_path), experiments=EXPERIMENTS[2:])["tsv"], sep="\t")
    assert set(frame["method"]) == {"ridge"}


def test_the_demo_prints_the_table(tmp_path, capsys):
    outputs = run(tmp_path, write_metrics(tmp_path))
    show_table(outputs["md"])
    assert capsys.readouterr().out == outputs["md"].read_text()
