"""Reference statistics of the genes of many slides, and the quality of each slide."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.artifacts.files import write_json, write_parquet
from stainscript.genes.statistics import table as statistics

logger = logging.getLogger(__name__)


def gene_statistics(
    *,
    expression: Sequence[str | Path],
    scheduler: str | None,
    block_spots: int,
    hvg: Mapping[str, Any],
    out: str | Path,
    qc: str | Path,
    threads: int | None = None,
) -> None:
    """Write the statistics as Parquet, one row a gene of any slide, and the quality as JSON, one object a slide.

    expression: counts of the slides, for a fold its training slides; scheduler: address of a dask scheduler, or
    ``None`` for ``threads`` of this process, by default one for each of its cores; block_spots: spots that one task
    reads at once; hvg: ``n`` (genes ranked), ``flavours`` (of ``seurat``, ``seurat_v3``), and ``space`` and ``batches``
    (``slide`` or ``pooled``) of ``seurat_v3``. Columns: ``genes/statistics/table.py``. Raises ``DataContractError`` for
    counts that cannot be read by blocks, a slide given twice, options it does not know and a scheduler that does not
    answer.
    """
    frame, quality = statistics.gene_statistics(
        list(expression), hvg=statistics.hvg_of(hvg), block_spots=block_spots, scheduler=scheduler, threads=threads
    )
    write_parquet(out, frame)
    write_json(qc, {"slides": quality})
    logger.info("statistics of %d genes over %d spots of %d slides", len(frame), _spots(quality), len(quality))


def _spots(quality: Sequence[Mapping[str, Any]]) -> int:
    return sum(slide["spots"] for slide in quality)
