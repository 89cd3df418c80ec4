"""Our HEST-Bench scores beside the published ones, task by task."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stainscript.report.blocks import UNDEFINED
from stainscript.splits.hest_bench import AVERAGED, TASKS

PUBLISHED = Path(__file__).parent / "published" / "hest_bench.tsv"
PUBLISHED_LABEL = "published 2024-08-30"
PUBLISHED_METHOD = "hest_pca256"  # the entry of config.yaml whose variant the published table is
HEAD = ("encoder", "source", "method", "protocol")
COLUMNS = (*HEAD, *TASKS, "average", "average_defined", "n_tasks")
NOTE = (
    "Pearson over all test spots of a fold pooled (not the per-slide PCC of the other tables), mean over genes, then "
    "folds, ± sd over folds; {dash}: undefined, because a gene is constant in a fold or a task is missing. Average: "
    "the nine tasks without HCC; in brackets, undefined genes left out. Published: PCA-256 and ridge, README of "
    "mahmoodlab/HEST, 2024-08-30; it stands beside rows of that variant alone."
)


def read_published() -> pd.DataFrame:
    """The published table: encoder, its name in config.yaml (``ours``, or empty), nine tasks, average as printed."""
    return pd.read_csv(PUBLISHED, sep="\t", comment="#", keep_default_na=False)


def beside_published(tasks: pd.DataFrame, overall: pd.DataFrame) -> pd.DataFrame:
    """Columns ``COLUMNS``: a row for each of ours, followed by the published one of that encoder where there is one.

    tasks, overall: of ``evaluation.hest_bench``; every value is of one kind, correlation pooled over a fold. Encoders
    are matched by the column ``ours`` of the published table (its ResNet50 is ours cut after the third stage). A
    published row follows ours only for the method ``PUBLISHED_METHOD``: it is the PCA-256 variant, and the other one
    ranks encoders differently.
    """
    published = read_published().set_index("encoder")
    names = {row["ours"]: name for name, row in published.iterrows() if row["ours"]}
    published = published.drop(columns="ours")
    values = tasks.set_index(["method", "encoder", "protocol", "task"])["pearson"].sort_index()
    rows = []
    for ours in overall.itertuples(index=False):
        key = (ours.method, ours.encoder, ours.protocol)
        found = values.loc[key]
        head = {"encoder": ours.encoder, "method": ours.method, "protocol": ours.protocol, "source": "ours"}
        tail = {"average": ours.pearson, "average_defined": ours.pearson_defined, "n_tasks": ours.n_tasks}
        rows.append({**head, **found.to_dict(), **tail})
        name = names.get(ours.encoder)
        if name is not None and ours.method == PUBLISHED_METHOD:
            printed = published.loc[name].to_dict()
            head = {"encoder": name, "method": "PCA-256 + ridge", "protocol": "", "source": PUBLISHED_LABEL}
            rows.append({**head, **printed, "average_defined": printed["average"], "n_tasks": len(AVERAGED)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def to_markdown(frame: pd.DataFrame, tasks: pd.DataFrame) -> str:
    """The table of ``beside_published`` in Markdown, with the standard deviations of ``tasks`` and a note on top."""
    spread = tasks.set_index(["method", "encoder", "protocol", "task"])["sd"].to_dict()
    shown = [name for name in TASKS if frame[name].notna().any() or name in set(tasks["task"])]
    heads = ["encoder", "source", "method", *(TASKS[name].display for name in shown), "average of 9"]
    lines = ["### HEST-Bench", "", NOTE.format(dash=UNDEFINED), "", _line(heads)]
    lines.append(_line([*["---"] * 3, *["---:"] * (len(shown) + 1)]))
    for row in frame.to_dict("records"):
        key = (row["method"], row["encoder"], row["protocol"])
        cells = [_cell(row[name], spread.get((*key, name), float("nan"))) for name in shown]
        defined = row["average_defined"]
        aside = "" if pd.isna(defined) or defined == row["average"] else f" ({defined:.4f})"
        lines.append(_line([row["encoder"], row["source"], row["method"], *cells, _cell(row["average"]) + aside]))
    return "\n".join([*lines, ""])


def _cell(value: float, spread: float = float("nan")) -> str:
    if pd.isna(value):
        return UNDEFINED
    return f"{value:.4f}" if pd.isna(spread) else f"{value:.4f} ± {spread:.4f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
