"""Mean and variance of a panel's genes over the spots that measure them, one slide in memory at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import anndata
import numpy as np

from stainscript.genes.normalise import gene_columns, measures, target_matrix
from stainscript.types import Target

DENSE_ENTRIES = 2**25  # spots × genes that are dense at a time: 256 MiB of float64


class PanelMoments:
    """Mean and population variance per gene of slides that come one by one (Chan's merge, float64).

    A slide that does not measure a gene says nothing about it: ``spots`` (G,) counts the spots that do.
    """

    def __init__(self, gene_ids: Sequence[str], target: Target) -> None:
        self.gene_ids, self.target = np.asarray(gene_ids, dtype=object), target
        self.spots = np.zeros(len(gene_ids), dtype=np.int64)
        self.mean = np.zeros(len(gene_ids))
        self.m2 = np.zeros(len(gene_ids))

    def add(self, adata: anndata.AnnData) -> None:
        """Take in the counts of one slide; the panel's genes are transformed a part at a time."""
        there = np.flatnonzero(measures(adata, self.gene_ids))
        target = self.target
        if target.library == "panel":  # the panel alone, so that its parts share its library size
            adata = adata[:, gene_columns(adata, self.gene_ids[there])].copy()
            target = dataclasses.replace(target, library="all")
        width = max(1, DENSE_ENTRIES // max(adata.n_obs, 1))
        for start in range(0, len(there), width):
            part = there[start : start + width]
            self._merge(part, target_matrix(adata, gene_ids=self.gene_ids[part], target=target))

    def _merge(self, part: np.ndarray, values: np.ndarray) -> None:
        block = np.asarray(values, dtype=np.float64)
        mean, spots = block.mean(axis=0), self.spots[part] + len(block)
        step = mean - self.mean[part]
        self.m2[part] += np.square(block - mean).sum(axis=0) + step**2 * (self.spots[part] * len(block) / spots)
        self.mean[part] += step * (len(block) / spots)
        self.spots[part] = spots

    @property
    def variance(self) -> np.ndarray:
        """(G,) population variance of everything taken in."""
        return self.m2 / self.spots
