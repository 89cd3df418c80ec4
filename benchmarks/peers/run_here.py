"""Ours at given places, and two ways to read the slide with nothing around them.

Arguments: slide, spots, ``patches``, ``features``, ``openslide`` or ``decode``, workers. Not timed: opening the slide,
and planning the crops. The idle encoder is the engine's own, around a network that returns one pixel of each tensor.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import tifffile
import torch
from timing import MEAN, SIDE_PX, STD, arguments, memory, serve

from stainscript.encoders.execution import Execution
from stainscript.encoders.network import TorchEncoder
from stainscript.encoders.transform import Transform
from stainscript.patches.stream import stream_crops
from stainscript.patches.views import plan_crops
from stainscript.slides.open import open_slide
from stainscript.types import ViewSpec

BLOCK = 64
CENTRE = SIDE_PX // 2


class Idle(torch.nn.Module):
    """No network: the centre pixel of each tensor."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, :, CENTRE, CENTRE].clone()


def idle_encoder() -> TorchEncoder:
    """The engine with ImageNet's normalisation at 224 px and nothing to compute."""
    execution = Execution.on(torch.device("cpu"), threads=None, precision="float32", compile=False)
    transform = Transform(resize_px=SIDE_PX, crop_px=(SIDE_PX, SIDE_PX), mode="bilinear", mean=MEAN, std=STD)
    return TorchEncoder(
        execution.prepare(Idle()),
        name="idle",
        width=3,
        transform=transform,
        execution=execution,
        weights_sha256="none",
        card={"transform": "ImageNet"},
        input_px=(SIDE_PX, SIDE_PX),
        batch_size=BLOCK,
    )


def ours(path: Path, spots: np.ndarray, *, what: str, workers: int) -> Callable[[], np.ndarray]:
    slide = open_slide(path)
    view = ViewSpec(name="patch", width_px=SIDE_PX, mpp=0.5, edge="white")
    size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
    crops = {"patch": plan_crops(view, xy_px=spots, slide_mpp=slide.mpp, **size)}
    room = memory(len(spots)) if what == "patches" else None

    def patches() -> np.ndarray:
        for block in stream_crops(slide, crops=crops, workers=workers, block=BLOCK):
            room[block.index] = block.images
        return room

    def features() -> np.ndarray:
        made, indices = np.empty((len(spots), 3), np.float32), []

        def images():
            for block in stream_crops(slide, crops=crops, workers=workers, block=BLOCK):
                indices.append(block.index)
                yield block.images

        for number, some in enumerate(encoder.encode_batches(images())):
            made[indices[number]] = some
        return made

    encoder = idle_encoder() if what == "features" else None
    return {"patches": patches, "features": features}[what]


def in_threads(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def openslide_loop(path: Path, spots: np.ndarray, *, workers: int) -> Callable[[], np.ndarray]:
    """``read_region`` of every patch in spot order, in threads: the GIL is free while OpenSlide reads."""
    slide, room = openslide.OpenSlide(path), memory(len(spots))
    corners = (spots - SIDE_PX // 2).tolist()

    def read(worker: int) -> None:
        for n in range(worker, len(corners), workers):
            room[n] = np.asarray(slide.read_region(corners[n], 0, (SIDE_PX, SIDE_PX)))[..., :3]

    def work() -> np.ndarray:
        in_threads(read, workers)
        return room

    return work


def bare_decode(path: Path, spots: np.ndarray, *, workers: int) -> tuple[Callable[[], np.ndarray], int]:
    """Each tile that a patch touches, decoded once into one array a thread; nothing is cut. And the number of tiles."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        tile, across = page.tilewidth, -(-page.imagewidth // page.tilewidth)
        low, high = (spots - SIDE_PX // 2) // tile, (spots + SIDE_PX // 2 - 1) // tile
        corners = [(high if i else low, high if j else low) for i, j in itertools.product((0, 1), repeat=2)]
        needed = np.unique(np.concatenate([y[:, 1] * across + x[:, 0] for x, y in corners])).tolist()
        stored = path.read_bytes()
        parts = [memoryview(stored)[page.dataoffsets[n] :][: page.databytecounts[n]] for n in needed]

    def decode(worker: int) -> None:
        out = np.empty((tile, tile, 3), np.uint8)
        for part in parts[worker::workers]:
            imagecodecs.jpeg8_decode(part, out=out)

    def work() -> np.ndarray:
        in_threads(decode, workers)
        return np.zeros((len(spots), 3), np.float32)

    return work, len(parts)


def main() -> None:
    slide, spots, what, workers, _ = arguments()
    settings = f"{workers} threads"
    if what == "openslide":
        serve(openslide_loop(slide, spots, workers=workers), name="OpenSlide read_region", settings=settings)
    elif what == "decode":
        work, tiles = bare_decode(slide, spots, workers=workers)
        serve(work, name=f"bare decode of the {tiles:,} tiles", settings=settings)
    else:
        settings = f"blocks of {BLOCK}, {workers} worker threads"
        work = ours(slide, spots, what=what, workers=workers)
        serve(work, name=f"Stainscript {version('stainscript')}", settings=settings)


if __name__ == "__main__":
    main()
