"""Labels, overview and the table of slides say what the records say."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd

from stainscript.report.html import experiment_labels, overview, slide_tables


def record(name, method, encoder, *, protocol="log"):
    fields = {"name": name, "dataset": "toy", "method": method, "encoder": encoder, "protocol": protocol}
    return {**fields, "seeds": [0, 1]}


def slide_rows(*rows) -> pd.DataFrame:
    columns = ["experiment", "fold", "seed", "slide", "metric", "subset", "value", "n_spots"]
    return pd.DataFrame(list(rows), columns=columns)


def test_a_label_is_short_unless_two_experiments_would_share_it():
    records = [record("a", "ridge", "morphology"), record("b", "mean", "none"), record("c", "mlp", "m")]
    assert experiment_labels(records) == {"a": "ridge, morphology", "b": "mean", "c": "mlp, m"}
    twice = [record("a", "ridge", "m"), record("b", "ridge", "m"), record("c", "ridge", "m", protocol="classic")]
    assert experiment_labels(twice) == {"a": "ridge, m (a)", "b": "ridge, m (b)", "c": "ridge, m"}


def test_the_overview_counts_a_slides_spots_once():
    infos = [SimpleNamespace(dataset="toy", patient=p, has_expression=p != "C") for p in ("A", "A", "C")]
    rows = slide_rows(
        ("a", 0, 0, "A1", "pcc", "all", 0.1, 10),
        ("a", 0, 1, "A1", "pcc", "all", 0.1, 10),
        ("a", 1, 0, "A2", "pcc", "all", 0.1, 5),
    )
    (row,) = overview(rows, infos, [record("a", "ridge", "m")])
    assert (row["slides"], row["unmeasured"], row["patients"], row["spots"]) == (2, 1, 2, 15)
    assert (row["experiments"], row["folds"], row["seeds"]) == (1, 2, "0, 1")


def test_a_slide_shows_the_mean_over_seeds_and_a_dash_where_undefined():
    rows = slide_rows(
        ("a", 0, 0, "A1", "pcc", "all", 0.1, 10),
        ("a", 0, 1, "A1", "pcc", "all", 0.3, 10),
        ("a", 1, 0, "B1", "pcc", "all", -0.5, 10),
        ("a", 1, 0, "B1", "mse", "all", 9.0, 10),
        ("a", 1, 0, "B1", "pcc", "best50", 0.9, 10),
        ("b", 0, 0, "A1", "pcc", "all", math.nan, 10),
    )
    (table,) = slide_tables(rows, [record("b", "mean", "none"), record("a", "ridge", "m")], {"a": "A", "b": "B"})
    assert table["slides"] == ["A1", "B1"]
    assert [(r["label"], [c["text"] for c in r["cells"]]) for r in table["rows"]] == [
        ("A", ["0.20", "−0.50"]),
        ("B", ["–", "–"]),
    ]
    blue, orange = [cell["colour"] for cell in table["rows"][0]["cells"]]
    assert blue.startswith("rgb(0 114 178")
    assert orange.startswith("rgb(213 94 0")
