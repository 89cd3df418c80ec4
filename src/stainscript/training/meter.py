"""Means of loss terms over an epoch."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from stainscript.losses.terms import LossTerms


class Meter:
    """Means over spots of loss terms, summed on the device: the host waits for them once an epoch.

    Where a loss says how much of its spots was measured (``LossTerms.spots``), batches weigh by that: the mean is then
    over all measured entries of the epoch, however they were divided into batches.
    """

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.spots: int | torch.Tensor = 0

    def add(self, terms: LossTerms, spots: int) -> None:
        weight = spots if terms.spots is None else terms.spots.detach().float()
        for name, value in {"loss": terms.total, **terms.parts}.items():
            weighted = value.detach().float() * weight
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
        self.spots = self.spots + weight

    def means(self, prefix: str, fabric: Fabric | None) -> dict[str, float]:
        """``{prefix}_{term}`` → mean, over the spots of all processes of ``fabric``, or of this one alone."""
        names = list(self.sums)
        sums, spots = torch.stack([self.sums[name] for name in names]), self.spots
        if fabric is None:
            means = sums / spots
        elif isinstance(spots, int):  # every process has as many
            means = fabric.all_reduce(sums / spots, reduce_op="mean")
        else:
            means = fabric.all_reduce(sums, reduce_op="sum") / fabric.all_reduce(spots.clone(), reduce_op="sum")
        return {f"{prefix}_{name}": value for name, value in zip(names, means.tolist(), strict=True)}
