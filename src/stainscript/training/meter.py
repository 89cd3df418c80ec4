"""Means of loss terms over an epoch."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from stainscript.losses.terms import LossTerms


class Meter:
    """Means over spots of loss terms, summed on the device: the host waits for them once an epoch."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.spots = 0

    def add(self, terms: LossTerms, spots: int) -> None:
        for name, value in {"loss": terms.total, **terms.parts}.items():
            weighted = value.detach().float() * spots
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
        self.spots += spots

    def means(self, prefix: str, fabric: Fabric | None) -> dict[str, float]:
        """``{prefix}_{term}`` → mean, over the spots of all processes of ``fabric``, or of this one alone."""
        names = list(self.sums)
        means = torch.stack([self.sums[name] for name in names]) / self.spots
        if fabric is not None:
            means = fabric.all_reduce(means, reduce_op="mean")
        return {f"{prefix}_{name}": value for name, value in zip(names, means.tolist(), strict=True)}
