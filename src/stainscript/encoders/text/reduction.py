"""Fewer dimensions and unit length: what happens to embeddings after the encoder. NumPy only."""

from __future__ import annotations

import numpy as np

from stainscript.errors import DataContractError


def finish(embeddings: np.ndarray, *, dimension: int | None, normalise: bool) -> np.ndarray:
    """(G, W) → (G, D) float32: principal components if ``dimension`` is given, then rows of unit length if asked for.

    A row of zeros stays one. Raises ``DataContractError`` for more dimensions than G − 1 or W.
    """
    if dimension is not None and dimension != embeddings.shape[1]:
        check_dimension(dimension, genes=len(embeddings), width=embeddings.shape[1], what="the encoder's width")
        embeddings = principal_components(embeddings, dimension)
    if normalise:
        length = np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
        embeddings = embeddings / np.where(length > 0, length, 1)
    return np.ascontiguousarray(embeddings, dtype=np.float32)


def check_dimension(dimension: int, *, genes: int, width: int, what: str) -> None:
    """Raise ``DataContractError`` unless ``dimension`` components can be had of G genes and ``width`` columns."""
    most = min(genes - 1, width)
    if not 1 <= dimension <= most:
        raise DataContractError(
            "config.yaml",
            "text encoder dimension",
            expected=f"1 to {most}, for there are {genes} genes and {what} is {width}",
            found=dimension,
            remedy="lower dimension, or leave it out",
        )


def principal_components(embeddings: np.ndarray, dimension: int) -> np.ndarray:
    """(G, W) → (G, dimension) float64: scores of the centred rows, components by falling variance, signs fixed."""
    centred = embeddings.astype(np.float64)
    centred -= centred.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ fixed_signs(axes[:dimension]).T


def fixed_signs(axes: np.ndarray) -> np.ndarray:
    """(K, W) axes, each turned so that its largest loading by size is positive: a decomposition leaves that open."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return axes * np.where(largest < 0, -1.0, 1.0)
