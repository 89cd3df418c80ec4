"""Rows of a reference at the smallest Euclidean distance: of all of it, or of some of its slides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK_SPOTS = 512  # spots whose distances are held at once


def nearest_rows(values: np.ndarray, reference: np.ndarray, *, count: int) -> np.ndarray:
    """For each row of ``values`` (S, D), the ``count`` rows of ``reference`` (R, D) at the smallest Euclidean distance.

    Returns (S, count) indices, in ascending order of index.
    """
    return _nearest(values, reference, count=count)[0]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The nearest rows of each slide: whichever slides are allowed, the nearest of all of them are among these."""

    rows: np.ndarray  # (S, C) int64
    distance: np.ndarray  # (S, C) float64, squared, less a number of each spot's own
    slide: np.ndarray  # (C,) int64

    def among(self, slides: np.ndarray, *, count: int) -> np.ndarray:
        """As ``nearest_rows``, of ``slides`` ((N,) bool) alone."""
        columns = np.flatnonzero(slides[self.slide])
        best = np.argpartition(self.distance[:, columns], count - 1, axis=1)[:, :count]
        return np.sort(np.take_along_axis(self.rows[:, columns], best, axis=1), axis=1)


def candidates_of_slides(
    values: np.ndarray, reference: np.ndarray, *, slide_index: np.ndarray, count: int
) -> Candidates:
    """The ``count`` nearest rows of each slide, or all where it has fewer; slide_index: (R,) of ``reference``."""
    rows, distance, slide = [], [], []
    for number in np.unique(slide_index):
        members = np.flatnonzero(slide_index == number)
        found, how_far = _nearest(values, reference[members], count=min(count, len(members)))
        rows.append(members[found])
        distance.append(how_far)
        slide.append(np.full(found.shape[1], number))
    return Candidates(
        rows=np.concatenate(rows, axis=1), distance=np.concatenate(distance, axis=1), slide=np.concatenate(slide)
    )


def _nearest(values: np.ndarray, reference: np.ndarray, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    reference = reference.astype(np.float64)
    lengths = np.einsum("rd,rd->r", reference, reference)
    found = np.empty((len(values), count), dtype=np.int64)
    how_far = np.empty((len(values), count))
    for start in range(0, len(values), BLOCK_SPOTS):
        block = values[start : start + BLOCK_SPOTS].astype(np.float64)
        distance = lengths - 2.0 * (block @ reference.T)  # the block's own lengths shift every column alike
        rows = np.sort(np.argpartition(distance, count - 1, axis=1)[:, :count], axis=1)
        found[start : start + BLOCK_SPOTS] = rows
        how_far[start : start + BLOCK_SPOTS] = np.take_along_axis(distance, rows, axis=1)
    return found, how_far
