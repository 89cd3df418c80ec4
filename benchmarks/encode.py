"""`make bench`: what encoding straight from the slide keeps of the network's own speed.

Ours: open the slide, plan, decode with worker threads, transform, network, features written to a store; the weights
are loaded before. Beside it the bare forward of the same network on normalised tensors that lie in memory, in the same
batches, threads and precision, and in the memory format in which it is faster. Both take turns; the least time counts.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import synthetic_slide
import timm
import torch

from stainscript import encoders
from stainscript.artifacts.stores import write_store
from stainscript.encoders.base import Encoder
from stainscript.encoders.execution import DTYPES
from stainscript.patches.stream import stream_crops
from stainscript.patches.views import plan_crops
from stainscript.slides.open import open_slide
from stainscript.types import ViewSpec

TARGET = 0.95
ROUNDS = 3
VIEW = ViewSpec(name="patch", width_px=224, mpp=0.5, edge="white")
CASES = {  # device: model, patches, batch, precision
    "cpu": [("resnet50", 96, 32, "float32"), ("vit_small_patch16_224", 96, 32, "float32")],
    "cuda": [("vit_large_patch16_224", 4000, 128, "bfloat16")],
}
ATTRS = ("dataset", "slide", "view", "encoder", "weights_sha256", "transform", "precision")
FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, and how it is run."""

    model: str
    count: int  # patches
    batch: int
    precision: str
    device: str
    workers: int


def main() -> None:
    slide = synthetic_slide.cached()
    gpu = torch.cuda.is_available()
    print("\nslide → features, beside the bare forward on tensors in memory")
    for device in ("cpu", "cuda") if gpu else ("cpu",):
        workers = 2 if device == "cpu" else min(8, len(os.sched_getaffinity(0)))
        for model, count, batch, precision in CASES[device]:
            case = Case(model=model, count=count, batch=batch, precision=precision, device=device, workers=workers)
            compare(case, slide=slide)
    if not gpu:
        print("  no GPU: ViT-L in bfloat16 left out")


def compare(case: Case, *, slide: Path) -> None:
    """One line: the rates of both, and what ours keeps."""
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    hardware = {"accelerator": "cpu" if case.device == "cpu" else "gpu", "threads": threads}
    spots = synthetic_slide.spots(case.count)
    encoder = encoders.load(f"timm:{case.model}", precision=case.precision, batch_size=case.batch, hardware=hardware)
    form = faster_format(case)
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "ours": lambda: from_slide(encoder, case, slide, spots, Path(folder) / "store"),
            "bare": bare(case, FORMATS[form]),
        }
        taken = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, work in ways.items():
                taken[name].append(timed(work))
    best, cpu = ({name: min(t[k] for t in times) for name, times in taken.items()} for k in (0, 1))
    share = best["bare"] / best["ours"]
    spread = max(t[0] for t in taken["ours"]) / best["ours"]
    print(
        f"  {case.model} in {case.precision} on {case.device}: {case.count / best['ours']:,.1f} patches a second with "
        f"{case.workers} workers, bare ({form}) {case.count / best['bare']:,.1f}\n"
        f"    {share:.1%} of the bare forward; target {TARGET:.0%}: {'reached' if share >= TARGET else 'MISSED'}"
        f"   spread {spread:.2f}, CPU seconds {cpu['ours']:.2f} and {cpu['bare']:.2f}"
    )


def faster_format(case: Case) -> str:
    """The memory format in which the bare network is faster here."""
    few = replace(case, count=2 * case.batch)
    works = {name: bare(few, form) for name, form in FORMATS.items()}
    for work in works.values():
        work()
    return min(works, key=lambda name: timed(works[name])[0])


def bare(case: Case, form: torch.memory_format) -> Callable[[], None]:
    """The network alone, timm's own, over normalised tensors on its device."""
    network = timm.create_model(case.model, pretrained=False, num_classes=0)
    network = network.eval().to(case.device, memory_format=form)
    planes = torch.randn(case.batch, 3, VIEW.width_px, VIEW.width_px, device=case.device).contiguous(memory_format=form)

    @torch.inference_mode()
    def work() -> None:
        for start in range(0, case.count, case.batch):
            with torch.autocast(case.device, DTYPES[case.precision], enabled=case.precision != "float32"):
                network(planes[: case.count - start])

    return work


def from_slide(encoder: Encoder, case: Case, path: Path, spots: np.ndarray, store: Path) -> None:
    """All of the encode stage but loading the weights."""
    features = np.empty((len(spots), encoder.width), np.float32)
    indices = []

    def images() -> Iterator[np.ndarray]:
        for block in stream_crops(slide, crops=crops, workers=case.workers, block=case.batch):
            indices.append(block.index)
            yield block.images

    with open_slide(path) as slide:
        size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
        crops = {VIEW.name: plan_crops(VIEW, xy_px=spots, slide_mpp=slide.mpp, **size)}
        for number, some in enumerate(encoder.encode_batches(images())):
            features[indices[number]] = some
    ids = np.array([str(n) for n in range(len(spots))], dtype=object)
    write_store(store, "features", {"features": features, "spot_id": ids}, dict.fromkeys(ATTRS, "benchmark"))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process."""
    started, used = time.perf_counter(), time.process_time()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, time.process_time() - used


if __name__ == "__main__":
    main()
