"""Stage ``encode_slide``: features of one slide's views by one frozen encoder, straight from the slide."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stainscript import encoders
from stainscript.artifacts.scratch import ScratchRows, scratch_rows
from stainscript.artifacts.stores import write_store
from stainscript.devices import hold_gpus
from stainscript.errors import DataContractError
from stainscript.patches.stream import CropBlock
from stainscript.stages.slide_views import SlideViews, opened_views, read_record

logger = logging.getLogger(__name__)

DTYPES = {"float16": np.float16, "float32": np.float32}
LINE_SECONDS = 10.0  # at most one line of progress in this time


def encode_slide(
    *,
    info: str | Path,
    spots: str | Path,
    image: str | Path,
    views: Mapping[str, Mapping[str, Any]],
    encoder: Mapping[str, Any],
    hardware: Mapping[str, Any],
    out: Mapping[str, str | Path],
) -> None:
    """Cut all ``views`` in one pass over the slide, encode them, and write one store a view, spots in stored order.

    views: name → what ``ViewSpec`` takes; out: name → folder, of kind ``features``, or ``region_features`` for a grid;
    encoder: name and the keys of the config's entry; hardware: accelerator, threads, and workers that decode.
    No patch is stored: worker threads decode while the network computes, and features wait in a scratch file until
    they are written in order, so memory does not grow with the slide. Raises ``DataContractError`` for wrong weights,
    for what ``opened_views`` refuses and for features that are not finite.
    """
    record = read_record(info)
    accelerator = hardware["accelerator"] if encoders.needs_gpu(encoder["kind"]) else "cpu"
    with contextlib.ExitStack() as stack:
        planned, stream = stack.enter_context(opened_views(image, record=record, spots=spots, views=views))
        gpus = stack.enter_context(hold_gpus(accelerator=accelerator, count=1))
        made = _load(
            encoder, hardware={**hardware, "accelerator": accelerator, "gpu": None if gpus is None else gpus[0]}
        )
        kept = {
            name: stack.enter_context(
                scratch_rows(out[name], shape=(crops.valid.size, made.width), dtype=DTYPES[encoder["store"]])
            )
            for name, crops in planned.crops.items()
        }
        blocks = stream(workers=hardware["workers"], block=encoder["batch_size"])
        with contextlib.closing(blocks):
            _encode(made, blocks, planned=planned, kept=kept, name=encoder["name"], path=image)
        for name, rows in kept.items():
            _write(out[name], name, rows, planned=planned, made=made, encoder=encoder)


def _load(encoder: Mapping[str, Any], *, hardware: dict[str, Any]) -> Any:
    keys = ("weights", "weights_sha256", "seed", "precision", "batch_size", "options", "compile")
    return encoders.load(encoder["kind"], **{key: encoder[key] for key in keys}, hardware=hardware)


def _encode(
    made: Any,
    blocks: Iterator[CropBlock],
    *,
    planned: SlideViews,
    kept: Mapping[str, ScratchRows],
    name: str,
    path: str | Path,
) -> None:
    """Every block through the encoder, its features into the scratch rows of its view."""
    progress = _Progress(record=planned.record.slide, total=sum(crops.valid.size for crops in planned.crops.values()))
    valid = {view: crops.valid.ravel() for view, crops in planned.crops.items()}
    blank = None if all(flags.all() for flags in valid.values()) else made.blank()
    sent: deque[tuple[str, np.ndarray]] = deque()

    def images() -> Iterator[np.ndarray]:
        for block in blocks:
            sent.append((block.view, block.index))
            yield block.images

    for features in made.encode_batches(images()):
        view, index = sent.popleft()
        if blank is not None:  # a cell beyond the slide counts as a blank image, whatever was cut for it
            features = np.where(valid[view][index, None], features, blank)
        with np.errstate(over="ignore"):  # a value beyond float16 becomes infinite and is refused here
            stored = features.astype(kept[view].dtype)
        _refuse_infinite(stored, index, view=view, planned=planned, name=name, path=path)
        kept[view].put(index, stored)
        progress.add(len(index))


def _write(
    out: str | Path, view: str, rows: ScratchRows, *, planned: SlideViews, made: Any, encoder: Mapping[str, Any]
) -> None:
    attrs = planned.attrs(view) | {
        "encoder": encoder["name"],
        "kind": made.name,
        "weights_sha256": made.weights_sha256,
        "transform": made.transform,
        "precision": made.precision,
        "card": made.card,
    }
    extra = planned.extra_arrays(view)
    kind = "region_features" if "mask" in extra else "features"
    shape = (*planned.crops[view].valid.shape, made.width) if "mask" in extra else rows.shape
    write_store(out, kind, {"features": rows.rows(shape), **extra}, attrs)
    logger.info(
        "encoded %d spots of %s, view %s, with %s: %d features; %d reach beyond the slide",
        len(planned.spot_id),
        planned.record.slide,
        view,
        made.name,
        made.width,
        int((planned.outside[view] > 0).sum()),
    )


def _refuse_infinite(
    features: np.ndarray, index: np.ndarray, *, view: str, planned: SlideViews, name: str, path: str | Path
) -> None:
    if np.isfinite(features).all():
        return
    row, column = np.argwhere(~np.isfinite(features))[0]
    spot = planned.spot_id[index[row] // planned.views[view].cells]
    raise DataContractError(
        path,
        f"features of {name}, view {view}",
        expected=f"finite numbers in {features.dtype}",
        found=f"{features[row, column]} at spot {spot}, feature {column}",
        remedy="set the encoder's store and precision to float32; if they are, its weights are damaged",
    )


class _Progress:
    """Crops done, their rate and the time left, as lines of the log."""

    def __init__(self, *, record: str, total: int) -> None:
        self.slide, self.total, self.done = record, total, 0
        self.started = self.last = time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= LINE_SECONDS or self.done == self.total:
            self.last = now
            rate = self.done / max(now - self.started, 1e-9)
            left = (self.total - self.done) / rate
            logger.info(
                "%s: %d of %d patches, %.0f a second, %.0f s left", self.slide, self.done, self.total, rate, left
            )
