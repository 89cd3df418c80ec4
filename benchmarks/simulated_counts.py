"""Simulated ``expression/`` files of a large cohort: sparse counts with the spread that real genes and spots have."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from stainscript import seeds

GENES, DENSITY, SPOTS_A_SLIDE = 20_310, 0.05, 10_000
LIBRARY_SPREAD = 0.4  # standard deviation of the natural logarithm of a spot's depth
GENE_SPREAD = 1.6  # the same of a gene's mean
TABLE = 2**22  # places from which genes are drawn, in proportion to their means


def write_slides(
    folder: Path,
    *,
    slides: int,
    spots: int = SPOTS_A_SLIDE,
    genes: int = GENES,
    density: float = DENSITY,
    seed: int = 0,
) -> list[Path]:
    """Write ``slides`` files of ``spots`` spots, uncompressed CSR int32; ``density``: share of counts above 0."""
    mean = np.exp(seeds.generator(seed, "gene means").normal(0.0, GENE_SPREAD, size=genes))
    mean /= mean.sum()
    table = np.repeat(np.arange(genes, dtype=np.uint16), np.maximum(np.rint(mean * TABLE), 1).astype(np.int64))
    depth = _depth(np.bincount(table, minlength=genes) / len(table), density=density)
    var = pd.DataFrame({"symbol": _symbols(genes)}, index=[f"ENSG{number:011d}" for number in range(genes)])
    paths = []
    for number in range(slides):
        name = f"S{number:05d}"
        counts = _counts(table, spots=spots, genes=genes, depth=depth, rng=seeds.generator(seed, "counts", name))
        adata = anndata.AnnData(
            counts,
            obs=pd.DataFrame(index=[f"spot{spot}" for spot in range(spots)]),
            var=var,
            uns={"dataset": "simulated", "slide": name, "patient": name},
        )
        paths.append(folder / f"{name}.h5ad")
        adata.write_h5ad(paths[-1])
    return paths


def _counts(table: np.ndarray, *, spots: int, genes: int, depth: float, rng: np.random.Generator) -> sparse.csr_matrix:
    """Genes drawn from the table, as many for a spot as its depth says; each that is seen has a count of 1 or more."""
    draws = rng.poisson(depth * np.exp(rng.normal(0.0, LIBRARY_SPREAD, size=spots)))
    cell = np.repeat(np.arange(spots, dtype=np.int64) * genes, draws)
    cell += table[rng.integers(len(table), size=len(cell))]
    cell.sort()
    cell = cell[np.concatenate([[True], np.diff(cell) > 0])]
    pointer = np.searchsorted(cell, np.arange(spots + 1) * genes)
    indices = (cell % genes).astype(np.int32)
    of_gene = np.bincount(table, minlength=genes) / len(table) * genes
    data = 1 + rng.poisson(of_gene[indices]).astype(np.int32)
    return sparse.csr_matrix((data, indices, pointer), shape=(spots, genes))


def _depth(share: np.ndarray, *, density: float) -> float:
    """Draws for a spot of median depth at which the expected share of genes seen is ``density``."""
    spread = np.exp(LIBRARY_SPREAD * np.linspace(-2, 2, 41))
    weight = np.exp(-0.5 * np.linspace(-2, 2, 41) ** 2)
    low, high = 0.0, 100.0 * len(share)
    for _ in range(40):
        middle = (low + high) / 2
        seen = -np.expm1(-np.outer(spread * middle, share)).mean(axis=1)
        low, high = (middle, high) if np.average(seen, weights=weight) < density else (low, middle)
    return middle


def _symbols(genes: int) -> list[str]:
    return [
        f"MT-{number}" if number < 13 else f"RPL{number}" if number < 90 else f"G{number}" for number in range(genes)
    ]
