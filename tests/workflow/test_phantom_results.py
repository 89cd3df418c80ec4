"""The phantom as `make demo` runs it: every method learns what is there, and nothing that is not."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from stainscript.datasets.phantom_genes import programme_of

pytestmark = pytest.mark.workflow

HONEST = ["mean", "shuffled", "coordinates", "nearest", "ridge", "mlp"]


@pytest.fixture(scope="module")
def demo(phantom_run, tmp_path_factory):
    """The repository's own config, unchanged."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copy(phantom_run.repository / "config.yaml", folder)
    space = type(phantom_run)(folder)
    space.snakemake()
    return space


@pytest.fixture(scope="module")
def table(demo) -> pd.DataFrame:
    frame = pd.read_csv(demo.folder / "results/tables/phantom/leaderboard.tsv", sep="\t")
    return frame.set_index(["method", "metric", "subset"]).sort_index()


@pytest.fixture(scope="module")
def genes(demo) -> pd.DataFrame:
    """Per-gene correlations of all methods with each gene's kind of programme."""
    files = sorted((demo.folder / "results/metrics").rglob("genes.parquet"))
    frame = pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)
    frame["method"] = frame["experiment"].str.split(".").str[2]
    frame["kind"] = frame["symbol"].map({symbol: kind for symbol, (_, kind) in programme_of().items()})
    assert frame["kind"].notna().all()
    return frame


def mean_pcc(genes: pd.DataFrame, method: str, kind: str) -> float:
    return float(genes.query("method == @method and kind == @kind")["pcc"].mean())


def test_a_second_run_has_nothing_to_do_and_says_so_quickly(demo) -> None:
    started = time.monotonic()
    done = demo.snakemake()
    assert "Nothing to be done" in done.stdout + done.stderr
    assert time.monotonic() - started < 15


def test_the_table_has_the_promised_columns(demo) -> None:
    path: Path = demo.folder / "results/tables/phantom/leaderboard.tsv"
    head = path.read_text().splitlines()[0].split("\t")
    assert head[:12] == (
        [
            "experiment",
            "method",
            "encoder",
            "protocol",
            "metric",
            "subset",
            "mean",
            "sd",
            "ci_low",
            "ci_high",
            "n_folds",
            "n_defined",
        ]
    )
    for suffix in ("md", "tex"):
        assert "ridge" in path.with_suffix(f".{suffix}").read_text()


def test_controls_bracket_the_table(table: pd.DataFrame) -> None:
    assert table.loc["oracle", "pcc", "all"]["mean"].item() == pytest.approx(1, abs=1e-6)
    assert table.loc["oracle", "mse", "all"]["mean"].item() == pytest.approx(0, abs=1e-10)
    assert table.loc["mean", "pcc", "all"]["n_defined"].item() == 0
    assert pd.isna(table.loc["mean", "pcc", "all"]["mean"].item())
    assert abs(table.loc["shuffled", "pcc", "all"]["mean"].item()) < 0.05


def test_no_method_passes_the_ceiling(table: pd.DataFrame) -> None:
    ceiling = table.loc["ceiling", "pcc", "all"]["mean"].item()
    assert 0.5 < ceiling < 1
    for method in HONEST[1:]:
        assert table.loc[method, "pcc", "all"]["mean"].item() < ceiling


def test_images_are_worth_more_than_places(table: pd.DataFrame) -> None:
    places = table.loc["coordinates", "pcc", "all"]["mean"].item()
    assert table.loc["ridge", "pcc", "all"]["mean"].item() > places + 0.15
    assert table.loc["mlp", "pcc", "all"]["mean"].item() > places + 0.15


def test_what_the_patch_shows_is_learnt(genes: pd.DataFrame) -> None:
    assert mean_pcc(genes, "ridge", "patch") > 0.35
    assert mean_pcc(genes, "mlp", "patch") > 0.3


def test_what_only_the_region_shows_is_out_of_reach_of_a_patch(genes: pd.DataFrame) -> None:
    assert mean_pcc(genes, "ridge", "region") < 0.15
    assert mean_pcc(genes, "ceiling", "region") > 0.5


@pytest.mark.parametrize("method", HONEST[1:])
def test_what_no_image_shows_is_predicted_by_none(method: str, genes: pd.DataFrame) -> None:
    """A method that correlates with these genes on held-out patients has seen the answers."""
    assert abs(mean_pcc(genes, method, "nowhere")) < 0.05


def test_the_oracle_would_be_caught(genes: pd.DataFrame) -> None:
    assert mean_pcc(genes, "oracle", "nowhere") > 0.99
    assert mean_pcc(genes, "ceiling", "nowhere") > 0.4


def test_the_slide_without_expression_is_predicted(demo) -> None:
    from stainscript.artifacts.stores import open_store

    store = open_store(demo.folder / "results/predictions/phantom.hmhvg.ridge.morphology/fold0/seed0/W1", "predictions")
    assert store["predicted"].shape[0] > 100
    assert not (demo.folder / "results/expression/phantom/W1.h5ad").exists()


def test_the_report_is_one_file_without_links_outward(demo) -> None:
    text = (demo.folder / "results/report.html").read_text()
    assert 'src="http' not in text
    assert 'href="http' not in text
    assert len(text) < 12_000_000
