"""Sections about genes: the panels that methods predict."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stainscript.config.base import Strict
from stainscript.types import Space


class PanelRule(Strict):
    """How the genes to predict are chosen, on each fold's training slides."""

    rule: Literal["hmhvg", "top_mean", "top_variance", "top_total", "fixed", "hest_hvg", "hest_mean"]
    n: int = Field(gt=0, description="hmhvg: size of both rankings; others: number of genes")
    space: Space = Field(Space.COUNTS, description="space in which mean and variance are ranked")
    exclude_prefixes: tuple[str, ...] = Field((), description="symbols starting so are left out, e.g. MT-, RPS, RPL")
    preselect_hvg: int | None = Field(
        None, gt=0, description="per slide keep this many HVGs first and take the union (Stem)"
    )
    min_spot_share: float = Field(0.0, ge=0, lt=1, description="gene must be seen in this share of training spots")
    scope: Literal["train", "dataset"] = Field(
        "train", description="dataset: over all slides, as the classic papers did; leaks"
    )
    genes: tuple[str, ...] | None = Field(None, description="fixed: the list itself")
    genes_file: str | None = Field(
        None,
        description="fixed: instead of genes, a file of them, from the dataset's root; {task}: its HEST-Bench task",
    )

    @model_validator(mode="after")
    def _one_list(self) -> PanelRule:
        if self.genes_file is not None and (self.rule != "fixed" or self.genes is not None):
            raise ValueError("genes_file belongs to rule fixed, instead of genes")
        return self
