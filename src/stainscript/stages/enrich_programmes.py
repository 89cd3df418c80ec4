"""What an experiment's predictions show of pathways: programmes of genes, and which pathways are predicted well."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stainscript.artifacts.files import complete_file
from stainscript.artifacts.stores import open_store
from stainscript.batches.align import align
from stainscript.errors import DataContractError, unknown_name
from stainscript.evaluation import gene_set_tests, programmes
from stainscript.genes.pathways.file import PathwayFile, read_pathways

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Options; programmes and their clustering as in ``evaluation.programmes``."""

    number: int = 10  # programmes
    clustering: programmes.Clustering = "average"
    within_slide: bool = True
    max_genes: int = 2000  # those whose predictions vary most; a matrix of all pairs is held
    min_size: int = 5  # genes of a pathway among the ranked ones
    max_size: int = 500
    permutations: int = 1000
    weight: float = 1.0
    seed: int = 0
    threads: int = 1


def enrich_programmes(
    *,
    predictions: Sequence[str | Path],
    pathways: str | Path,
    metrics: str | Path | Sequence[str | Path] | None,
    rule: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Write a TSV with the columns ``evaluation.programmes.COLUMNS``, genes by symbol.

    predictions: stores of one panel, a slide each; pathways: curated for that panel; metrics: ``genes.parquet`` of the
    same experiment, whose PCC, averaged over slides, ranks the genes; ``None``: no ranking. Raises
    ``DataContractError`` where pathways or metrics are of another panel, or no pathway has a gene of it.
    """
    if not predictions:
        raise DataContractError(out, "predictions", expected="one slide or more", found="none", remedy="predict first")
    known = {field.name for field in fields(Rule)}
    for name in rule:
        if name not in known:
            raise unknown_name(out, "rule", name, known)
    wanted = Rule(**rule)
    curated = read_pathways(pathways)
    genes = _same_panel(predictions, curated, pathways)
    terms = {name: gene_ids for name, gene_ids in curated.gene_ids().items() if set(gene_ids) & set(genes)}
    if not terms:
        raise DataContractError(
            pathways, "pathways", expected="one with genes of the panel", found="none", remedy="curate for this panel"
        )
    chosen = _most_varying(predictions, len(genes), wanted)
    parts = [open_store(folder, "predictions")["predicted"][:, chosen] for folder in predictions]
    correlation = programmes.gene_correlation(parts, within_slide=wanted.within_slide)
    labels = programmes.programmes(correlation, number=wanted.number, clustering=wanted.clustering, seed=wanted.seed)
    names = [genes[column] for column in chosen]
    frames = [programmes.member_rows(labels, correlation, names), gene_set_tests.enriched(labels, names, terms)]
    if metrics is not None:
        ranking = {key: getattr(wanted, key) for key in ("min_size", "max_size", "permutations", "weight")}
        pcc = _mean_pcc(metrics, genes)
        frames.append(gene_set_tests.well_predicted(pcc, terms, **ranking, seed=wanted.seed, threads=wanted.threads))
    table = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    symbol_of = dict(zip(curated.panel_gene_ids, curated.panel_symbols, strict=True))
    table["genes"] = [",".join(symbol_of[gene] for gene in listed.split(",")) for listed in table["genes"]]
    with complete_file(out) as path:
        table.to_csv(path, sep="\t", index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
    logger.info("%d programmes of %d genes, %d pathways, %d slides", labels.max(), len(chosen), len(terms), len(parts))


def _same_panel(predictions: Sequence[str | Path], curated: PathwayFile, pathways: str | Path) -> list[str]:
    """The genes of all stores, in their one order."""
    if curated.panel_sha256 is None:
        raise DataContractError(
            pathways, "panel", expected="pathways mapped to a panel", found="symbols alone", remedy="curate with panel"
        )
    for folder in predictions:
        store = open_store(folder, "predictions")
        if store.attrs["panel_sha256"] != curated.panel_sha256:
            raise DataContractError(
                pathways,
                "panel_sha256",
                expected=f"{store.attrs['panel_sha256'][:12]}, the panel of {folder}",
                found=curated.panel_sha256[:12],
                remedy="curate the pathways for this panel",
            )
        align(np.array(curated.panel_gene_ids), store.ids("gene_id"), path=folder, against=pathways, field="gene_id")
    return list(curated.panel_gene_ids)


def _most_varying(predictions: Sequence[str | Path], genes: int, rule: Rule) -> np.ndarray:
    """Columns of the genes to cluster, ascending: those with the most variance within slides, ties by place."""
    variance = np.zeros(genes)
    for folder in predictions:
        values = open_store(folder, "predictions")["predicted"]
        variance += values.var(axis=0, dtype=np.float64) * len(values)
    return np.sort(np.argsort(-variance, kind="stable")[: rule.max_genes])


def _mean_pcc(metrics: str | Path | Sequence[str | Path], genes: Sequence[str]) -> dict[str, float]:
    """Gene id → mean PCC over all rows that define it."""
    files = [metrics] if isinstance(metrics, str | Path) else list(metrics)
    rows = pd.concat([pd.read_parquet(path, columns=["gene_id", "pcc"]) for path in files], ignore_index=True)
    if set(rows["gene_id"]) != set(genes):
        strange = len(set(rows["gene_id"]) ^ set(genes))
        raise DataContractError(
            files[0],
            "gene_id",
            expected="the genes of the panel",
            found=f"{strange} that only one of the two has",
            remedy="give the metrics of the same experiment",
        )
    mean = rows.groupby("gene_id", sort=True)["pcc"].mean().dropna()
    return {str(gene): float(value) for gene, value in mean.items()}
