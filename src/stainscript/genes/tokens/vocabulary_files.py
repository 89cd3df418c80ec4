"""Reading a vocabulary, its symbol map and its gene means from the files that models are released with.

Order is meaning here: a gene's place in the file is its number, so nothing is sorted, dropped or repaired.
"""

from __future__ import annotations

import csv
import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stainscript.artifacts.files import complete_file
from stainscript.artifacts.tables import read_rows
from stainscript.errors import DataContractError
from stainscript.genes.panels.gene_list import read_gene_list

CELLFM_COLUMN = "HGNC_gene"
SYMBOL_COLUMNS = ("symbol", "gene_id")
PLAIN_OPCODES = {  # of a pickle that holds a dict of str and nothing else
    *("PROTO", "FRAME", "STOP", "MARK", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
}
DAMAGED = (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def read_vocabulary_genes(path: str | Path) -> tuple[str, ...]:
    """The genes of a vocabulary file in its order, by the file's suffix.

    ``.h5ad``: ``var_names`` (STAMP's ``model.h5ad``); ``.csv``: column ``HGNC_gene`` (CellFM's ``gene_info.csv`` and
    ``expand_gene_info.csv``); ``.tsv``: column ``gene_id``, and ``symbol`` where there is one; ``.txt``: one gene a
    line, ``#`` starts a comment; ``.json``: ``{"genes": [...]}``. Raises ``DataContractError`` for a missing file,
    another suffix or another form; ``Vocabulary`` refuses repeats.
    """
    path = Path(path)
    if not path.is_file():
        raise _unlike(path, "vocabulary", "a file", "no such file", "correct the path of the vocabulary")
    match path.suffix:
        case ".h5ad":
            return _h5ad_genes(path)
        case ".csv":
            return _cellfm_genes(path)
        case ".tsv":
            rows = read_rows(path, required=("gene_id",), optional=("symbol",), what="vocabulary", remedy="")
            return tuple(row["gene_id"] for _, row in rows)
        case ".txt" | ".json":
            return read_gene_list(path)
    known = ".h5ad, .csv, .tsv, .txt or .json"
    raise _unlike(path, "vocabulary", known, path.suffix or "no suffix", "name the file by what it holds")


def _h5ad_genes(path: Path) -> tuple[str, ...]:
    import h5py
    from anndata.io import read_elem

    try:
        with h5py.File(path) as handle:
            return tuple(map(str, read_elem(handle["var"]).index))
    except (OSError, KeyError) as error:
        found = "no var" if isinstance(error, KeyError) else "a file that HDF5 cannot open"
        raise _unlike(path, "vocabulary", "an .h5ad file with var_names", found, "fetch the file again") from error


def _cellfm_genes(path: Path) -> tuple[str, ...]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        rows = csv.reader(handle)
        header = next(rows, [])
        if CELLFM_COLUMN not in header:
            remedy = "use gene_info.csv or expand_gene_info.csv; genemap.csv numbers the genes in another way"
            raise _unlike(path, "columns", CELLFM_COLUMN, ", ".join(header) or "an empty file", remedy)
        place = header.index(CELLFM_COLUMN)
        return tuple(row[place].strip() for row in rows if row)


def read_symbol_ids(path: str | Path) -> dict[str, str]:
    """Symbol → gene id, from a TSV with the columns ``symbol`` and ``gene_id``, or from STAMP's ``.pkl``.

    The pickle is read only if every opcode in it makes text or a dict; anything else, above all what would call code,
    is refused by the opcode's name before a single one is run. Raises ``DataContractError`` for that, for a damaged
    file, for values that are not text, and for a symbol with two ids.
    """
    path = Path(path)
    if not path.is_file():
        raise _unlike(path, "symbols", "a file", "no such file", "correct the path of the symbol map")
    if path.suffix == ".pkl":
        return _plain_pickle(path)
    result: dict[str, str] = {}
    for number, row in read_rows(path, required=SYMBOL_COLUMNS, optional=(), what="symbols", remedy=""):
        if result.setdefault(row["symbol"], row["gene_id"]) != row["gene_id"]:
            found = f"{row['symbol']} again, as {row['gene_id']}"
            raise _unlike(path, f"line {number}", f"one gene id a symbol, {result[row['symbol']]}", found, "keep one")
    return result


def write_symbol_ids(path: str | Path, symbol_ids: Mapping[str, str]) -> None:
    """Write a symbol map as the TSV that ``read_symbol_ids`` reads, so that no pickle is needed any more."""
    rows = ["\t".join(SYMBOL_COLUMNS), *(f"{symbol}\t{gene}" for symbol, gene in symbol_ids.items())]
    with complete_file(path) as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")


class _NoClasses(pickle.Unpickler):
    """Behind the check of opcodes: a class or function is never looked up."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _plain_pickle(path: Path) -> dict[str, str]:
    remedy = "fetch the file from its publisher again, or give a TSV with the columns symbol and gene_id"
    expected = "a pickled dict of text to text"
    content = path.read_bytes()
    try:
        opcodes = [opcode.name for opcode, _, _ in pickletools.genops(content)]
    except ValueError as error:
        raise _unlike(path, "pickle", expected, f"a damaged file ({error})", remedy) from error
    foreign = next((name for name in opcodes if name not in PLAIN_OPCODES), None)
    if foreign is not None:
        raise _unlike(path, "pickle", expected, f"the opcode {foreign}, which was not run", remedy)
    try:
        with path.open("rb") as handle:
            value = _NoClasses(handle).load()
    except DAMAGED as error:
        raise _unlike(path, "pickle", expected, f"a damaged file ({error})", remedy) from error
    if not isinstance(value, dict) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise _unlike(path, "pickle", expected, "something else", remedy)
    return value


def read_means(path: str | Path, *, genes: int, vocabulary: str | Path) -> np.ndarray:
    """Mean count of each vocabulary gene over the spots of a corpus that show it: (V,) float64, NaN where none does.

    path: ``.npy`` (STAMP's ``Visium_mean.npy``); genes, vocabulary: length and file of the vocabulary. Raises
    ``DataContractError`` for another length or type, and for a mean that is 0, negative or infinite.
    """
    remedy = f"use the means that belong to {vocabulary}"
    if not Path(path).is_file():
        raise _unlike(path, "means", "a file", "no such file", "correct the path of the means")
    try:
        means = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise _unlike(path, "means", "an array of numbers (.npy)", str(error)[:80], remedy) from error
    if not isinstance(means, np.ndarray) or means.dtype.kind != "f" or means.shape != (genes,):
        found = f"{means.dtype} {means.shape}" if isinstance(means, np.ndarray) else "an archive"
        raise _unlike(path, "means", f"float64 ({genes},), one for each gene of {vocabulary}", found, remedy)
    wrong = np.flatnonzero(~np.isnan(means) & ~((means > 0) & np.isfinite(means)))
    if wrong.size:
        found = f"{means[wrong[0]]} at position {wrong[0]}"
        raise _unlike(path, "means", "above 0, or NaN for a gene that no spot shows", found, remedy)
    return means.astype(np.float64)


def _unlike(path: str | Path, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
