"""Checkpoints are safetensors, equal bytes for equal content; a pickle is refused and never run."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from stainscript.artifacts import checkpoints
from stainscript.errors import DataContractError


def test_a_checkpoint_survives_and_is_byte_equal(tmp_path: Path) -> None:
    tensors = {"b": np.ones((2, 2), np.float32), "a": np.arange(3)}
    for name in ("one", "two"):
        checkpoints.write_checkpoint(tmp_path / name, tensors, {"y": "1", "x": "2"})
    found, metadata = checkpoints.read_checkpoint(tmp_path / "one")
    np.testing.assert_array_equal(found["a"], [0, 1, 2])
    assert metadata == {"x": "2", "y": "1"}
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_pickle_is_no_checkpoint_and_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataContractError, match="expected a safetensors file"):
        checkpoints.read_checkpoint(path)
    assert not (tmp_path / "sprung").exists()
