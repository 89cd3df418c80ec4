"""Stage ``encode_patches``: the features of one slide's patches by one frozen encoder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from stainscript import encoders
from stainscript.artifacts.stores import open_store, write_store
from stainscript.devices import hold_gpus
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

DTYPES = {"float16": np.float16, "float32": np.float32}
PASSED_ON = ("dataset", "slide", "view", "width_px", "mpp", "edge", "outside_share")


def encode_patches(*, patches: str | Path, encoder: dict[str, Any], hardware: dict[str, Any], out: str | Path) -> None:
    """Encode a store of patches, block by block, and write a store of kind ``features`` with the same ``spot_id``.

    encoder: name, kind, weights, weights_sha256, seed, precision, store (float16 or float32), batch_size; hardware:
    accelerator and threads. Raises ``DataContractError`` for wrong weights, for a changed patch store and for features
    that are not finite.
    """
    store = open_store(patches, "patches")
    accelerator = hardware["accelerator"] if encoders.needs_gpu(encoder["kind"]) else "cpu"
    with hold_gpus(accelerator=accelerator, count=1) as gpus:
        made = encoders.load(
            encoder["kind"],
            weights=encoder["weights"],
            weights_sha256=encoder["weights_sha256"],
            seed=encoder["seed"],
            precision=encoder["precision"],
            batch_size=encoder["batch_size"],
            hardware={**hardware, "gpu": None if gpus is None else gpus[0]},
        )
        spot_id = store.ids("spot_id")
        features = np.empty((len(spot_id), made.width), dtype=DTYPES[encoder["store"]])
        start = 0
        with np.errstate(over="ignore"):  # a value beyond float16 becomes infinite and is refused below
            for images in store.blocks("images"):
                features[start : start + len(images)] = made.encode(images)
                start += len(images)
    _refuse_infinite(features, spot_id, patches=patches, encoder=encoder)
    attrs = {key: store.attrs[key] for key in PASSED_ON} | {
        "encoder": encoder["name"],
        "kind": made.name,
        "weights_sha256": made.weights_sha256,
        "transform": made.transform,
        "precision": made.precision,
        "card": made.card,
        "patches_sha256": store.digest,
    }
    write_store(out, "features", {"features": features, "spot_id": spot_id}, attrs)
    logger.info("encoded %d spots of %s with %s: %d features", len(spot_id), attrs["slide"], made.name, made.width)


def _refuse_infinite(features: np.ndarray, spot_id: np.ndarray, *, patches: str | Path, encoder: dict) -> None:
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        spot, column = bad[0]
        raise DataContractError(
            patches,
            f"features of {encoder['name']}",
            expected=f"finite numbers in {encoder['store']}",
            found=f"{len(bad)} that are not, first at spot {spot_id[spot]}, feature {column}",
            remedy="set the encoder's store and precision to float32; if they are, its weights are damaged",
        )
