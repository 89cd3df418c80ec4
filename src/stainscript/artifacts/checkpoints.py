"""Checkpoints: safetensors with a JSON text beside the tensors. Pickles are never loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError
from stainscript.types import canonical_json

METADATA = "stainscript"


def write_checkpoint(target: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a safetensors checkpoint; ``metadata`` are short texts (JSON where structured).

    The texts travel under one key, because safetensors writes several in an order that changes between processes.
    """
    from safetensors.numpy import save_file

    with complete_file(target) as path:
        ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
        save_file(ordered, path, metadata={METADATA: canonical_json(dict(metadata))})


def read_checkpoint(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a checkpoint of ``write_checkpoint``: tensors and texts. Anything else, a pickle above all, is refused."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as handle:
            texts = json.loads((handle.metadata() or {}).get(METADATA, "{}"))
            return {name: handle.get_tensor(name) for name in sorted(handle.keys())}, texts
    except SafetensorError as error:
        raise DataContractError(
            path,
            "format",
            expected="a safetensors file",
            found=f"something else ({error})",
            remedy="convert the weights to safetensors; pickles are never loaded",
        ) from error
