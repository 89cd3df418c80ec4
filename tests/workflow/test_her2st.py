"""Real HER2+ sections, one held out at a time, as `make her2st HER2ST=<root>` runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.real]

WITH_IMAGE = ["B4", "C2", "C3", "C4"]


@pytest.fixture(scope="module")
def real(phantom_run, shared_data: Path, tmp_path_factory):
    """The finished run, and what Snakemake printed."""
    folder = tmp_path_factory.mktemp("her2st")
    shutil.copy(phantom_run.repository / "config.yaml", folder)
    space = type(phantom_run)(folder)
    root = shared_data / "her2st"
    done = space.snakemake("--config", "experiments=[her2st]", f'datasets={{her2st: {{root: "{root}"}}}}')
    return space, done.stdout + done.stderr


@pytest.fixture(scope="module")
def table(real) -> pd.Series:
    frame = pd.read_csv(real[0].folder / "results/tables/her2st/leaderboard.tsv", sep="\t")
    return frame.set_index(["method", "encoder", "metric", "subset"])["mean"]


@pytest.fixture(scope="module")
def slides(real) -> pd.DataFrame:
    files = sorted((real[0].folder / "results/metrics").rglob("slides.parquet"))
    return pd.concat([pd.read_parquet(path) for path in files], ignore_index=True)


def test_sections_without_image_are_listed_and_left_out(real) -> None:
    space, text = real
    assert "her2st A1 is left out: no image under data/ST-imgs/A/A1" in text
    assert sum(f"her2st {letter}" in line for line in text.splitlines() for letter in "ABCDEFGH") >= 32
    split = json.loads((space.folder / "results/splits/her2st/leave_one_slide_out.json").read_text())
    assert [fold["test"] for fold in split["folds"]] == [[name] for name in WITH_IMAGE]


def test_ridge_on_morphology_reaches_the_published_range(table: pd.Series) -> None:
    """0.40 is what ridge on 47 plain colour and texture numbers gives."""
    assert table["ridge", "morphology", "pcc", "best50"] >= 0.42
    assert table["ridge", "morphology", "pcc", "all"] > table["coordinates", "none", "pcc", "all"] + 0.05


def test_controls_bracket_real_data(table: pd.Series, slides: pd.DataFrame) -> None:
    assert table["oracle", "none", "pcc", "all"] == pytest.approx(1, abs=1e-6)
    assert pd.isna(table["mean", "none", "pcc", "all"])
    assert abs(table["shuffled", "none", "pcc", "all"]) < 0.05
    own = slides[slides["experiment"].str.contains(".mean.", regex=False) & (slides["metric"] == "pcc")]
    assert own["n_defined"].sum() == 0


def test_the_post_hoc_choice_alone_gives_the_chance_level(table: pd.Series) -> None:
    assert 0.05 < table["shuffled", "none", "pcc", "best50"] < 0.2


def test_pooled_and_per_slide_correlations_stand_side_by_side(table: pd.Series) -> None:
    assert table["ridge", "morphology", "pcc_pooled", "all"] != table["ridge", "morphology", "pcc", "all"]


def test_the_table_says_that_patients_are_on_both_sides(real) -> None:
    text = (real[0].folder / "results/tables/her2st/leaderboard.md").read_text()
    assert "This protocol: slides of one patient on both sides." in text


def test_a_gene_that_a_test_slide_lacks_is_counted_as_undefined(slides: pd.DataFrame) -> None:
    oracle = slides[
        slides["experiment"].str.contains("oracle") & (slides["metric"] == "pcc") & (slides["subset"] == "all")
    ]
    assert set(oracle["slide"]) == set(WITH_IMAGE)
    assert (oracle["n_defined"] <= oracle["n_genes"]).all()


def test_scale_comes_from_the_array_grid(real) -> None:
    for name in WITH_IMAGE:
        info = json.loads((real[0].folder / f"results/slides/her2st/{name}.json").read_text())
        assert info["mpp_source"] == "spot grid"
        assert 0.67 < info["mpp"] < 0.71


def test_every_section_passes_the_check_at_the_default_thresholds(real) -> None:
    for name in WITH_IMAGE:
        found = json.loads((real[0].folder / f"results/slides/her2st/{name}.quality.json").read_text())
        assert (found["verdict"], found["reasons"]) == ("pass", [])
        assert found["thresholds"]["min_on_tissue"] == 0.5
        assert found["share_on_tissue"] > 0.9
        assert found["alignment"]["score"] > 0.9
        assert (real[0].folder / f"results/slides/her2st/{name}.quality.jpg").stat().st_size > 10_000
