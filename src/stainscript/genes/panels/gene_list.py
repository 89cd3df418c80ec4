"""A list of genes from a file of the user: HEST-Bench's ``var_50genes.json``, or plain text."""

from __future__ import annotations

from pathlib import Path

from stainscript.datasets.hest_tasks import read_genes
from stainscript.errors import DataContractError


def read_gene_list(path: str | Path) -> tuple[str, ...]:
    """Gene ids or symbols in the order of the file.

    ``.json``: ``{"genes": [...]}``, as the benchmark has it; any other suffix: one gene a line, empty lines and what
    follows ``#`` ignored. Raises ``DataContractError`` when the file is absent, of another form, empty, or lists a
    gene twice.
    """
    path = Path(path)
    if not path.is_file():
        raise _wrong(path, "a file with a list of genes", "no such file", "correct genes_file of the panel")
    if path.suffix == ".json":
        return tuple(read_genes(path))
    rows = path.read_text(encoding="utf-8-sig").splitlines()
    genes = [line for row in rows if (line := row.split("#", 1)[0].strip())]
    if not genes:
        raise _wrong(path, "at least one gene", "none", "list the genes")
    twice = sorted({gene for gene in genes if genes.count(gene) > 1})
    if twice:
        raise _wrong(path, "each gene once", f"{twice[0]} more than once", "list it once")
    return tuple(genes)


def _wrong(path: Path, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, "genes", expected=expected, found=found, remedy=remedy)
