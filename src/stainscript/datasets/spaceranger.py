"""Space Ranger's count matrices, versions 1 to 4. Not a layout: it has no ``files``."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import io, sparse

from stainscript.datasets.counts import checked_counts, open_text
from stainscript.errors import DataContractError, unknown_name

logger = logging.getLogger(__name__)

GENE_EXPRESSION = "Gene Expression"
GENOME_PREFIX = r"^(.+?)_+(?=ENS[A-Z]*G\d{11})"  # GRCh38_ENSG..., mm10___ENSMUSG...: how a mixed reference names genes
DAMAGED = (OSError, EOFError, zlib.error, ValueError, KeyError, UnicodeDecodeError)


def read_matrix(files: Mapping[str, Path], *, genome: str = "") -> anndata.AnnData:
    """Counts (barcode, gene) of a matrix in ``.h5`` or ``.mtx``.

    Features of other types than genes (antibodies of a CytAssist protein run, for one) are left out, their number is
    logged. genome: which one of a mixed reference; needed only where there are several, whose names then leave the
    gene ids. Raises ``DataContractError`` for a damaged or foreign file, one without genes, several genomes without
    a choice, and everything that ``checked_counts`` refuses.
    """
    path = Path(files["matrix"])
    try:
        values, barcodes, features = _from_h5(path, genome) if path.suffix == ".h5" else _from_mtx(files)
    except DAMAGED as error:
        raise DataContractError(
            path,
            "matrix",
            expected="a complete 10x matrix (.h5 of layout 2 or 3, or .mtx with barcodes and features)",
            found=error,
            remedy="copy Space Ranger's output again",
        ) from error
    if values.shape[1] != len(features):
        raise DataContractError(
            path,
            "features",
            expected=f"{values.shape[1]} features, as the matrix has",
            found=len(features),
            remedy="take all files of the matrix from one export",
        )
    keep = np.flatnonzero(_chosen_genes(features, genome, path))
    genes = features.iloc[keep]
    if features["genome"].nunique() > 1:
        prefix = f"^{re.escape(genes['genome'].iloc[0])}_+"
        genes = genes.assign(**{name: genes[name].str.replace(prefix, "", regex=True) for name in ("id", "symbol")})
    return checked_counts(
        values if len(keep) == values.shape[1] else values[:, keep],
        path=path,
        spot_ids=barcodes,
        gene_ids=genes["id"].to_numpy(),
        symbols=genes["symbol"].to_numpy(),
    )


def _chosen_genes(features: pd.DataFrame, genome: str, path: Path) -> np.ndarray:
    """(features,) bool: those of type Gene Expression and of the genome."""
    genes = (features["kind"] == GENE_EXPRESSION).to_numpy()
    if len(features) and not genes.any():
        raise DataContractError(
            path,
            "feature types",
            expected=GENE_EXPRESSION,
            found=", ".join(sorted(set(features["kind"]))),
            remedy="give the matrix of the gene expression library",
        )
    others = features["kind"][~genes].value_counts()
    if len(others):
        found = ", ".join(f"{number} {kind}" for kind, number in others.sort_index().items())
        logger.info("%s: %d features of other types than genes left out (%s)", path, int((~genes).sum()), found)
    names = sorted(set(features["genome"][genes]) - {""})
    wanted = _chosen_genome(names, genome, path)
    return genes & (features["genome"] == wanted).to_numpy() if len(names) > 1 else genes


def _chosen_genome(names: Sequence[str], genome: str, path: Path) -> str:
    """The only one of ``names``, or ``genome``."""
    if genome and names and genome not in names:
        raise unknown_name(path, "genome", genome, names)
    if len(names) > 1 and not genome:
        raise DataContractError(
            path,
            "genome",
            expected="one genome, or the option genome",
            found=f"{len(names)} ({', '.join(names)})",
            remedy="set the option genome to one of them",
        )
    return genome or (names[0] if names else "")


def _from_h5(path: Path, genome: str) -> tuple[sparse.csr_matrix, np.ndarray, pd.DataFrame]:
    with h5py.File(path, "r") as file:
        if "matrix" in file:  # layout 3
            group = file["matrix"]
            listed = group["features"]
            columns = {"id": "id", "symbol": "name", "kind": "feature_type", "genome": "genome"}
            features = pd.DataFrame({key: _text(listed[name]) for key, name in columns.items() if name in listed})
            absent = {"id", "symbol", "kind"} - set(features)
            if absent:
                raise KeyError(f"features without {', '.join(sorted(columns[key] for key in absent))}")
        else:  # layout 2: one group for each genome
            names = [name for name in file if isinstance(file[name], h5py.Group) and "gene_names" in file[name]]
            if not names:
                raise ValueError(f"no group of a 10x matrix; the file holds {', '.join(file) or 'nothing'}")
            group = file[_chosen_genome(names, genome, path)]
            features = pd.DataFrame({"id": _text(group["genes"]), "symbol": _text(group["gene_names"])})
        shape = tuple(int(n) for n in group["shape"][:])
        by_barcode = sparse.csc_matrix((group["data"][:], group["indices"][:], group["indptr"][:]), shape=shape)
        return by_barcode.T.tocsr(), _text(group["barcodes"]), _with_defaults(features)


def _from_mtx(files: Mapping[str, Path]) -> tuple[sparse.csr_matrix, np.ndarray, pd.DataFrame]:
    table = _lines(files["features"])
    widths = {len(cells) for cells in table}
    if len(widths) > 1:
        raise ValueError(f"{files['features']}: rows of {sorted(widths)} cells")
    columns = dict(zip(("id", "symbol", "kind"), zip(*table, strict=True), strict=False))  # genes.tsv has two of them
    features = pd.DataFrame({name: np.array(values, dtype=object) for name, values in columns.items()})
    features = _with_defaults(features if len(table) else pd.DataFrame({"id": np.array([], dtype=object)}))
    features["genome"] = features["id"].str.extract(GENOME_PREFIX)[0].fillna("").to_numpy()
    barcodes = np.array([cells[0] for cells in _lines(files["barcodes"])], dtype=object)
    return sparse.csr_matrix(io.mmread(files["matrix"])).T.tocsr(), barcodes, features


def _with_defaults(features: pd.DataFrame) -> pd.DataFrame:
    """What old layouts do not say: symbols are the ids, every feature is a gene, of a genome without a name."""
    defaults = {"symbol": features["id"], "kind": GENE_EXPRESSION, "genome": ""}
    return features.assign(**{name: value for name, value in defaults.items() if name not in features})


def _lines(path: Path) -> list[list[str]]:
    with open_text(path) as handle:
        return [line.rstrip("\r\n").split("\t") for line in handle if line.strip()]


def _text(array: Any) -> np.ndarray:
    return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in array[:]], dtype=object)
