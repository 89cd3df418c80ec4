"""Compare a fold's predictions with what was measured on its test slides."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from stainscript.artifacts.files import write_parquet
from stainscript.artifacts.stores import open_store
from stainscript.batches.align import align
from stainscript.errors import DataContractError
from stainscript.evaluation.negative_binomial import nb_theta
from stainscript.evaluation.score import score_slide
from stainscript.evaluation.subsets import of_labels, of_panel
from stainscript.evaluation.tidy import ScoredSlide, drawn_genes, gene_rows, map_rows, slide_rows
from stainscript.genes.normalise import measures, target_matrix
from stainscript.genes.panels.file import read_panel
from stainscript.types import Panel, Space, Target

logger = logging.getLogger(__name__)


def score(
    *,
    predictions: Sequence[str | Path],
    expression: Sequence[str | Path],
    panel: str | Path,
    target: Mapping[str, Any],
    subsets: Mapping[str, Any],
    experiment: str,
    dataset: str,
    fold: int,
    seed: int,
    map_genes: Sequence[str],
    slides_out: str | Path,
    genes_out: str | Path,
    maps_out: str | Path,
    cohort: Sequence[str | Path] = (),
) -> None:
    """Write the metrics of one fold: a row a slide × subset × metric, a row a slide × gene, and the drawn maps.

    predictions: stores of kind ``predictions``; expression: counts of the same slides, in any order; target, subsets:
    the protocol's, as plain dicts; map_genes: symbols to draw where the panel has them, beside the 6 best- and the 2
    worst-predicted genes; cohort: counts of all slides of the dataset, read only when ``subsets.scope`` is ``dataset``.
    Raises ``DataContractError`` where spots, genes, space, panel, experiment, fold or seed disagree, or a predicted
    value is not finite.
    """
    genes = read_panel(panel)
    wanted = Target(**{**target, "space": Space(target["space"])})
    positions = _subset_positions(genes, wanted, subsets, cohort)
    measured = _by_slide(expression)
    stated = {"experiment": experiment, "fold": fold, "seed": seed, "space": wanted.space.value}
    stated |= {"panel_sha256": genes.sha256}
    scored = [
        _score_one(folder, measured, genes, panel, wanted, positions, subsets["best"], stated) for folder in predictions
    ]
    head = {"experiment": experiment, "fold": fold, "seed": seed}
    heg, hvg = (positions[f"{kind}{subsets['size']}"] for kind in ("heg", "hvg"))
    drawn = drawn_genes(scored, panel=genes, asked=map_genes)
    maps = pd.concat([map_rows(one, panel=genes, drawn=drawn) for one in scored], ignore_index=True)
    write_parquet(slides_out, slide_rows(scored, head={**head, "dataset": dataset, "space": wanted.label}))
    write_parquet(genes_out, gene_rows(scored, head=head, panel=genes, heg=heg, hvg=hvg))
    write_parquet(maps_out, maps)
    logger.info("scored %d slides of %s, fold %d, seed %d: %s", len(scored), experiment, fold, seed, wanted.label)


def _score_one(
    folder: str | Path,
    measured: Mapping[str, Path],
    genes: Panel,
    panel: str | Path,
    target: Target,
    positions: Mapping[str, np.ndarray],
    best: Sequence[int],
    stated: Mapping[str, Any],
) -> ScoredSlide:
    store = open_store(folder, "predictions")
    for key, value in stated.items():
        if store.attrs[key] != value:
            raise DataContractError(
                folder, key, expected=value, found=store.attrs[key], remedy="delete the folder and predict again"
            )
    slide = store.attrs["slide"]
    if slide not in measured:
        raise DataContractError(
            folder,
            "slide",
            expected=f"one of {', '.join(sorted(measured))}",
            found=slide,
            remedy="give the stage the counts of the same slides",
        )
    align(np.array(genes.gene_ids), store.ids("gene_id"), path=folder, against=panel, field="gene_id")
    adata = anndata.read_h5ad(measured[slide])
    spot_id = adata.obs_names.to_numpy(dtype=object)
    align(spot_id, store.ids("spot_id"), path=folder, against=measured[slide])
    predicted = store["predicted"]
    if not np.isfinite(predicted).all():
        spot, gene = np.argwhere(~np.isfinite(predicted))[0]
        raise DataContractError(
            folder,
            "predicted",
            expected="finite numbers",
            found=f"{predicted[spot, gene]} at spot {spot_id[spot]}, gene {genes.symbols[gene]}",
            remedy="the fit diverged: see its history.csv, lower its learning rate or precision",
        )
    observed = target_matrix(adata, gene_ids=genes.gene_ids, target=target, unmeasured="zero")
    there = measures(adata, genes.gene_ids)
    if not there.all():
        logger.info("%s does not measure %d of %d genes: undefined there", slide, (~there).sum(), len(there))
    return ScoredSlide(
        slide=slide,
        patient=str(adata.uns["patient"]),
        spot_id=spot_id,
        xy_px=np.asarray(adata.obsm["xy_px"]),
        predicted=predicted,
        observed=observed,
        measured=there,
        score=score_slide(
            predicted, observed, subsets=positions, best=best, measured=there, **_count_options(genes, target)
        ),
    )


def _count_options(genes: Panel, target: Target) -> dict[str, Any]:
    """What turns on the metrics of counts: the space they are in, and for counts the dispersion of training slides."""
    if target.smooth != "none":
        return {}
    theta = nb_theta(np.array(genes.mean), np.array(genes.variance)) if target.space == Space.COUNTS else None
    return {"space": target.space, "theta": theta}


def _subset_positions(
    panel: Panel, target: Target, subsets: Mapping[str, Any], cohort: Sequence[str | Path]
) -> dict[str, np.ndarray]:
    if subsets["scope"] == "train":
        return of_panel(panel, size=subsets["size"])
    if not cohort:
        raise DataContractError(
            "subsets",
            "scope",
            expected="the counts of all slides of the dataset for scope dataset",
            found="none",
            remedy="set subsets.scope: train in the protocol, or hand them to the stage as cohort",
        )
    labels = (target_matrix(anndata.read_h5ad(path), gene_ids=panel.gene_ids, target=target) for path in cohort)
    return of_labels(labels, size=subsets["size"])


def _by_slide(expression: Sequence[str | Path]) -> dict[str, Path]:
    """Slide → file, as the files themselves state it."""
    found: dict[str, Path] = {}
    for path in map(Path, expression):
        with h5py.File(path) as handle:
            slide = str(read_elem(handle["uns"])["slide"])
        if slide in found:
            raise DataContractError(path, "slide", expected="each slide once", found=slide, remedy="list it once")
        found[slide] = path
    return found
