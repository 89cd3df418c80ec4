"""Tabulate an experiment set as HEST-Bench does, beside the published table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError
from stainscript.evaluation.hest_bench import overall, task_scores
from stainscript.report.hest_bench import beside_published, to_markdown

logger = logging.getLogger(__name__)

DECIMALS = 6


def tabulate_hest_bench(
    *,
    genes: Sequence[str | Path],
    experiments: Sequence[Mapping[str, Any]],
    tsv: str | Path,
    md: str | Path,
    tasks_tsv: str | Path,
) -> None:
    """Write a row a task and encoder (``tasks_tsv``), and the encoders beside the published ones (``tsv``, ``md``).

    genes: all ``genes.parquet`` of the set; experiments: records with name, dataset (a task), method, encoder,
    protocol. Raises ``DataContractError`` when an experiment has no metrics or a dataset is no task.
    """
    rows = pd.concat([pd.read_parquet(path) for path in genes], ignore_index=True)
    missing = [record["name"] for record in experiments if record["name"] not in set(rows["experiment"])]
    if missing:
        raise DataContractError(
            tsv, "genes", expected=f"metrics of {missing[0]}", found="none", remedy="score every experiment of the set"
        )
    tasks = task_scores(rows, experiments=experiments)
    frame = beside_published(tasks, overall(tasks))
    for target, table in ((tasks_tsv, tasks), (tsv, frame)):
        with complete_file(target) as path:
            table.to_csv(path, sep="\t", index=False, float_format=f"%.{DECIMALS}f", na_rep="nan", lineterminator="\n")
    with complete_file(md) as path:
        path.write_text(to_markdown(frame, tasks), encoding="utf-8")
    logger.info("tabulated %d tasks of HEST-Bench for %d encoders", tasks["task"].nunique(), len(overall(tasks)))
