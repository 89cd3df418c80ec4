"""LazySlide at given places: its tile dataset in a DataLoader, or its feature extraction with an idle model.

Arguments: slide, spots, ``patches`` or ``features``, workers, reader: ``openslide``, which LazySlide takes by itself,
or ``fastslide``, which its documentation calls high-performance. Not timed: opening the slide, and the table of tiles
(a polygon each). Batches of 64: best or near it among 16, 32 (its default), 64 and 128 on a machine under load.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version

import lazyslide
import numpy as np
import torch
from lazyslide_models import ImageModel
from timing import SIDE_PX, arguments, collect, memory, serve
from torch.utils.data import DataLoader
from wsidata import TileSpec, open_wsi
from wsidata.io import add_tiles

BATCH = 64


class Idle(ImageModel):
    """No network: the centre pixel of each tensor. The transform is the one that LazySlide gives its image models."""

    name = "idle"

    def __init__(self) -> None:
        self.model = torch.nn.Identity()

    def encode_image(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :, SIDE_PX // 2, SIDE_PX // 2].clone()


def main() -> None:
    warnings.simplefilter("ignore")
    slide, spots, what, workers, (reader,) = arguments()
    wsi = open_wsi(slide, store=None, reader=reader)
    spec = TileSpec.from_wsidata(wsi, tile_px=SIDE_PX, mpp=0.5)
    add_tiles(wsi, "tiles", spots - SIDE_PX // 2, spec, np.zeros(len(spots), int))
    room = memory(len(spots)) if what == "patches" else None

    def patches() -> np.ndarray:
        loader = DataLoader(wsi.ds.tile_images(tile_key="tiles"), batch_size=BATCH, num_workers=workers)
        return collect((batch["image"].numpy() for batch in loader), into=room)

    def features() -> np.ndarray:
        return lazyslide.tl.feature_extraction(
            wsi, Idle(), device="cpu", batch_size=BATCH, num_workers=workers, pbar=False, return_features=True
        )

    serve(
        {"patches": patches, "features": features}[what],
        name=f"LazySlide {version('lazyslide')}, {reader}",
        settings=f"batches of {BATCH}, {workers} worker processes",
    )


if __name__ == "__main__":
    main()
