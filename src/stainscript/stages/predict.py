"""Stage ``predict``: a checkpoint and one slide's features → that slide's predicted expression."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from stainscript import methods, seeds
from stainscript.artifacts.files import file_sha256
from stainscript.artifacts.stores import write_store
from stainscript.batches.batch import SpotBatch
from stainscript.batches.dataset import load_slides
from stainscript.devices import hold_gpus
from stainscript.errors import DataContractError
from stainscript.methods.base import ProblemSpec, load_state

logger = logging.getLogger(__name__)

CPU = {"accelerator": "cpu", "threads": 1}


def predict(
    *,
    checkpoint: str | Path,
    info: str | Path,
    spots: str | Path,
    features: Mapping[str, Sequence[str | Path]],
    answers: str | Path | None,
    experiment: str,
    fold: int,
    seed: int,
    out: str | Path,
    hardware: Mapping[str, Any] | None = None,
) -> None:
    """Predict every spot of one slide and write the store ``out``.

    features: view → folders of feature stores, concatenated in that order. answers: ``None``, or for the oracle and
    the ceiling alone the h5ad whose values they hand back. hardware: ``accelerator`` and ``threads``; the CPU and one
    thread by default. The random stream is named by seed, experiment, fold and slide, never by a path. Raises
    ``DataContractError`` when the features are not those of the fit, ids disagree, or a prediction is not finite.
    """
    hardware = {**CPU, **(hardware or {})}
    name, options, spec, state = load_state(checkpoint)
    cfg = methods.configure(name, options, path=checkpoint, field="config")
    if (answers is None) != (cfg.needs.answers is None):
        raise ValueError(f"{name} needs answers: {cfg.needs.answers}; given: {answers}")
    accelerator = hardware["accelerator"] if cfg.needs.gpu else "cpu"
    with threadpool_limits(limits=hardware["threads"]), hold_gpus(accelerator=accelerator, count=1) as gpus:
        batch = load_slides(
            slides=[
                {
                    "info": info,
                    "spots": spots,
                    "features": {view: features[view] for view in cfg.needs.views},
                    "answers": answers,
                }
            ],
            gene_ids=spec.panel.gene_ids,
            target=spec.target,
        )
        _check_widths(batch, spec, checkpoint)
        slide, spot_id = batch.slides[0], batch.spot_id
        generator = seeds.generator(seed, "predict", experiment, fold, slide)
        if gpus is not None:
            batch = batch.to(f"cuda:{gpus[0]}")
        predicted = methods.load(name).predict(cfg, spec, state, batch, generator)
    _check_prediction(predicted, (len(spot_id), len(spec.panel)), spot_id, spec, name, out)
    write_store(
        out,
        "predictions",
        {"predicted": predicted, "spot_id": spot_id, "gene_id": np.asarray(spec.panel.gene_ids, dtype=object)},
        {
            "experiment": experiment,
            "slide": slide,
            "fold": int(fold),
            "seed": int(seed),
            "space": spec.target.space.value,
            "target": spec.target.label,
            "panel_sha256": spec.panel.sha256,
            "checkpoint_sha256": file_sha256(checkpoint),
        },
    )
    logger.info("predicted %d genes for %d spots of %s with %s", len(spec.panel), len(spot_id), slide, name)


def _check_widths(batch: SpotBatch, spec: ProblemSpec, checkpoint: str | Path) -> None:
    found = {view: values.shape[1] for view, values in batch.features.items()}
    if found != spec.feature_width:
        raise DataContractError(
            checkpoint,
            "feature_width",
            expected=f"features as in the fit: {spec.feature_width}",
            found=found,
            remedy="the checkpoint belongs to other encoders or views; fit again",
        )


def _check_prediction(
    predicted: np.ndarray, shape: tuple[int, int], spot_id: np.ndarray, spec: ProblemSpec, name: str, out: str | Path
) -> None:
    if predicted.shape != shape or predicted.dtype != np.float32:
        raise ValueError(f"{name} predicted {predicted.shape} {predicted.dtype} instead of {shape} float32")
    bad = np.argwhere(~np.isfinite(predicted))
    if len(bad):
        spot, gene = bad[0]
        raise DataContractError(
            out,
            "predicted",
            expected="finite numbers",
            found=f"{predicted[spot, gene]} at spot {spot_id[spot]!r}, gene {spec.panel.gene_ids[gene]!r}",
            remedy=f"the fit of {name} went wrong or the features differ from the fit's; look at its history.csv",
        )
