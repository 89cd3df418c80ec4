"""Stage ``fit``: one method, one fold, one seed → a checkpoint, its history and the record of the run."""

from __future__ import annotations

import csv
import logging
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from stainscript import methods
from stainscript.artifacts.files import complete_file, file_sha256, write_json
from stainscript.artifacts.provenance import digest_of
from stainscript.artifacts.provenance import run_record as run_record_of
from stainscript.artifacts.schemas import FEATURES
from stainscript.artifacts.stores import open_store
from stainscript.batches.batch import SpotBatch
from stainscript.batches.dataset import carve_validation, load_slides
from stainscript.devices import hold_gpus
from stainscript.errors import DataContractError
from stainscript.genes.panels.file import read_panel
from stainscript.methods.base import FitData, ProblemSpec, State, save_state
from stainscript.training.run import RunContext
from stainscript.types import Panel, Space, Target

logger = logging.getLogger(__name__)

HISTORY_COLUMNS = ("phase", "epoch")  # the first columns; losses and rates follow, as the method has them


def fit(
    *,
    spec: Mapping[str, Any],
    inputs: Mapping[str, Any],
    checkpoint: str | Path,
    history: str | Path,
    run_record: str | Path,
    resume: str | Path | None = None,
    save_every_s: float = 120.0,
) -> None:
    """Fit ``spec["method"]`` on one fold's training slides and write its three files.

    spec: JSON: experiment, fold, seed, dataset, method, options, target (of ``types.Target``), train and val (slide
    names), val_spot_fraction, views (view → encoder names), hardware (of ``config.Hardware``), digests.
    inputs: ``panel`` and, per slide, the files that ``batches.dataset.load_slides`` reads. resume: a path outside the
    declared outputs, named by the digest of options and code; the digest of the inputs' content is added here, so that
    a fit never goes on from other data. save_every_s: seconds between two writes of it, 0 for every epoch. The
    checkpoint is written last and the resume file removed after it, so a kill at any moment leaves either the way on
    or the result.
    """
    started = time.monotonic()
    hardware = spec["hardware"]
    cfg = methods.configure(spec["method"], spec["options"], field=f"options of {spec['experiment']}")
    name = f"{spec['experiment']}/fold{spec['fold']}/seed{spec['seed']}"
    with threadpool_limits(limits=hardware["threads"]):
        problem, data = load(spec=spec, inputs=inputs, cfg=cfg)
        resume_path = None if resume is None else Path(f"{resume}.{content_digest(inputs, views=cfg.needs.views)}")
        with hold_gpus(accelerator=_accelerator(cfg, hardware), count=hardware.get("devices", 1)) as gpus:
            run = RunContext(
                name=name,
                seed=spec["seed"],
                device_ids=gpus,
                resume_path=resume_path,
                **{"save_every_s": save_every_s, **hardware},
            )
            state = methods.load(spec["method"]).fit(cfg, problem, data, run)
    record = _record(spec, cfg, problem, data, state, wall_s=time.monotonic() - started)
    write_json(run_record, record)
    write_history(history, state.report.history)
    save_state(checkpoint, method=spec["method"], cfg=cfg, spec=problem, state=state)
    if resume is not None:
        for left in Path(resume).parent.glob(f"{Path(resume).name}.*"):  # of other inputs too: they are of no use now
            left.unlink()
    logger.info("%s: fitted %s on %d spots, %d genes", name, spec["method"], len(data.train), len(problem.panel))


def load(*, spec: Mapping[str, Any], inputs: Mapping[str, Any], cfg: Any) -> tuple[ProblemSpec, FitData]:
    """The fold's problem and its training side, with the views that ``cfg.needs`` and no others."""
    panel = read_panel(inputs["panel"])
    target = Target(**{**spec["target"], "space": Space(spec["target"]["space"])})
    _check_views(spec, cfg)
    train = _slides(spec["train"], inputs, cfg, panel, target)
    if spec["val"]:
        val: SpotBatch | None = _slides(spec["val"], inputs, cfg, panel, target, training=False)
    elif spec["val_spot_fraction"] > 0:
        train, val = carve_validation(train, fraction=spec["val_spot_fraction"], seed=spec["seed"])
    else:
        val = None
    widths = {view: values.shape[1] for view, values in train.features.items()}
    return ProblemSpec(panel=panel, target=target, feature_width=widths), FitData(train=train, val=val)


def content_digest(inputs: Mapping[str, Any], *, views: Sequence[str]) -> str:
    """Digest of what the fit reads: panel, counts and spots by their bytes, the views' features by their manifests."""
    found: dict[str, Any] = {"panel": file_sha256(inputs["panel"])}
    for name, files in inputs["slides"].items():
        stores = {view: [open_store(folder, *FEATURES).digest for folder in files["features"][view]] for view in views}
        plain = [file_sha256(files[role]) for role in ("info", "spots", "expression")]
        found[name] = {"files": plain, "features": stores}
    return digest_of(found)


def write_history(path: str | Path, rows: list[dict[str, float]]) -> None:
    """One row an epoch, numbers in full precision; only the header where a method has no epochs."""
    columns = list(dict.fromkeys([*HISTORY_COLUMNS, *(name for row in rows for name in row)]))
    with complete_file(path) as temporary, temporary.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


def _slides(
    names: list[str], inputs: Mapping[str, Any], cfg: Any, panel: Panel, target: Target, *, training: bool = True
) -> SpotBatch:
    entries = []
    for name in names:
        files = inputs["slides"][name]
        features = {view: files["features"][view] for view in cfg.needs.views}
        entries.append({**files, "slide": name, "features": features})
    return load_slides(
        slides=entries,
        gene_ids=panel.gene_ids,
        target=target,
        panel=inputs["panel"],
        each_gene_somewhere=training,
    )


def _check_views(spec: Mapping[str, Any], cfg: Any) -> None:
    missing = [view for view in cfg.needs.views if not spec["views"].get(view)]
    if missing:
        raise DataContractError(
            "config.yaml",
            f"views of {spec['experiment']}",
            expected=f"an encoder for each of {', '.join(cfg.needs.views)}",
            found=f"none for {', '.join(missing)}",
            remedy="name the view in the protocol and an encoder in the experiment, or change the method's option view",
        )


def _accelerator(cfg: Any, hardware: Mapping[str, Any]) -> str:
    """A method that has no use for a GPU holds none."""
    return hardware["accelerator"] if cfg.needs.gpu else "cpu"


def _record(
    spec: Mapping[str, Any], cfg: Any, problem: ProblemSpec, data: FitData, state: State, *, wall_s: float
) -> dict[str, Any]:
    facts = {"device": "cpu", "parameters": 0, "resumed_from_epoch": None, "peak_device_mib": None}
    return run_record_of(
        spec={key: value for key, value in spec.items() if key not in ("digests", "options")},
        options=asdict(cfg),
        digests=dict(spec["digests"]),
        panel={"name": problem.panel.name, "sha256": problem.panel.sha256, "genes": len(problem.panel)},
        feature_width=problem.feature_width,
        spots={"train": len(data.train), "val": 0 if data.val is None else len(data.val)},
        wall_s=round(wall_s, 3),
        peak_host_mib=_peak_host_mib(),
        **(facts | state.report.facts),
    )


def _peak_host_mib() -> float:
    """Largest resident memory of this process so far, MiB; of the largest child where several processes trained."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
