"""Average one experiment set's metrics into its leaderboard: TSV, Markdown and LaTeX."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError
from stainscript.evaluation.aggregate import leaderboard
from stainscript.report.tables import to_latex, to_markdown

logger = logging.getLogger(__name__)

DECIMALS = 6
PRINTED = {  # metric → subsets (without their size) of the Markdown and LaTeX tables; the TSV holds all
    "pcc": ("all", "heg", "hvg", "hpg", "best"),
    "pcc_pooled": ("all",),
    "mse": ("all",),
    "mae": ("all",),
}


def tabulate(
    *,
    slides: Sequence[str | Path],
    genes: Sequence[str | Path],
    experiments: Sequence[Mapping[str, Any]],
    bootstrap: int,
    tsv: str | Path,
    md: str | Path,
    tex: str | Path,
) -> None:
    """Write ``leaderboard.tsv``, ``.md`` and ``.tex``.

    slides, genes: all ``slides.parquet`` and ``genes.parquet`` of the set; experiments: records with name, dataset,
    method, encoder, protocol; bootstrap: patient-level resamples, 0 for no intervals. The TSV holds every aggregate
    (undefined values as ``nan``), the other two the main columns. Raises when an experiment has no metrics.
    """
    slide_rows = _concatenated(slides)
    gene_rows = _concatenated(genes)
    for kind, rows in (("slides", slide_rows), ("genes", gene_rows)):
        missing = [e["name"] for e in experiments if e["name"] not in set(rows["experiment"])]
        if missing:
            raise DataContractError(
                tsv, kind, expected=f"metrics of {missing[0]}", found="none", remedy="score every experiment of the set"
            )
    frame = _rounded(leaderboard(slide_rows, gene_rows, experiments=experiments, resamples=bootstrap))
    with complete_file(tsv) as path:
        frame.to_csv(path, sep="\t", index=False, float_format=f"%.{DECIMALS}f", na_rep="nan", lineterminator="\n")
    shown = frame[
        [_is_printed(metric, subset) for metric, subset in zip(frame["metric"], frame["subset"], strict=True)]
    ]
    for target, text in ((md, to_markdown(shown)), (tex, to_latex(shown))):
        with complete_file(target) as path:
            path.write_text(text, encoding="utf-8")
    logger.info("tabulated %d experiments from %d metrics files", len(experiments), len(slides))


def show_table(md: str | Path) -> None:
    """Print a table that ``tabulate`` wrote; what ``make demo`` ends with."""
    sys.stdout.write(Path(md).read_text(encoding="utf-8"))


def _concatenated(paths: Sequence[str | Path]) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Floats to the printed precision, no negative zero: the three files state the same numbers."""
    floats = ["mean", "sd", "ci_low", "ci_high"]
    return frame.assign(**{name: frame[name].astype(float).round(DECIMALS) + 0.0 for name in floats})


def _is_printed(metric: str, subset: str) -> bool:
    return metric in PRINTED and subset.rstrip("0123456789") in PRINTED[metric]
