"""Rows that arrive in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.artifacts.scratch import scratch_rows
from stainscript.artifacts.stores import open_store, write_store

ATTRS = dict.fromkeys(("dataset", "slide", "view", "encoder", "weights_sha256", "transform", "precision"), "x")


def test_rows_put_backwards_are_read_in_order(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    with scratch_rows(tmp_path / "store", shape=(4, 3), dtype=np.float32) as kept:
        kept.put(np.array([3, 1]), values[[3, 1]])
        kept.put(np.array([0, 2]), values[[0, 2]])
        assert kept.read(0, 4).tolist() == values.tolist()
        assert kept.read(1, 3).tolist() == [[3, 4, 5], [6, 7, 8]]


@given(order=st.permutations(range(7)), size=st.integers(1, 7))
def test_every_order_and_block_size_gives_the_same_array(tmp_path_factory, order, size):
    values = np.arange(14, dtype=np.int16).reshape(7, 2)
    with scratch_rows(tmp_path_factory.mktemp("s") / "store", shape=(7, 2), dtype=np.int16) as kept:
        for start in range(0, 7, size):
            index = np.array(order[start : start + size])
            kept.put(index, values[index])
        assert np.array_equal(kept.read(0, 7), values)


def test_a_store_takes_them_in_groups(tmp_path):
    with scratch_rows(tmp_path / "store", shape=(6, 2), dtype=np.float32) as kept:
        kept.put(np.arange(6), np.arange(12, dtype=np.float32).reshape(6, 2))
        arrays = {
            "features": kept.rows((2, 3, 2)),
            "mask": np.ones((2, 3), bool),
            "spot_id": np.array(["a", "b"], dtype=object),
        }
        write_store(tmp_path / "store", "region_features", arrays, ATTRS)
    found = open_store(tmp_path / "store", "features", "region_features")
    assert found.kind == "region_features"
    assert found["features"].tolist() == np.arange(12).reshape(2, 3, 2).tolist()


def test_nothing_is_left_beside_the_store(tmp_path):
    with scratch_rows(tmp_path / "store", shape=(2, 1), dtype=np.float32) as kept:
        kept.put(np.array([0, 1]), np.zeros((2, 1)))
        assert [path.name for path in tmp_path.iterdir()] == []


def test_a_row_never_put_and_a_row_put_twice_are_refused(tmp_path):
    with scratch_rows(tmp_path / "store", shape=(3, 1), dtype=np.float32) as kept:
        kept.put(np.array([0, 2]), np.zeros((2, 1)))
        with pytest.raises(ValueError, match="1 were never put"):
            kept.read(0, 3)
        with pytest.raises(ValueError, match="put twice"):
            kept.put(np.array([2]), np.zeros((1, 1)))
        with pytest.raises(ValueError, match="put twice"):
            kept.put(np.array([1, 1]), np.zeros((2, 1)))
