"""Measured profiles that a checkpoint keeps, for methods that hand back what they have seen."""

from __future__ import annotations

import numpy as np

from stainscript.batches.batch import SpotBatch
from stainscript.batches.measured import GenePattern, everywhere, gene_patterns, patterns_of


def profiles_of(spots: SpotBatch) -> dict[str, np.ndarray]:
    """``target`` (R, G) of the training spots; where some gene is not measured everywhere also ``measured`` (N, G) and
    ``slide_index`` (R,), and zeros for what was not measured."""
    if everywhere(patterns_of(spots), spots):
        return {"target": spots.target}
    known = np.where(spots.target_mask, spots.target, np.float32(0))
    return {"target": known, "measured": spots.measured, "slide_index": spots.slide_index}


def stored_patterns(tensors: dict[str, np.ndarray]) -> list[GenePattern]:
    """Which genes of the stored profiles belong together: one pattern with all of them, or as ``profiles_of`` found."""
    rows, genes = tensors["target"].shape
    index = tensors["slide_index"] if "measured" in tensors else np.zeros(rows, dtype=np.int64)
    return gene_patterns(tensors.get("measured"), slide_index=index, genes=genes)
