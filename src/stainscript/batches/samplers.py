"""Which spots share a batch. A method that needs another grouping brings another sampler; the loop does not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from stainscript.batches.batch import SpotBatch


@runtime_checkable
class Sampler(Protocol):
    """Index arrays into a ``SpotBatch``: (B,), or (B, K) where each spot brings its neighbours.

    A sampler keeps no state: an epoch's order depends on ``rng`` alone, which the loop names by seed, phase and epoch.
    That makes a resumed fit see exactly the batches of an uninterrupted one.
    """

    def epoch(self, spots: SpotBatch, *, rng: np.random.Generator, rank: int = 0, world: int = 1) -> list[np.ndarray]:
        """One epoch's batches for process ``rank`` of ``world``; every process gets equally many, none empty."""
        ...

    def ordered(self, spots: SpotBatch) -> list[np.ndarray]:
        """Every spot exactly once, always in the same batches: for validation and prediction."""
        ...


@dataclass(frozen=True, kw_only=True)
class ShuffledSpots:
    """Spots of all slides in random order; ``batch_size`` counts the spots of all processes together."""

    batch_size: int

    def epoch(self, spots: SpotBatch, *, rng: np.random.Generator, rank: int = 0, world: int = 1) -> list[np.ndarray]:
        order = rng.permutation(len(spots))
        return [_share(part, rank, world) for part in _chunks(order, self.batch_size)]

    def ordered(self, spots: SpotBatch) -> list[np.ndarray]:
        return _chunks(np.arange(len(spots)), self.batch_size)


@dataclass(frozen=True, kw_only=True)
class WholeSlides:
    """Whole slides in random order, ``slides`` of them a batch, packed one after the other.

    Within a batch the spots of a slide stay together and in their stored order; ``slide_index`` tells slides apart.
    """

    slides: int = 1

    def epoch(self, spots: SpotBatch, *, rng: np.random.Generator, rank: int = 0, world: int = 1) -> list[np.ndarray]:
        members = [index for index in spots.spots_of_slides if len(index)]
        groups = _chunks(rng.permutation(len(members)), self.slides * world)
        return [np.concatenate([members[n] for n in _share(group, rank, world)]) for group in groups]

    def ordered(self, spots: SpotBatch) -> list[np.ndarray]:
        return [index for index in spots.spots_of_slides if len(index)]


def _chunks(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _share(part: np.ndarray, rank: int, world: int) -> np.ndarray:
    """Every ``world``-th entry from ``rank`` on; entries repeat where they do not divide evenly."""
    whole = -(-len(part) // world) * world
    return np.resize(part, whole)[rank::world]
