"""What the stages that cut a slide share: its record, its spots, and every crop planned before a pixel is read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from stainscript.datasets.hest_files import PatchFile
from stainscript.errors import DataContractError
from stainscript.patches import prepared
from stainscript.patches.extract import check_spots
from stainscript.patches.stream import CropBlock, stream_crops
from stainscript.patches.views import Crops, plan_crops
from stainscript.slides.base import Slide
from stainscript.slides.open import open_slide
from stainscript.types import SlideInfo, ViewSpec


@dataclass(frozen=True, kw_only=True)
class SlideViews:
    """One slide's spots and the crops of its views, by view name."""

    record: SlideInfo
    spot_id: np.ndarray  # (S,) str objects
    xy_px: np.ndarray  # (S, 2) float64, level-0 pixels
    views: dict[str, ViewSpec]
    crops: dict[str, Crops]
    outside: dict[str, np.ndarray]  # view → (S,) share of each spot's own patch beyond the slide

    def attrs(self, view: str) -> dict[str, Any]:
        """What a store of this view says about itself."""
        spec, share = self.views[view], self.outside[view]
        return {
            "dataset": self.record.dataset,
            "slide": self.record.slide,
            "view": view,
            "width_px": spec.width_px,
            "mpp": spec.mpp,
            "slide_mpp": self.record.mpp,
            "edge": spec.edge,
            "grid": spec.grid,
            "field": spec.field,
            "corner": spec.corner,
            "outside_share": round(float(share.mean()), 9) if len(share) else 0.0,
            "image_sha256": self.record.image_sha256,
        }

    def extra_arrays(self, view: str) -> dict[str, np.ndarray]:
        """What a store of this view holds beside its main array: ids, validity of a grid's cells, cell of a field."""
        spec, crops = self.views[view], self.crops[view]
        extra = {"spot_id": self.spot_id}
        if spec.grid > 1:
            extra["mask"] = crops.valid
        if spec.field > 1:
            extra["cell"] = crops.cell.astype(np.int8)
        return extra


# (workers=, block=) → blocks of crops, every crop of every view once
Stream = Callable[..., Iterator[CropBlock]]


@contextlib.contextmanager
def opened_views(
    image: str | Path, *, record: SlideInfo, spots: str | Path, views: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[SlideViews, Stream]]:
    """Open what a slide's pixels come from and plan all ``views`` of it: the slide, or its file of ready-made patches.

    Yields the plan and the function that streams it. Raises what ``plan_views`` and ``plan_prepared`` raise.
    """
    if record.reader == prepared.READER:
        with PatchFile(image) as file:
            yield _prepared_views(file, record=record, spots=spots, views=views)
        return
    with open_slide(image, mpp=record.mpp) as slide:
        planned = plan_views(slide, record=record, spots=spots, views=views, image=image)

        def stream(*, workers: int, block: int) -> Iterator[CropBlock]:
            return stream_crops(slide, crops=planned.crops, workers=workers, block=block)

        yield planned, stream


def read_record(info: str | Path) -> SlideInfo:
    """The slide's record, from JSON."""
    return SlideInfo(**json.loads(Path(info).read_text()))


def read_spots(spots: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids (S,) and centres (S, 2) in level-0 pixels, in stored order."""
    table = pyarrow.parquet.read_table(spots, columns=["spot_id", "x_px", "y_px"])
    xy_px = np.stack([table["x_px"].to_numpy(), table["y_px"].to_numpy()], axis=1).astype(np.float64)
    return np.array(table["spot_id"].to_pylist(), dtype=object), xy_px


def plan_views(
    slide: Slide, *, record: SlideInfo, spots: str | Path, views: Mapping[str, Mapping[str, Any]], image: str | Path
) -> SlideViews:
    """Plan the crops of all ``views`` (name → what ``ViewSpec`` takes) on an opened slide.

    Raises ``DataContractError`` for an image of another size than the record says, for spots off the slide, for a view
    that is larger than the slide, and under ``edge: error`` for patches that leave it.
    """
    if (slide.width_px, slide.height_px) != (record.width_px, record.height_px):
        raise DataContractError(
            image,
            "size",
            expected=f"{record.width_px} × {record.height_px} px, as when slide {record.slide} was ingested",
            found=f"{slide.width_px} × {slide.height_px} px",
            remedy="the image was exchanged since; ingest the slide again",
        )
    spot_id, xy_px = read_spots(spots)
    specs = {name: ViewSpec(**view) for name, view in views.items()}
    size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
    crops, outside = {}, {}
    for name, spec in specs.items():
        given = {"xy_px": xy_px, "slide_mpp": record.mpp}
        outside[name] = check_spots(slide, view=spec, spot_id=spot_id, path=spots, **given)
        crops[name] = plan_crops(spec, **given, **size)
    return SlideViews(record=record, spot_id=spot_id, xy_px=xy_px, views=specs, crops=crops, outside=outside)


def _prepared_views(
    file: PatchFile, *, record: SlideInfo, spots: str | Path, views: Mapping[str, Mapping[str, Any]]
) -> tuple[SlideViews, Stream]:
    spot_id, xy_px = read_spots(spots)
    specs = {name: ViewSpec(**view) for name, view in views.items()}
    crops = {name: prepared.plan_prepared(file, view=spec, spot_id=spot_id) for name, spec in specs.items()}
    outside = {name: planned.outside for name, planned in crops.items()}

    def stream(*, workers: int, block: int) -> Iterator[CropBlock]:  # one file, read in order: no use for workers
        for name in crops:
            yield from prepared.stream_prepared(file, view=name, spot_id=spot_id, block=block)

    planned = SlideViews(record=record, spot_id=spot_id, xy_px=xy_px, views=specs, crops=crops, outside=outside)
    return planned, stream
