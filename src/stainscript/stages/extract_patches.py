"""Stage ``extract_patches``: the patches of one slide's spots for one view."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from stainscript.artifacts.scratch import scratch_rows
from stainscript.artifacts.stores import write_store
from stainscript.patches.stream import BLOCK
from stainscript.stages.slide_views import opened_views, read_record

logger = logging.getLogger(__name__)


def extract_patches(
    *, info: str | Path, spots: str | Path, image: str | Path, view: dict[str, Any], out: str | Path, workers: int = 1
) -> None:
    """Cut the view of every spot, in the order of ``spots``, into a store of kind ``patches``, of a grid ``regions``.

    info: ``SlideInfo`` as JSON, whose µm per pixel counts; spots: Parquet with ``spot_id``, ``x_px``, ``y_px``; view:
    what ``ViewSpec`` takes; workers: threads that decode, of which the store does not depend. The slide is passed once,
    in its own order; patches wait in a scratch file until they are written in the order of the spots, a shard of the
    store at a time. Raises what ``opened_views`` raises.
    """
    record, name = read_record(info), view["name"]
    with contextlib.ExitStack() as stack:
        planned, stream = stack.enter_context(opened_views(image, record=record, spots=spots, views={name: view}))
        crops = planned.crops[name]
        cut = stack.enter_context(scratch_rows(out, shape=(len(crops), *crops.image_shape), dtype=np.dtype(np.uint8)))
        with contextlib.closing(stream(workers=workers, block=BLOCK)) as blocks:
            for block in blocks:
                cut.put(block.index, block.images)
        extra = planned.extra_arrays(name)
        kind, shape = "patches", cut.shape
        if crops.view.grid > 1:
            kind, shape = "regions", (*crops.valid.shape, *crops.image_shape)
        write_store(out, kind, {"images": cut.rows(shape), **extra}, planned.attrs(name))
    logger.info(
        "cut %d patches of %s for view %s; %d reach beyond the slide",
        len(crops),
        record.slide,
        name,
        int((planned.outside[name] > 0).sum()),
    )
