"""Scales of a coarse-to-fine method: equal blocks of consecutive genes (GenAR section 3; its presets)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

from stainscript.errors import DataContractError, unknown_name

PRESETS = MappingProxyType(
    {
        "paper": (1, 4, 8, 40, 100, 200),  # six scales, GenAR's default
        "k7": (1, 2, 4, 8, 40, 100, 200),
        "k5": (1, 4, 20, 100, 200),
        "k4": (1, 8, 40, 200),
        "k4_paper": (1, 40, 100, 200),  # table 6
        "flat": (1, 20, 200),
        "single": (200,),
    }
)


def scale_dims(scales: str | Sequence[int], *, genes: int) -> tuple[int, ...]:
    """Number of groups at each scale, coarse to fine: a preset's name, or the numbers themselves.

    genes: size of the panel. Raises ``DataContractError`` unless the numbers are positive, increase strictly, each
    divides ``genes``, and the last is ``genes``.
    """
    if isinstance(scales, str):
        if scales not in PRESETS:
            raise unknown_name("groups", "scales", scales, PRESETS)
        scales = PRESETS[scales]
    dims = tuple(int(dim) for dim in scales)
    faults = {
        "at least one scale": not dims,
        "positive numbers": any(dim < 1 for dim in dims),
        "strictly increasing numbers": any(later <= earlier for earlier, later in itertools.pairwise(dims)),
        f"{genes}, the size of the panel, as the last": dims[-1:] != (genes,),
        f"divisors of {genes}, the size of the panel": any(dim > 0 and genes % dim for dim in dims),
    }
    for expected, wrong in faults.items():
        if wrong:
            found = ", ".join(map(str, dims)) or "none"
            raise DataContractError(
                "groups", "scales", expected=expected, found=found, remedy="correct scales, or the size of the panel"
            )
    return dims


def scale_blocks(order: Sequence[int] | np.ndarray, scales: str | Sequence[int]) -> tuple[np.ndarray, ...]:
    """The genes of each group at each scale.

    order: (G,) the genes in their order; scales: see ``scale_dims``. Returns for each scale d an array (d, G / d):
    row i holds the i-th block of consecutive genes.
    """
    order = np.asarray(order)
    return tuple(order.reshape(dim, -1) for dim in scale_dims(scales, genes=len(order)))
