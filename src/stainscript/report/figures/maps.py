"""Measured and predicted expression of drawn genes on their slides, packed for the report's maps."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.spatial import cKDTree

from stainscript.report.blocks import CONTROLS
from stainscript.types import SlideInfo

LONG_SIDE_PX = 900
JPEG_QUALITY = 80
LEVELS = 65534  # finite values become 0 … 65534; the last code marks a value that is not finite
MISSING = 65535
POSITIONS = 65535


@dataclass(frozen=True, kw_only=True, order=True)
class Run:
    """One fold and seed of an experiment: what a folder under ``metrics/`` holds."""

    experiment: str
    fold: int
    seed: int


class Blobs:
    """Packed arrays, each kept once: all experiments of a protocol share a slide's measured values."""

    def __init__(self) -> None:
        self._index: dict[tuple, int] = {}

    def add(self, *blob: Any) -> int:
        """Keep ``blob`` and return its index; an equal one is not kept twice."""
        return self._index.setdefault(blob, len(self._index))

    def as_list(self) -> list[list[Any]]:
        """All blobs in the order of their indices."""
        return [list(blob) for blob in self._index]


def pack_values(values: np.ndarray) -> tuple[float, float, str]:
    """Quantise (S,) floats to two bytes each: (lowest, highest, base64). NaN and infinities become ``MISSING``."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    levels = np.full(values.shape, MISSING, dtype="<u2")
    levels[finite] = np.rint((values[finite] - low) / ((high - low) or 1.0) * LEVELS)
    return round(low, 6), round(high, 6), _base64(levels.tobytes())


def pack_positions(xy_px: np.ndarray, *, width_px: int, height_px: int) -> str:
    """Quantise (S, 2) level-0 positions (x, y) to 16 bits of the slide's width and height, as base64."""
    share = np.asarray(xy_px, dtype=np.float64) / (width_px, height_px)
    return _base64(np.rint(np.clip(share, 0, 1) * POSITIONS).astype("<u2").tobytes())


def pitch_px(xy_px: np.ndarray) -> float:
    """Median distance from a spot to its nearest neighbour; NaN for fewer than two of the (S, 2) positions."""
    return float(np.median(cKDTree(xy_px).query(xy_px, k=2)[0][:, 1])) if len(xy_px) > 1 else math.nan


def thumbnail_uri(path: str | Path) -> str:
    """The thumbnail as a data URI: JPEG, long side at most ``LONG_SIDE_PX``."""
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + _base64(buffer.getvalue())


def atlas(
    frames: Iterable[tuple[Run, pd.DataFrame]],
    *,
    pcc: Mapping[tuple[Run, str, str], float],
    spaces: Mapping[str, str],
    labels: Mapping[str, str],
    experiments: Mapping[str, Mapping[str, Any]],
    slides: Mapping[tuple[str, str], tuple[SlideInfo, str]],
) -> dict[str, Any]:
    """Everything that the maps draw, as one JSON value.

    frames: rows of ``maps.parquet`` with the run they belong to; pcc: (run, slide, gene id) → PCC of that gene on that
    slide; spaces: experiment → space; experiments: name → its record; slides: (dataset, slide) → its info and its
    thumbnail as a data URI. Where several folds or seeds drew a slide, the first is kept. Controls come last.
    """
    blobs = Blobs()
    keys = _slide_keys(slides)
    drawn: dict[str, dict[str, Any]] = {}
    shown: dict[str, dict[str, Any]] = {}
    for run, frame in sorted(frames, key=lambda pair: pair[0]):
        dataset = experiments[run.experiment]["dataset"]
        by_slide = drawn.setdefault(run.experiment, {})
        before = set(by_slide)
        for (slide, gene_id, symbol), spots in frame.groupby(["slide", "gene_id", "symbol"], sort=True):
            key = keys[dataset, slide]
            if key in before:
                continue
            info, image = slides[dataset, slide]
            xy_px = spots[["x_px", "y_px"]].to_numpy(dtype=np.float64)
            if key not in shown:
                shown[key] = _slide(info, image, xy_px)
            value = pcc.get((run, slide, gene_id), np.nan)
            by_slide.setdefault(key, {})[gene_id] = {
                "symbol": symbol,
                "xy": blobs.add(pack_positions(xy_px, width_px=info.width_px, height_px=info.height_px)),
                "measured": blobs.add(*pack_values(spots["measured"].to_numpy())),
                "predicted": blobs.add(*pack_values(spots["predicted"].to_numpy())),
                "pcc": round(float(value), 4) if np.isfinite(value) else None,
                "fold": run.fold,
                "seed": run.seed,
            }
    facts = {
        name: {"label": labels[name], "protocol": experiments[name]["protocol"], "space": spaces[name]}
        for name in sorted(experiments, key=lambda name: experiments[name]["method"] in CONTROLS)
        if drawn.get(name)
    }
    return {
        "slides": dict(sorted(shown.items())),
        "experiments": facts,
        "maps": {name: drawn[name] for name in facts},
        "blobs": blobs.as_list(),
    }


def _slide_keys(slides: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The slide's own name where it is unique, with its dataset where it is not."""
    slides = list(slides)
    names = [slide for _, slide in slides]
    return {(d, s): s if names.count(s) == 1 else f"{d}/{s}" for d, s in slides}


def _slide(info: SlideInfo, image: str, xy_px: np.ndarray) -> dict[str, Any]:
    """Sizes in µm. Where the slide states no spot diameter it is taken as half the pitch; a lone spot gets 50 µm."""
    pitch_um = pitch_px(xy_px) * info.mpp
    pitch_um = 100.0 if math.isnan(pitch_um) else pitch_um
    stated = info.spot_diameter_um is not None
    return {
        "dataset": info.dataset,
        "patient": info.patient,
        "width_um": round(info.width_px * info.mpp, 3),
        "height_um": round(info.height_px * info.mpp, 3),
        "spot_um": round(info.spot_diameter_um if stated else pitch_um / 2, 3),
        "spot_stated": stated,
        "pitch_um": round(pitch_um, 3),
        "image": image,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
