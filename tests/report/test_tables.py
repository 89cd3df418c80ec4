"""Markdown and LaTeX say the same as the leaderboard they were made from."""

from __future__ import annotations

import math

import pandas as pd

from stainscript.report.leaderboard import COLUMNS
from stainscript.report.tables import to_latex, to_markdown


def leaderboard() -> pd.DataFrame:
    rows = [
        ("d.log.ridge.resnet_18", "ridge", "resnet_18", "log", "pcc", "all", 0.42, 0.03, 0.39, 0.45, 4, 800),
        ("d.log.ridge.resnet_18", "ridge", "resnet_18", "log", "pcc", "best50", 0.61, 0.02, 0.6, 0.62, 4, 200),
        ("d.log.mlp.resnet_18", "mlp", "resnet_18", "log", "pcc", "all", 0.4, math.nan, math.nan, math.nan, 1, 800),
        ("d.log.mean.none", "mean", "none", "log", "pcc", "all", math.nan, math.nan, math.nan, math.nan, 4, 0),
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_markdown_holds_every_value_with_its_interval():
    lines = to_markdown(leaderboard()).splitlines()
    assert lines[0] == "### protocol log"
    assert lines[2] == "| method | encoder | PCC all, per slide ↑ | PCC best50 (post hoc), per slide ↑ |"
    assert lines[4] == "| ridge | resnet_18 | **0.420** ± 0.030 (0.390 to 0.450) | 0.610 ± 0.020 (0.600 to 0.620) |"
    assert lines[5] == "| mlp | resnet_18 | 0.400 |  |"
    assert lines[6] == "| *mean* | none | – (0 defined) |  |"


def test_every_markdown_row_has_as_many_cells_as_the_heading():
    rows = [line for line in to_markdown(leaderboard()).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5}


def test_latex_escapes_names_and_puts_controls_below_a_rule():
    text = to_latex(leaderboard())
    assert r"ridge & resnet\_18 & $\mathbf{0.420} \pm 0.030$ & $0.610 \pm 0.020$ \\" in text
    assert "\\midrule\nmean & none & -- &  \\\\" in text
    assert text.count(r"\begin{tabular}{llrr}") == text.count(r"\end{tabular}") == 1


def test_latex_writes_a_minus_in_math():
    frame = leaderboard().head(1).assign(mean=-0.05)
    assert r"$-0.050 \pm 0.030$" in to_latex(frame)


def test_a_protocol_that_lets_test_slides_in_says_so():
    frame = leaderboard().assign(note="genes chosen on all slides")
    assert "This protocol: genes chosen on all slides." in to_markdown(frame)
    assert "% this protocol: genes chosen on all slides" in to_latex(frame)
    assert "This protocol" not in to_markdown(leaderboard())
