"""Reference statistics per gene over the slides of a cohort, exact, without holding the slides in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.backed import Expression
from stainscript.genes.statistics.block_sums import Pool, Values, known_slides, sums_by_slide
from stainscript.genes.statistics.dask_blocks import computing
from stainscript.genes.statistics.qc import summary
from stainscript.genes.variability.seurat import score_of
from stainscript.genes.variability.seurat_v3 import Batches, Ranking
from stainscript.types import Space

if TYPE_CHECKING:
    import pandas as pd

FLAVOURS = ("seurat", "seurat_v3")
Flavour = Literal["seurat", "seurat_v3"]


@dataclass(frozen=True, kw_only=True)
class Hvg:
    """Which ranks of highly variable genes to add; every gene beyond the first ``n`` has rank −1.

    flavours: none, one or both of ``seurat`` and ``seurat_v3``; space, batches: of ``seurat_v3`` (``variable_v3.py``).
    """

    n: int
    flavours: tuple[Flavour, ...]
    space: Space
    batches: Batches


def hvg_of(options: Mapping[str, Any]) -> Hvg:
    """The ranks asked for by the plain dict that a stage is given; every key must be there, and no other."""
    known = ("n", "flavours", "space", "batches")
    for key in options:
        if key not in known:
            raise unknown_name("config.yaml", "statistics", key, known)
    for flavour in options["flavours"]:
        if flavour not in FLAVOURS:
            raise unknown_name("config.yaml", "statistics.flavours", flavour, FLAVOURS)
    if options["space"] not in list(Space):
        raise unknown_name("config.yaml", "statistics.space", str(options["space"]), list(Space))
    if options["batches"] not in ("slide", "pooled"):
        raise unknown_name("config.yaml", "statistics.batches", str(options["batches"]), ("slide", "pooled"))
    if options["n"] < 1:
        raise DataContractError(
            "config.yaml",
            "statistics.n",
            expected="1 or more",
            found=options["n"],
            remedy="correct it, or name no flavour",
        )
    return Hvg(**{**options, "flavours": tuple(options["flavours"]), "space": Space(options["space"])})


def gene_statistics(
    expression: Sequence[Expression],
    *,
    hvg: Hvg,
    block_spots: int,
    scheduler: str | None,
    threads: int | None = None,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Statistics of every gene that some slide measures, and the quality of every slide.

    expression: files or AnnData of counts; block_spots: spots read at once by one task; scheduler, threads: see
    ``dask_blocks``. Genes are joined by gene id, and judged on the spots of the slides that measure them. The frame
    has one row a gene, in order of gene id:

    gene_id, symbol; n_slides and n_spots that measure it; n_detected spots with a count; total of the counts;
    mean, variance (population) of the counts; nonzero_mean, over the spots with a count (STAMP's reference; NaN for a
    gene never seen); mean_log1p_cp10k, variance_log1p_cp10k (population; library size over all genes of the slide);
    seurat_rank, seurat_v3_rank (0 the most variable, −1 not among the first n or not asked for).

    The quality is one dict a slide, in the order given (``qc.summary``, and the slide's dataset and name). Sums are
    exact, so the result depends neither on blocks nor on workers. Raises ``DataContractError`` for what is no count.
    """
    slides, genes, symbols = known_slides(expression)
    spaces = [Space.COUNTS, Space.LOG1P_CP10K]
    values: list[Values] = list(dict.fromkeys([*spaces, hvg.space])) if "seurat_v3" in hvg.flavours else [*spaces]
    if "seurat" in hvg.flavours:
        values.append("share")
    pool, quality, library = Pool(len(genes)), [], []
    no_rank = np.full(len(genes), -1, dtype=np.int64)
    with computing(scheduler, threads=threads) as compute:
        ranking = Ranking(
            len(genes),
            among=np.arange(len(genes)),
            n=hvg.n,
            space=hvg.space,
            batches=hvg.batches,
            ties="place",
            block_spots=block_spots,
            compute=compute,
        )
        parts = sums_by_slide(slides, values=values, block_spots=block_spots, compute=compute)
        for slide, part in zip(slides, parts, strict=True):
            pool.add(slide, part)
            library.append(part.spots.counts)
            facts = summary(part.spots, detected=part.detected, kinds=slide.kinds)
            quality.append({"dataset": slide.dataset, "slide": slide.slide, **facts})
            if "seurat_v3" in hvg.flavours:
                ranking.add(slide, part.sums[hvg.space])
        v3_rank = ranking.ranks() if "seurat_v3" in hvg.flavours else no_rank
    rank = _seurat_ranks(pool, np.concatenate(library), n=hvg.n) if "seurat" in hvg.flavours else no_rank
    return _frame(pool, genes, symbols, seurat_rank=rank, seurat_v3_rank=v3_rank), quality


def _frame(pool: Pool, genes: Sequence[str], symbols: Sequence[str], **ranks: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    counts, logs = pool.sums[Space.COUNTS], pool.sums[Space.LOG1P_CP10K]
    return pd.DataFrame(
        {
            "gene_id": list(genes),
            "symbol": list(symbols),
            "n_slides": pool.slides,
            "n_spots": pool.spots,
            "n_detected": pool.detected,
            "total": counts.total.integers.astype(np.int64),
            "mean": counts.total.over(pool.spots),
            "variance": counts.variance(pool.spots, ddof=0),
            "nonzero_mean": counts.total.over(pool.detected),
            "mean_log1p_cp10k": logs.total.over(pool.spots),
            "variance_log1p_cp10k": logs.variance(pool.spots, ddof=0),
            **ranks,
        }
    )


def _seurat_ranks(pool: Pool, library: np.ndarray, *, n: int) -> np.ndarray:
    """Ranks by the standardised dispersion of ``variable.py``, over the spots of all slides as if they were one slide.

    library: (S,) counts of every spot. Counts are scaled to the median library size of the spots that have counts, and
    those alone are taken; a gene counts such spots of the slides that measure it; variance with ddof 1.
    """
    shares = pool.sums["share"]
    size = np.median(library[library > 0]) if library.any() else 1.0
    mean = shares.total.over(pool.filled) * size
    variance = shares.variance(pool.filled, ddof=1) * size**2
    present = np.flatnonzero((pool.detected > 0) & (pool.filled > 1))
    result = np.full(len(pool.slides), -1, dtype=np.int64)
    if present.size:
        score = score_of(mean=mean[present], variance=variance[present])
        order = np.argsort(-score, kind="stable")[: min(n, int(np.count_nonzero(~np.isnan(score))))]
        result[present[order]] = np.arange(len(order))
    return result
