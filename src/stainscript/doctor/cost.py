"""What encoding will cost: patches, GPU-hours and disk, as far as they can be known before the run starts."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet

from stainscript import encoders
from stainscript.config import Config
from stainscript.datasets import base
from stainscript.doctor.scales import Scale
from stainscript.doctor.weights import card_of, to_fetch
from stainscript.plan import paths
from stainscript.plan.cohorts import Row
from stainscript.plan.jobs import Plan

# Sustained rates assumed, in 10¹² operations a second (a multiply-add is two): a GPU of the A100's class, a CPU core.
GPU_TERAFLOPS = {"float32": 15.0, "float16": 120.0, "bfloat16": 120.0}
CPU_TERAFLOPS = 0.05
WIDTH = 1024  # features of a timm model, which has no card
GIGAFLOPS = 8.0  # operations a patch of one; a ResNet50 at 224 px
BYTES = {"float16": 2, "float32": 4}
# Spots of a slide that is not ingested: a full capture area. Visium's is stated; others are a square at their pitch.
VISIUM_SPOTS, VISIUM_PITCH_UM = 4992, 100.0
AREA_UM = 6500.0


@dataclass(frozen=True, kw_only=True)
class Network:
    """What one encoder's forward pass takes, in 10⁹ operations a patch, and the rate assumed on a GPU."""

    name: str
    gigaflops: float
    teraflops: float
    assumed: bool  # no card states the operations


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate of the encoding that is left: what Snakemake would not run again costs nothing."""

    patches: int  # left
    patches_in_all: int
    slides: int
    ingested: int  # of the slides: their spots are counted, the others' assumed
    gpu_hours: float
    cpu_hours: float  # of one core, if there is no GPU
    feature_bytes: float
    patch_bytes: float
    weight_bytes: float
    networks: tuple[Network, ...]  # encoders in use that a GPU speeds up

    @property
    def bytes(self) -> float:
        return self.feature_bytes + self.patch_bytes + self.weight_bytes


def estimate(plan: Plan, *, scales: Mapping[str, list[Scale]], outputs: Collection[str]) -> Cost:
    """Count what ``plan`` has still to encode and to store.

    scales: of each dataset's slides, for the size of those without spots; outputs: what the jobs to run will write.
    """
    config = plan.config
    used = {(e.dataset, slide) for e in plan.experiments.values() for slide in _slides(plan, e)}
    known = {key: _ingested_spots(*key) for key in used}
    of_slide = {(name, scale.slide): scale for name, found in scales.items() for scale in found}
    spots = {key: known[key] or assumed_spots(config, plan.cohorts[key[0]][key[1]], of_slide.get(key)) for key in used}
    jobs = {
        (e.dataset, plan.protocol(e).views[role], encoder, slide)
        for e in plan.experiments.values()
        for role in e.needs.views
        for encoder in e.encoders
        for slide in _slides(plan, e)
    }
    count = partial(_images, config, spots)
    left = [job for job in jobs if paths.features(*job) in outputs]
    cut = {(d, v, s) for d, v, _, s in jobs if paths.patches(d, v, s) in outputs}
    names = sorted({encoder for _, _, encoder, _ in jobs})
    networks = [_network(config, name) for name in names if encoders.needs_gpu(config.encoders[name].kind)]
    work = [sum(count(d, v, s) for d, v, e, s in left if e == n.name) * n.gigaflops / 1e3 for n in networks]
    return Cost(
        patches=sum(count(dataset, view, slide) for dataset, view, _, slide in left),
        patches_in_all=sum(count(dataset, view, slide) for dataset, view, _, slide in jobs),
        slides=len(used),
        ingested=sum(number is not None for number in known.values()),
        gpu_hours=sum(part / n.teraflops for part, n in zip(work, networks, strict=True)) / 3600,
        cpu_hours=sum(work) / CPU_TERAFLOPS / 3600,
        feature_bytes=float(sum(count(d, v, s) * _feature_bytes(config, e) for d, v, e, s in left)),
        patch_bytes=float(sum(count(d, v, s) * 3 * config.views[v].width_px ** 2 for d, v, s in cut)),
        weight_bytes=4.0 * sum(card.parameters for card in to_fetch(config, names)),
        networks=tuple(networks),
    )


def assumed_spots(config: Config, row: Row, scale: Scale | None) -> int:
    """The most spots that a slide can have: places of the capture area, or cells of the grid over its image."""
    dataset = config.datasets[row.dataset]
    if row.generated:
        drawn: Any = importlib.import_module(f"stainscript.datasets.{dataset.generator}")
        rows, columns = drawn.TINY_SIZE if dataset.options.get("spots") == "tiny" else drawn.SLIDES[row.slide].size
        return rows * columns
    layout: Any = base.load(row.layout)
    chosen = {**layout.OPTIONS, **dataset.options}
    pitch_um = chosen.get("pitch_um") or chosen.get("pool_um") or chosen.get("bin_um") or layout.PITCH_UM
    if not layout.HAS_EXPRESSION and scale is not None and scale.mpp is not None and scale.size_px is not None:
        width_px, height_px = scale.size_px
        return int(width_px * scale.mpp / pitch_um) * int(height_px * scale.mpp / pitch_um)
    return VISIUM_SPOTS if pitch_um == VISIUM_PITCH_UM else int(AREA_UM / pitch_um) ** 2


def _network(config: Config, name: str) -> Network:
    entry = config.encoders[name]
    card = card_of(entry.kind)
    operations = GIGAFLOPS if card is None else card.gflops
    rate = GPU_TERAFLOPS[entry.precision]
    return Network(name=name, gigaflops=operations, teraflops=rate, assumed=card is None)


def _feature_bytes(config: Config, encoder: str) -> int:
    entry = config.encoders[encoder]
    card = card_of(entry.kind)
    width = WIDTH if card is None else card.width
    if entry.kind == "morphology":
        width = len(importlib.import_module("stainscript.encoders.morphology").FEATURE_NAMES)
    return width * BYTES[entry.store]


def _images(config: Config, spots: Mapping[tuple[str, str], int], dataset: str, view: str, slide: str) -> int:
    """Images that an encoder is given of a slide under a view."""
    return spots[dataset, slide] * config.views[view].grid ** 2


def _slides(plan: Plan, e: Any) -> list[str]:
    return [name for name, row in plan.cohorts[e.dataset].items() if row.measured or e.unmeasured]


def _ingested_spots(dataset: str, slide: str) -> int | None:
    path = Path(paths.spots(dataset, slide))
    return pyarrow.parquet.ParquetFile(path).metadata.num_rows if path.is_file() else None
