"""The distribution figure shows each gene once, with its mean over slides."""

from __future__ import annotations

import math

import pandas as pd

from stainscript.report.figures.distribution import distributions, gene_means

COLUMNS = ["experiment", "slide", "gene_id", "symbol", "pcc", "in_heg", "in_hvg"]
ROWS = [
    ("ridge", "A1", "G1", "ERBB2", 0.2, True, False),
    ("ridge", "B1", "G1", "ERBB2", 0.4, False, False),
    ("ridge", "A1", "G2", "FASN", math.nan, False, True),
    ("ridge", "B1", "G2", "FASN", 0.5, False, True),
    ("mlp", "A1", "G1", "ERBB2", 0.9, True, True),
    ("mlp", "A1", "G3", "GNAS", math.nan, False, False),
    ("mean", "A1", "G1", "ERBB2", math.nan, False, False),
]
GENES = pd.DataFrame(ROWS, columns=COLUMNS)
EXPERIMENTS = [{"name": n, "dataset": "toy", "protocol": "log", "method": n} for n in ("mean", "ridge", "mlp")]
LABELS = {n: n.upper() for n in ("mean", "ridge", "mlp")}


def test_an_undefined_slide_is_left_out_of_a_genes_mean():
    means = gene_means(GENES).set_index(["experiment", "gene_id"])["pcc"]
    assert math.isclose(means["ridge", "G1"], 0.3)
    assert means["ridge", "G2"] == 0.5
    assert math.isnan(means["mean", "G1"])


def test_rows_are_ordered_by_median_with_controls_last():
    (figure,) = distributions(GENES, EXPERIMENTS, LABELS)
    assert [(row["label"], row["control"]) for row in figure["rows"]] == [
        ("MLP", False),
        ("RIDGE", False),
        ("MEAN", True),
    ]


def test_a_dot_names_its_gene_its_value_and_its_subsets():
    (figure,) = distributions(GENES, EXPERIMENTS, LABELS)
    ridge = figure["rows"][1]
    names = [figure["symbols"][n] for n in ridge["gene"]]
    assert list(zip(names, ridge["pcc"], ridge["mark"], strict=True)) == [("ERBB2", 300, 1), ("FASN", 500, 2)]


def test_undefined_genes_are_counted_and_not_drawn():
    (figure,) = distributions(GENES, EXPERIMENTS, LABELS)
    assert [(row["undefined"], len(row["pcc"])) for row in figure["rows"]] == [(1, 1), (0, 2), (1, 0)]


def test_each_protocol_is_a_figure_of_its_own():
    experiments = [*EXPERIMENTS[:2], {**EXPERIMENTS[2], "protocol": "classic"}]
    figures = distributions(GENES, experiments, LABELS)
    assert [(f["protocol"], [row["experiment"] for row in f["rows"]]) for f in figures] == [
        ("log", ["ridge", "mean"]),
        ("classic", ["mlp"]),
    ]
