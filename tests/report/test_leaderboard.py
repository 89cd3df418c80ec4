"""A leaderboard is arranged without losing, inventing or misplacing a value."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from stainscript.errors import DataContractError
from stainscript.report.blocks import number
from stainscript.report.leaderboard import COLUMNS, blocks, read_leaderboard


def row(method, metric, subset, mean, *, protocol="log", encoder="morphology", experiment=None, **extra):
    experiment = experiment or f"toy.{protocol}.{method}.{encoder}"
    texts = [experiment, method, encoder, protocol, metric, subset]
    return dict(zip(COLUMNS, [*texts, mean, 0.01, mean - 0.1, mean + 0.1, 4, 8], strict=True)) | extra


def test_per_slide_and_pooled_stand_side_by_side_and_pcc_comes_first():
    frame = pd.DataFrame([row("ridge", m, s, 0.5) for m, s in [("mse", "all"), ("pcc", "best50"), ("pcc", "all")]])
    others = [row("ridge", "pcc_by_gene", "all", 0.7), row("ridge", "pcc_pooled", "all", 0.6)]
    frame = pd.concat([frame, pd.DataFrame(others)], ignore_index=True)
    (block,) = blocks(frame)
    assert [(c.name, c.scope) for c in block.columns] == [
        ("PCC all", "per slide"),
        ("PCC all", "pooled"),
        ("PCC best50", "per slide"),
        ("MSE all", "per slide"),
        ("PCC all", "by gene"),
    ]
    assert [cell.mean for cell in block.rows[0].cells] == [0.5, 0.6, 0.5, 0.5, 0.7]
    assert [len(group) for group in block.groups] == [2, 1, 1, 1]
    assert block.starts == [0, 2, 3, 4]


def test_controls_follow_contenders_and_never_win():
    frame = pd.DataFrame([row(m, "pcc", "all", v) for m, v in [("oracle", 1.0), ("ridge", 0.3), ("mlp", 0.4)]])
    (block,) = blocks(frame)
    assert [(r.method, r.control) for r in block.rows] == [("ridge", False), ("mlp", False), ("oracle", True)]
    assert [r.cells[0].best for r in block.rows] == [False, True, False]


def test_the_best_error_is_the_lowest():
    frame = pd.DataFrame([row("ridge", "mse", "all", 0.3), row("mlp", "mse", "all", 0.4)])
    assert [r.cells[0].best for r in blocks(frame)[0].rows] == [True, False]


def test_a_single_contender_is_not_called_best():
    assert not blocks(pd.DataFrame([row("ridge", "pcc", "all", 0.3)]))[0].rows[0].cells[0].best


def test_each_protocol_is_a_block_of_its_own():
    frame = pd.DataFrame([row("ridge", "pcc", "all", 0.3), row("ridge", "pcc", "all", 0.5, protocol="classic")])
    assert [(b.protocol, b.rows[0].cells[0].mean) for b in blocks(frame)] == [("log", 0.3), ("classic", 0.5)]


def test_post_hoc_follows_the_column_and_else_the_name():
    stated = pd.DataFrame(
        [row("ridge", "pcc", "all", 0.3, post_hoc=True), row("mlp", "pcc", "all", 0.3, post_hoc=True)]
    )
    assert blocks(stated)[0].columns[0].title == "PCC all (post hoc)"
    unstated = pd.DataFrame([row("ridge", "pcc", s, 0.3) for s in ("all", "hpg50", "best50")])
    assert [c.post_hoc for c in blocks(unstated)[0].columns] == [False, True, True]


def test_two_experiments_with_one_method_and_encoder_are_marked_as_repeated():
    frame = pd.DataFrame([row("ridge", "pcc", "all", 0.3, experiment=name) for name in ("first", "second")])
    assert [(r.experiment, r.repeated) for r in blocks(frame)[0].rows] == [("first", True), ("second", True)]


def test_two_rows_for_one_cell_are_refused():
    with pytest.raises(ValueError, match="two rows for one cell"):
        blocks(pd.DataFrame([row("ridge", "pcc", "all", 0.3), row("ridge", "pcc", "all", 0.4)]))


def test_a_missing_row_leaves_an_empty_cell():
    frame = pd.DataFrame(
        [row("ridge", "pcc", "all", 0.3), row("ridge", "mse", "all", 1.0), row("mlp", "pcc", "all", 0.4)]
    )
    assert [cell is None for cell in blocks(frame)[0].rows[1].cells] == [False, True]


def test_reading_keeps_an_encoder_called_none_and_an_empty_mean(tmp_path):
    path = tmp_path / "leaderboard.tsv"
    pd.DataFrame([row("mean", "pcc", "all", math.nan, encoder="none")]).to_csv(path, sep="\t", index=False)
    frame = read_leaderboard(path)
    assert frame["encoder"].tolist() == ["none"]
    assert frame["mean"].isna().all()


def test_a_leaderboard_without_a_column_is_refused(tmp_path):
    path = tmp_path / "leaderboard.tsv"
    pd.DataFrame([row("mean", "pcc", "all", 0.1)]).drop(columns="n_defined").to_csv(path, sep="\t", index=False)
    with pytest.raises(DataContractError, match="no n_defined"):
        read_leaderboard(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.42, "0.420"), (-0.1, "−0.100"), (-0.0001, "0.000"), (12345.6, "1.235e+04"), (math.nan, "–"), (math.inf, "∞")],
)
def test_numbers_are_short_and_never_a_negative_zero(value, text):
    assert number(value) == text
