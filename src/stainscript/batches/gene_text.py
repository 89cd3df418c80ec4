"""Gene-text embeddings in the order of a panel: rows are found by gene id, never by place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stainscript.artifacts.stores import open_store
from stainscript.errors import DataContractError

_SHOWN = 5


def load_gene_text(folder: str | Path, gene_ids: Sequence[str]) -> np.ndarray:
    """The rows of ``gene_ids`` (G) from the store of kind ``gene_text`` in ``folder``: (G, D) float32, in that order.

    The store may hold more genes. Raises ``DataContractError`` where it lacks some, which are named, where it holds a
    gene twice, and where a number is not finite.
    """
    folder = Path(folder)
    store = open_store(folder, "gene_text")
    stored = store.ids("gene_id").tolist()
    rows = {gene: row for row, gene in enumerate(stored)}
    if len(rows) != len(stored):
        twice = next(gene for row, gene in enumerate(stored) if rows[gene] != row)
        raise DataContractError(
            folder, "gene_id", expected="each gene once", found=f"{twice} twice", remedy="run embed_genes again"
        )
    missing = [gene for gene in gene_ids if gene not in rows]
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
        raise DataContractError(
            folder,
            "gene_id",
            expected=f"embeddings of the panel's {len(gene_ids)} genes",
            found=f"{len(stored)} genes without {shown}: the embeddings of another panel",
            remedy="run describe_genes and embed_genes on this panel",
        )
    embeddings = store["embeddings"][[rows[gene] for gene in gene_ids]]
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise DataContractError(
            folder,
            "embeddings",
            expected="finite numbers",
            found=f"others at {gene_ids[int(np.flatnonzero(~finite)[0])]}",
            remedy="run embed_genes again",
        )
    return embeddings
