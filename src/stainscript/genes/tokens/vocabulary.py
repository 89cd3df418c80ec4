"""The ordered genes that tokens number, with every special id and the rows of the embedding table, defined once.

STAMP (paper section 3.2 and released code): token = gene index + offset, 0 on disk means no gene. CellFM, which HINGE
builds on: gene id = row in the vocabulary file from 1, 0 means no gene, the table is padded to a multiple of 8 rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from stainscript.errors import DataContractError

STORED_PAD = 0  # in every token store: no gene at this position
RELEASED_SPECIALS = {"mask": 0, "pad": 1, "cls": 2, "protected": 3}  # inside STAMP's released network; 4 … 29 are free
RELEASED_SPARE_ROWS = 5  # of its embedding table, beyond the last gene
CELLFM_ROW_STEP = 8
HUMAN_GENE = re.compile(r"ENSG\d{11}")
KNOWN_FILES = {  # rows of a checkpoint's gene table → the vocabulary file that it was trained with
    20_345: "model.h5ad of STAMP (20,310 genes)",
    24_080: "gene_info.csv of CellFM (24,078 genes)",
    27_856: "expand_gene_info.csv of CellFM (27,855 genes)",
}


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """V genes in order; the token of gene ``i`` (from 0) is ``i + id_offset``.

    special: names → ids inside the network (``pad``, ``mask``, ``cls``, ``protected``; those that exist); rows: of the
    network's embedding table; symbol_ids: symbol → gene id, where the vocabulary brings such a map; path: its file.
    Raises ``DataContractError`` for no gene, an empty id, or an id that comes twice.
    """

    gene_ids: tuple[str, ...]
    id_offset: int
    rows: int
    special: Mapping[str, int]
    symbol_ids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    path: str = "vocabulary"

    def __post_init__(self) -> None:
        if not self.gene_ids or not all(self.gene_ids):
            raise _unlike(self.path, "a gene id in every line", "none" if not self.gene_ids else "an empty one")
        if len(self.index) < len(self.gene_ids):
            last = {gene: n for n, gene in enumerate(self.gene_ids)}
            twice = next(gene for n, gene in enumerate(self.gene_ids) if last[gene] != n)
            raise _unlike(self.path, "each gene id once", f"{twice} more than once")

    def __len__(self) -> int:
        return len(self.gene_ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """Gene id → position from 0."""
        return {gene: position for position, gene in enumerate(self.gene_ids)}

    @cached_property
    def sha256(self) -> str:
        """Identity of the vocabulary: SHA-256 of the ordered ids, joined by line feeds."""
        return hashlib.sha256("\n".join(self.gene_ids).encode()).hexdigest()

    def token(self, gene: str) -> int:
        """The token of one gene id; raises ``KeyError`` for a gene that the vocabulary lacks."""
        return self.index[gene] + self.id_offset

    def genes_of(self, tokens: np.ndarray) -> np.ndarray:
        """Gene ids of stored tokens, any shape, dtype object; ``""`` where there is no gene."""
        names = np.array(["", *self.gene_ids], dtype=object)
        return names[np.where(tokens == STORED_PAD, 0, tokens - self.id_offset + 1)]


def stamp_vocabulary(
    gene_ids: Sequence[str], *, id_offset: int, symbol_ids: Mapping[str, str] | None = None, path: str | Path
) -> Vocabulary:
    """A vocabulary of STAMP's gene encoder.

    id_offset: 30 is the released layout: ids 0 … 29 are special, the table has V + 35 rows. With an offset below 4
    (1: the paper's numbering) there is no room in front, so mask and cls follow the last gene; the paper does not
    place them. Raises ``DataContractError`` for an offset below 1, which would give a gene the id of no gene.
    """
    if id_offset < 1:
        raise DataContractError(
            path,
            "id_offset",
            expected="1 or more: 0 means no gene",
            found=id_offset,
            remedy="set id_offset to 1 (paper) or 30 (release)",
        )
    end = len(gene_ids) + id_offset
    front = id_offset > max(RELEASED_SPECIALS.values())
    return Vocabulary(
        gene_ids=tuple(gene_ids),
        id_offset=id_offset,
        rows=end + RELEASED_SPARE_ROWS if front else end + 2,
        special=RELEASED_SPECIALS if front else {"pad": STORED_PAD, "mask": end, "cls": end + 1},
        symbol_ids=symbol_ids or {},
        path=str(path),
    )


def cellfm_vocabulary(gene_ids: Sequence[str], *, path: str | Path) -> Vocabulary:
    """A vocabulary of CellFM: ids from 1, and V + 1 rows rounded up to a multiple of 8."""
    rows = -(-(len(gene_ids) + 1) // CELLFM_ROW_STEP) * CELLFM_ROW_STEP
    return Vocabulary(gene_ids=tuple(gene_ids), id_offset=1, rows=rows, special={"pad": 0}, path=str(path))


def build_genes(genes: Iterable[str]) -> tuple[str, ...]:
    """The vocabulary of a cohort: the union of the training slides' gene ids, ascending as strings."""
    return tuple(sorted(set(genes)))


def human_positions(gene_ids: Sequence[str], *, path: str | Path) -> np.ndarray:
    """Positions of the plain human Ensembl ids, (H,) ascending: no mouse gene, no id with a ``-1`` suffix.

    Of STAMP's released 20,310 ids that leaves 20,119. Raises ``DataContractError`` when it leaves none.
    """
    kept = np.flatnonzero([HUMAN_GENE.fullmatch(gene) is not None for gene in gene_ids])
    if not kept.size:
        raise _unlike(path, "human Ensembl ids (ENSG and 11 digits), for vocab: human_only", f"{gene_ids[0]} and such")
    return kept


def check_rows(vocabulary: Vocabulary, *, rows: int, path: str | Path) -> None:
    """Raise ``DataContractError`` unless a checkpoint's gene table has the rows that the vocabulary asks for.

    rows, path: of the checkpoint. Shifted ids would load without complaint and mean other genes, so nothing is padded
    or cut; the error names both files, and the vocabulary file that has this number of rows where one is known.
    """
    if rows == vocabulary.rows:
        return
    known = KNOWN_FILES.get(rows)
    raise DataContractError(
        path,
        "rows of the gene table",
        expected=f"{vocabulary.rows}, for the {len(vocabulary)} genes of {vocabulary.path}",
        found=rows,
        remedy=f"use {known}" if known else "use the vocabulary file that the checkpoint was trained with",
    )


def _unlike(path: str | Path, expected: str, found: str) -> DataContractError:
    return DataContractError(path, "gene ids", expected=expected, found=found, remedy="correct the vocabulary file")
