"""GenAR's count tokens: each panel gene's count is its token, capped (appendix D and released code)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.moments import GeneSums
from stainscript.genes.normalise import library_size_of, to_space
from stainscript.types import Space

BELOW_ZERO = 1e-6  # a count may be this far below 0, and this far from a whole number:
FROM_WHOLE = 1e-4
LEAST_EXCESS = 1e-6  # of variance over mean
DISPERSION_RANGE = (1e-3, 1e6)


def panel_columns(gene_ids: Sequence[str], panel: Sequence[str], *, path: str | Path) -> np.ndarray:
    """Columns of the panel's genes among a slide's ``gene_ids``, (G,), in panel order; none may be missing.

    path: the slide's file. Raises ``DataContractError`` that names the first missing gene.
    """
    place = {gene: column for column, gene in enumerate(gene_ids)}
    missing = [gene for gene in panel if gene not in place]
    if missing:
        raise DataContractError(
            path,
            "gene_id",
            expected=f"all {len(panel)} genes of the panel",
            found=f"no {missing[0]} ({len(missing)} genes of the panel are not measured on this slide)",
            remedy="leave the slide out of the split, or choose a panel of genes that every slide measures",
        )
    return np.array([place[gene] for gene in panel], dtype=np.int64)


def panel_counts(counts: sparse.csr_matrix, columns: np.ndarray, *, path: str | Path) -> np.ndarray:
    """Whole counts of the panel, not capped: (S, G) int64; counts: (S, all genes) CSR; path: the slide's file.

    Raises ``DataContractError`` for NaN, a value below −1e-6, and one further than 1e-4 from a whole number.
    """
    values = counts[:, columns].toarray()
    known = values if values.dtype.kind in "iu" else np.where(np.isfinite(values), values, -1.0)
    whole = np.rint(known).astype(np.int64)
    wrong = (known < -BELOW_ZERO) | (np.abs(known - whole) > FROM_WHOLE)
    if wrong.any():
        spot, gene = np.argwhere(wrong)[0]
        raise DataContractError(
            path,
            "counts",
            expected="whole numbers from 0",
            found=f"{values[spot, gene]} at spot {spot}, gene {gene} of the panel",
            remedy="give raw counts: normalised or corrected values have no count tokens",
        )
    return whole


def count_tokens(counts: np.ndarray, *, cap: int) -> np.ndarray:
    """Tokens (S, G) int32 in 0 … cap of whole counts (S, G): a count of ``cap`` or more is token ``cap``."""
    return np.clip(counts, 0, cap).astype(np.int32)


def continuous_targets(counts: np.ndarray) -> np.ndarray:
    """Targets of GenAR's continuous ablation: ``log1p_cp10k`` with the panel's library size, (S, G) float32.

    counts: (S, G), not capped. A spot without a count of the panel stays 0.
    """
    return to_space(counts, space=Space.LOG1P_CP10K, library_size=library_size_of(counts))


@dataclass(frozen=True, kw_only=True)
class CountStatistics:
    """Per gene of the panel over the training slides' spots: mean count, and dispersion θ of a negative binomial."""

    mean: np.ndarray  # (G,)
    dispersion: np.ndarray  # (G,)


def count_statistics(sums: GeneSums) -> CountStatistics:
    """θ = mean² / (variance − mean), the excess at least 1e-6 and θ within 1e-3 … 1e6 (GenAR's diagnostics).

    sums: of uncapped counts over the training slides' spots; the variance is the population's.
    """
    excess = np.maximum(sums.variance - sums.mean, LEAST_EXCESS)
    return CountStatistics(mean=sums.mean, dispersion=np.clip(sums.mean**2 / excess, *DISPERSION_RANGE))
