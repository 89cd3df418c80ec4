"""The panel's counts over all training spots, stacked from slides that are read a block of spots at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stainscript.errors import DataContractError
from stainscript.genes.backed import Expression, blocks, read_head


def panel_counts(expression: Sequence[Expression], gene_ids: Sequence[str]) -> np.ndarray:
    """Raw counts (S, G) float64 of the genes over the spots of all slides, in the order given.

    NaN where a slide does not measure a gene. Only this matrix is dense: 8 bytes × spots × genes, 22 MB for 13,600
    spots of 200 genes. Raises ``DataContractError`` for a gene that no slide measures.
    """
    heads = [read_head(item) for item in expression]
    stacked = np.full((sum(head.shape[0] for head in heads), len(gene_ids)), np.nan)
    measured = np.zeros(len(gene_ids), dtype=bool)
    start = 0
    for item, head in zip(expression, heads, strict=True):
        column_of = {gene: column for column, gene in enumerate(head.gene_ids)}
        there = np.array([position for position, gene in enumerate(gene_ids) if gene in column_of], dtype=np.int64)
        columns = [column_of[gene_ids[position]] for position in there]
        measured[there] = True
        for rows, counts in blocks(item):
            stacked[start + rows.start : start + rows.stop, there] = counts[:, columns].toarray()
        start += head.shape[0]
    if not measured.all():
        absent = [gene_ids[position] for position in np.flatnonzero(~measured)]
        raise DataContractError(
            "groups",
            "gene_id",
            expected="panel genes that at least one training slide measures",
            found=f"{', '.join(absent[:5])} on none of {len(heads)} slides ({len(absent)} such genes)",
            remedy="choose the panel on these slides",
        )
    return stacked
