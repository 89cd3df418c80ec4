"""A wrong sheet, split, name or option ends the run while it is planned: one message, no job, nothing changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow


@pytest.fixture
def space(fresh, tmp_path: Path):
    """A folder with a config and a sheet of its own; nothing was run in it."""
    made = fresh(tmp_path)
    shutil.copy(made.repository / "workflow/sheets/phantom.tsv", tmp_path / "sheet.tsv")
    made.configure(lambda c: c["datasets"]["phantom"].update(sheet="sheet.tsv"))
    return made


def lines(space) -> list[list[str]]:
    return [line.split("\t") for line in (space.folder / "sheet.tsv").read_text().splitlines()]


def rewrite(space, rows: list[list[str]]) -> None:
    (space.folder / "sheet.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))


def unknown_column(space) -> None:
    rewrite(space, [[*row, "x" if n else "pacient"] for n, row in enumerate(lines(space))])


def slide_twice(space) -> None:
    rewrite(space, [*lines(space), lines(space)[1]])


def unknown_layout(space) -> None:
    rows = lines(space)
    column = rows[0].index("layout")
    rows[1][column] = "visum"
    rewrite(space, rows)


def set_key(*keys: str, value: object) -> Callable:
    def change(space) -> None:
        def apply(config: dict) -> None:
            for key in keys[:-1]:
                config = config.setdefault(key, {})
            config[keys[-1]] = value

        space.configure(apply)

    return change


SPLIT = ("splits", "leave_one_patient_out")

CASES = {
    "unknown column": (unknown_column, ["sheet.tsv", "pacient", "patient"]),
    "slide twice": (slide_twice, ["sheet.tsv", "every slide once", "lines 2 and 9"]),
    "unknown layout": (unknown_layout, ["sheet.tsv", "visum", "did you mean 'visium'"]),
    "misspelt key": (set_key("hardwear", value={}), ["config.yaml", "hardwear", "did you mean 'hardware'"]),
    "misspelt method": (
        set_key("methods", "ridge", value={"method": "rigde"}),
        ["methods.ridge.method", "'rigde'", "did you mean 'ridge'"],
    ),
    "misspelt option": (
        set_key("methods", "mlp", "options", value={"epoch": 3}),
        ["methods.mlp.options", "'epoch'", "did you mean 'epochs'"],
    ),
    "illegal option": (set_key("methods", "mlp", "options", value={"epochs": "many"}), ["methods.mlp.options.epochs"]),
    "misspelt encoder": (
        set_key("encoders", "morphology", value={"kind": "morfology"}),
        ["encoders.morphology.kind", "did you mean 'morphology'"],
    ),
    "misspelt experiment set": (set_key("experiments", value=["fantom"]), ["experiments", "did you mean 'phantom'"]),
    "panel that is gone": (set_key("panels", value={"top50": {"rule": "top_mean", "n": 50}}), ["panel", "'hmhvg'"]),
    "patient on both sides": (
        set_key(*SPLIT, value={"scheme": "leave_one_slide_out"}),
        ["leave_one_patient_out", "patient", "allow_shared_patients"],
    ),
    "unknown test slide": (set_key(*SPLIT, value={"scheme": "fixed", "test": [["P9X"]]}), ["'P9X'"]),
    "ceiling of measured data": (
        lambda space: space.configure(lambda c: c["datasets"]["phantom"].pop("generator")),
        ["methods.ceiling", "a generated dataset"],
    ),
    "excluded slide that is not there": (
        set_key("datasets", "phantom", "exclude", value={"P9V": "misaligned"}),
        ["datasets.phantom.exclude", "'P9V'"],
    ),
    "rows by an unknown column": (
        set_key("datasets", "phantom", "only", value={"pacient": "P1"}),
        ["datasets.phantom.only", "did you mean 'patient'"],
    ),
    "grid without a middle": (set_key("views", "region_native", "grid", value=4), ["views.region_native", "odd"]),
    "two scales of a view": (set_key("views", "patch", "width_um", value=112), ["views.patch", "mpp or width_um"]),
    "misspelt view to encode": (
        set_key("features", value=[{"datasets": ["phantom"], "views": ["pach"], "encoders": ["morphology"]}]),
        ["features.0.views", "did you mean 'patch'"],
    ),
    "gated encoder without weights": (
        lambda space: space.configure(
            lambda c: (
                c["encoders"]["uni"].update(weights=None),
                c.update(features=[{"datasets": ["phantom"], "views": ["patch"], "encoders": ["uni"]}]),
            )
        ),
        ["encoders.uni.weights", "huggingface.co/MahmoodLab/UNI", "pytorch_model.bin"],
    ),
    "nothing asked for": (set_key("experiments", value=[]), ["config.yaml", "nothing to do"]),
    "no root": (
        lambda space: space.configure(lambda c: c.update(experiments=["her2st"])),
        ["datasets.her2st.root", "folder that holds the raw files"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_planning_stops_with_one_message(name: str, space) -> None:
    change, words = CASES[name]
    change(space)
    done = space.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    messages = [line for line in text.splitlines() if "expected" in line and "found" in line and "Remedy:" in line]
    assert len(messages) == 1, text[-3000:]
    for word in words:
        assert word in messages[0]
    assert "Traceback" not in text
    assert not (space.folder / "results").exists()


def test_a_results_folder_that_cannot_be_written_is_named_before_any_job(space) -> None:
    (space.folder / "results").write_text("a file is in the way\n")
    done = space.snakemake(check=False)
    assert done.returncode != 0
    assert "results: write: expected a writable folder" in done.stdout + done.stderr
    assert "rule draw_phantom" not in done.stdout + done.stderr


def test_legal_changes_of_the_same_places_are_planned(space) -> None:
    space.configure(lambda c: c["splits"]["leave_one_patient_out"].update(scheme="kfold_by_patient", n_folds=3))
    assert space.counts()["fit"] == 24
    config = yaml.safe_load((space.folder / "config.yaml").read_text())
    assert config["splits"]["leave_one_patient_out"]["n_folds"] == 3
