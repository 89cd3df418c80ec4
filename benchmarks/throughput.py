"""`make bench`: what the stages of the backbone cost, as ratios measured side by side in one process.

Each line is ours against the plainest way to do the same work; the minimum of several repetitions is taken, because
the rest is the machine's noise, which is printed as the spread of ours. Inputs are made here, from a seed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse, stats

from stainscript import encoders, seeds
from stainscript.artifacts.stores import open_store, write_store
from stainscript.evaluation.correlation import pearson_per_gene
from stainscript.genes.normalise import smooth_grid3x3, to_space
from stainscript.patches.stream import stream_crops
from stainscript.patches.views import plan_crops
from stainscript.slides.open import open_slide
from stainscript.types import Space, ViewSpec

REPEATS = 3
SPOTS, GENES = 2000, 300


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Least and greatest time of a few repetitions."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times), max(times)


def compare(name: str, ours: Callable[[], object], plain: Callable[[], object], *, items: int, unit: str) -> None:
    """Print one line: rate of ours, the ratio to the plain way, and the spread of ours."""
    best, worst = seconds(ours)
    other, _ = seconds(plain)
    print(f"{name:34} {items / best:12,.0f} {unit}/s   {other / best:7.2f} × the plain way   spread {worst / best:.2f}")


def correlations(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, SPOTS, GENES))
    plain = lambda: [stats.pearsonr(a[:, g], b[:, g]).statistic for g in range(GENES)]
    compare("Pearson per gene", lambda: pearson_per_gene(a, b), plain, items=GENES, unit="genes")


def spaces(rng: np.random.Generator) -> None:
    counts = sparse.csr_matrix(rng.poisson(0.2, size=(SPOTS, 15_000)))
    size = np.asarray(counts.sum(axis=1)).ravel()
    panel = counts[:, :GENES]

    def plain() -> np.ndarray:
        dense = counts.toarray()
        return np.log1p(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1) * 1e4)[:, :GENES]

    ours = lambda: to_space(panel, space=Space.LOG1P_CP10K, library_size=size)
    compare("log1p_cp10k of a panel", ours, plain, items=SPOTS, unit="spots")


def smoothing(rng: np.random.Generator) -> None:
    grid = np.stack(np.divmod(rng.permutation(60 * 60)[:SPOTS], 60), axis=1)
    values = rng.normal(size=(SPOTS, GENES))

    def plain() -> list[np.ndarray]:
        return [values[np.abs(grid - here).max(axis=1) <= 1].mean(axis=0) for here in grid]

    compare("3×3 mean", lambda: smooth_grid3x3(values, grid=grid), plain, items=SPOTS, unit="spots")


def patches(rng: np.random.Generator, folder: Path) -> None:
    import tifffile

    image = rng.integers(0, 255, size=(4096, 4096, 3), dtype=np.uint8)
    path = folder / "slide.tif"
    tifffile.imwrite(path, image, tile=(256, 256), photometric="rgb", compression="deflate", resolution=(2e4, 2e4))
    view = ViewSpec(name="patch", width_px=224, mpp=0.5, edge="white")
    centres = rng.uniform(200, 3900, size=(200, 2))

    def ours() -> None:
        with open_slide(path, mpp=0.6) as slide:
            size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
            crops = plan_crops(view, xy_px=centres, slide_mpp=0.6, **size)
            for _ in stream_crops(slide, crops={"patch": crops}, workers=1):
                pass

    def decode() -> None:
        tifffile.imread(path)

    compare("patches (plain: decode the file)", ours, decode, items=len(centres), unit="patches")


def features(rng: np.random.Generator) -> None:
    import torch

    images = rng.integers(0, 255, size=(64, 224, 224, 3), dtype=np.uint8)
    morphology = encoders.load("morphology")
    network = encoders.load("timm:resnet18", batch_size=64, hardware={"accelerator": "cpu", "threads": 1})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run = lambda: network.encode(images)
    compare("morphology (plain: resnet18)", lambda: morphology.encode(images), run, items=64, unit="patches")
    torch.set_num_threads(threads)


def stores(rng: np.random.Generator, folder: Path) -> None:
    values = rng.normal(size=(4000, 1024)).astype(np.float32)
    ids = np.array([f"{n}x1" for n in range(4000)], dtype=object)
    names = ("dataset", "slide", "view", "encoder", "weights_sha256", "transform", "precision")
    write_store(folder / "store", "features", {"features": values, "spot_id": ids}, dict.fromkeys(names, "x"))
    np.save(folder / "plain.npy", values)
    ours = lambda: open_store(folder / "store", "features")["features"]
    compare("read features, digest checked", ours, lambda: np.load(folder / "plain.npy"), items=4000, unit="spots")


def main() -> None:
    rng = seeds.generator(0, "benchmark")
    with tempfile.TemporaryDirectory() as name:
        for work in (correlations, spaces, smoothing, features):
            work(rng)
        for work in (patches, stores):
            work(rng, Path(name))


if __name__ == "__main__":
    main()
