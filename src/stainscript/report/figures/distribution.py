"""Per-gene PCC of every experiment, as the report's distribution figure draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stainscript.report.blocks import CONTROLS

SCALE = 1000  # PCC travels as integers in thousandths


def gene_means(genes: pd.DataFrame) -> pd.DataFrame:
    """Mean PCC of each gene over slides, folds and seeds, undefined values left out.

    genes: rows of ``genes.parquet`` (experiment, slide, gene_id, symbol, pcc, in_heg, in_hvg). Returns one row an
    experiment and gene: experiment, gene_id, symbol, pcc (NaN where no slide defines it), heg, hvg (in any fold).
    """
    grouped = genes.groupby(["experiment", "gene_id"], sort=True)
    return grouped.agg(
        symbol=("symbol", "first"), pcc=("pcc", "mean"), heg=("in_heg", "any"), hvg=("in_hvg", "any")
    ).reset_index()


def distributions(
    genes: pd.DataFrame, experiments: Sequence[Mapping[str, Any]], labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One figure a dataset and protocol: the genes it holds and, for each experiment, their mean PCC.

    Contenders come first, by falling median; controls follow. ``gene`` are indices into ``symbols``, ``pcc`` is in
    thousandths, ``mark`` is 1 for HEG, 2 for HVG, 3 for both. Undefined genes are counted, not drawn.
    """
    means = gene_means(genes)
    figures = []
    for dataset, protocol in dict.fromkeys((e["dataset"], e["protocol"]) for e in experiments):
        here = {e["name"]: e for e in experiments if (e["dataset"], e["protocol"]) == (dataset, protocol)}
        part = means[means["experiment"].isin(list(here))]
        ids, index = np.unique(part["gene_id"].to_numpy(dtype=object), return_inverse=True)
        symbols = part.drop_duplicates("gene_id").set_index("gene_id")["symbol"].loc[ids].tolist()
        part = part.assign(index=index)
        rows = [
            _row(name, labels[name], here[name]["method"], part[part["experiment"] == name])
            for name in here
            if (part["experiment"] == name).any()
        ]
        rows.sort(key=lambda row: (row["control"], -row["median"] if row["median"] is not None else 2 * SCALE))
        figures.append({"dataset": dataset, "protocol": protocol, "symbols": symbols, "rows": rows})
    return figures


def _row(name: str, label: str, method: str, part: pd.DataFrame) -> dict[str, Any]:
    defined = part[part["pcc"].notna()]
    pcc = np.rint(defined["pcc"].to_numpy() * SCALE).astype(int)
    return {
        "experiment": name,
        "label": label,
        "control": method in CONTROLS,
        "undefined": len(part) - len(defined),
        "median": float(np.median(pcc)) if len(pcc) else None,
        "gene": defined["index"].tolist(),
        "pcc": pcc.tolist(),
        "mark": (defined["heg"].astype(int) + 2 * defined["hvg"].astype(int)).tolist(),
    }
