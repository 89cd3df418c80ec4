"""Stage ``extract_patches``: the patches of one slide's spots for one view."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet

from stainscript.artifacts.stores import Rows, write_store
from stainscript.errors import DataContractError
from stainscript.patches.extract import check_spots, cut_patches
from stainscript.slides.base import Slide
from stainscript.slides.open import open_slide
from stainscript.types import SlideInfo, ViewSpec

logger = logging.getLogger(__name__)


def extract_patches(
    *, info: str | Path, spots: str | Path, image: str | Path, view: dict[str, Any], out: str | Path
) -> None:
    """Cut the patches of the spots, in the order of ``spots``, and write them as a store of kind ``patches``.

    info: ``SlideInfo`` as JSON, whose µm per pixel counts; spots: Parquet with ``spot_id``, ``x_px``, ``y_px``;
    view: name, width_px, mpp, edge. Memory holds one shard of the store. Raises ``DataContractError`` for spots
    off the slide, for an image of another size than ``info`` says, and under ``edge: error`` for patches that leave it.
    """
    slide_info = SlideInfo(**json.loads(Path(info).read_text()))
    wanted = ViewSpec(**view)
    table = pyarrow.parquet.read_table(spots, columns=["spot_id", "x_px", "y_px"])
    spot_id = np.array(table["spot_id"].to_pylist(), dtype=object)
    xy_px = np.stack([table["x_px"].to_numpy(), table["y_px"].to_numpy()], axis=1).astype(np.float64)
    with open_slide(image, mpp=slide_info.mpp) as slide:
        _same_image(slide, slide_info, path=image)
        given = {"view": wanted, "slide_mpp": slide_info.mpp, "path": spots}
        shares = check_spots(slide, xy_px=xy_px, spot_id=spot_id, **given)

        def read(start: int, stop: int) -> np.ndarray:
            part = slice(start, stop)
            return cut_patches(slide, xy_px=xy_px[part], spot_id=spot_id[part], **given)

        shape = (len(spot_id), wanted.width_px, wanted.width_px, 3)
        attrs = {
            "dataset": slide_info.dataset,
            "slide": slide_info.slide,
            "view": wanted.name,
            "width_px": wanted.width_px,
            "mpp": wanted.mpp,
            "slide_mpp": slide_info.mpp,
            "edge": wanted.edge,
            "outside_share": round(float(shares.mean()), 9) if len(shares) else 0.0,
            "image_sha256": slide_info.image_sha256,
        }
        images = Rows(shape=shape, dtype=np.dtype(np.uint8), read=read)
        write_store(out, "patches", {"images": images, "spot_id": spot_id}, attrs)
    logger.info(
        "cut %d patches of %s for view %s; %d reach beyond the slide",
        len(spot_id),
        slide_info.slide,
        wanted.name,
        int((shares > 0).sum()),
    )


def _same_image(slide: Slide, info: SlideInfo, *, path: str | Path) -> None:
    if (slide.width_px, slide.height_px) != (info.width_px, info.height_px):
        raise DataContractError(
            path,
            "size",
            expected=f"{info.width_px} × {info.height_px} px, as when slide {info.slide} was ingested",
            found=f"{slide.width_px} × {slide.height_px} px",
            remedy="the image was exchanged since; ingest the slide again",
        )
