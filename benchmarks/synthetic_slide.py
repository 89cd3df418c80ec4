"""A slide of the size that people have, made from a seed: what the benchmarks of the slide stages read.

20,000 × 20,000 px at 0.5 µm/px: 256-px JPEG tiles of quality 85 with halved chroma, as scanners' software and libvips
write them, and two reduced levels. Drawn and compressed tile by tile: what is held is a texture that repeats and the
reduced levels, far less than the 1.2 GB of the slide. The spots lie as Visium's do: a hexagonal grid of 100 µm, turned
a little, so that every offset within a tile occurs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

from stainscript import seeds

SIDE_PX, MPP, TILE, QUALITY = 20_000, 0.5, 256, 85
REDUCTIONS = (4, 16)
PITCH_PX = 200.0  # 100 µm
TURN = math.radians(1.7)
FIELD = 2048  # the stain texture repeats after so many pixels; a whole number of tiles
COARSE = 160  # points a side at which outline and strength of the stains are drawn
STEPS_PER_OD = 100
STAINS = ((0.62, 0.74, 0.36), (0.09, 0.74, 0.42))  # optical density of R, G, B: haematoxylin, eosin


def cached(*, folder: Path = Path("results/benchmarks")) -> Path:
    """The slide that this very file draws, made where it is not there yet; what earlier versions drew is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = folder / f"slide-{version}.tif"
    for old in set(folder.glob("slide-*")) - {path}:
        old.unlink()
    return write_slide(path)


def write_slide(path: Path, *, seed: int = 0, side_px: int = SIDE_PX) -> Path:
    """Write the pyramid to ``path``, or keep the file that is there (it is complete: the name is given last)."""
    if path.is_file():
        return path
    rng = seeds.generator(seed, "synthetic slide")
    reduced = {r: np.full((side_px // r, side_px // r, 3), 255, np.uint8) for r in REDUCTIONS}
    options = {
        "tile": (TILE, TILE),
        "photometric": "rgb",
        "compression": "jpeg",
        "compressionargs": {"level": QUALITY},
        "subsampling": (2, 2),
        "resolutionunit": "CENTIMETER",
        "metadata": None,
        "software": False,
    }
    partial = path.with_suffix(".partial")
    with tifffile.TiffWriter(partial, bigtiff=True) as file:
        tiles = _drawn_tiles(rng, side_px=side_px, reduced=reduced)
        per_cm = 1e4 / MPP
        file.write(tiles, shape=(side_px, side_px, 3), dtype=np.uint8, resolution=(per_cm, per_cm), **options)
        for r, image in reduced.items():
            file.write(image, subfiletype=1, resolution=(per_cm / r, per_cm / r), **options)
    return partial.replace(path)


def spots(count: int, *, seed: int = 0, side_px: int = SIDE_PX) -> np.ndarray:
    """(count, 2) int64 centres (x, y) on the tissue, row by row: the most central of a 100 µm grid, or of a finer one
    where that does not hold as many."""
    outline = _outline(seeds.generator(seed, "synthetic slide"))
    pitch = PITCH_PX
    while True:
        grid = _hexagonal(pitch, side_px=side_px)
        cell = np.clip(grid * COARSE // side_px, 0, COARSE - 1)
        grid = grid[outline[cell[:, 1], cell[:, 0]] > 0.9]
        if len(grid) >= count:
            nearest = np.argsort(((grid - side_px / 2) ** 2).sum(axis=1), kind="stable")[:count]
            return grid[np.sort(nearest)]
        pitch *= 0.95


def _hexagonal(pitch: float, *, side_px: int) -> np.ndarray:
    """Integer points (x, y) of a turned hexagonal grid whose crops of 256 px lie on the slide."""
    reach = int(side_px / pitch)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    x, y = pitch * (columns + 0.5 * (rows & 1)), pitch * math.sqrt(0.75) * rows
    turned = np.stack([x * math.cos(TURN) - y * math.sin(TURN), x * math.sin(TURN) + y * math.cos(TURN)], axis=1)
    points = np.rint(turned + side_px / 2).astype(np.int64)
    return points[((points >= TILE // 2) & (points < side_px - TILE // 2)).all(axis=1)]


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Share of tissue at the coarse points, (COARSE, COARSE): one lobed piece that fills two thirds of the slide."""
    y, x = (np.mgrid[:COARSE, :COARSE] + 0.5) / COARSE - 0.5
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    phase = rng.uniform(0, 2 * np.pi, 4)
    edge = 0.455 + sum(0.012 * np.sin((k + 2) * angle + phase[k]) for k in range(4))
    return np.clip((edge - radius) * COARSE / 3, 0, 1).astype(np.float32)


def _drawn_tiles(rng: np.random.Generator, *, side_px: int, reduced: dict[int, np.ndarray]) -> Iterator[np.ndarray]:
    """Level 0's tiles (256, 256, 3), row by row; each is averaged into the ``reduced`` levels on the way."""
    outline = Image.fromarray(_outline(rng))
    strength = ndimage.zoom(rng.uniform(0.75, 1.25, (20, 20)).astype(np.float32), COARSE / 20, order=1)
    strengths = Image.fromarray(strength)
    textures, table = _textures(rng), _stain_table()
    zoom = COARSE / side_px
    for top in range(0, side_px, TILE):
        for left in range(0, side_px, TILE):
            box = (left * zoom, top * zoom, min(left + TILE, side_px) * zoom, min(top + TILE, side_px) * zoom)
            size = (min(TILE, side_px - left), min(TILE, side_px - top))
            tissue = np.asarray(outline.resize(size, Image.Resampling.BILINEAR, box=box))
            if tissue.any():
                amount = tissue * np.asarray(strengths.resize(size, Image.Resampling.BILINEAR, box=box))
                y, x = top % FIELD, left % FIELD
                stains = textures[:, y : y + size[1], x : x + size[0]] * amount
                index = np.minimum(stains, 255).astype(np.uint16)
                drawn = table[index[0] << 8 | index[1]].view(np.uint8).reshape(size[1], size[0], 4)[..., :3]
            else:
                drawn = np.full((size[1], size[0], 3), table.view(np.uint8)[0], np.uint8)
            tile = np.full((TILE, TILE, 3), 255, np.uint8)
            tile[: size[1], : size[0]] = drawn
            for r, image in reduced.items():
                small = tile.reshape(TILE // r, r, TILE // r, r, 3).mean(axis=(1, 3)).astype(np.uint8)
                part = image[top // r : (top + TILE) // r, left // r : (left + TILE) // r]
                part[:] = small[: part.shape[0], : part.shape[1]]
            yield tile


def _textures(rng: np.random.Generator) -> np.ndarray:
    """Haematoxylin and eosin of a periodic field, (2, FIELD, FIELD) float32 in steps of the stain table.

    Nuclei of 4 to 9 µm with chromatin, fibres in eosin, and the grain that keeps cytoplasm from being flat.
    """
    noise = rng.standard_normal((4, FIELD, FIELD), dtype=np.float32)
    smooth = [
        ndimage.gaussian_filter(n, sigma, mode="wrap") for n, sigma in zip(noise, (4.5, 1.2, (2, 9), 0.8), strict=True)
    ]
    cells, chromatin, fibres, grain = (s / s.std() for s in smooth)
    nuclei = np.clip((cells - 0.9) * 3, 0, 1)
    haematoxylin = 14 + 75 * nuclei * (1 + 0.25 * chromatin) + 4 * grain
    eosin = 42 + 16 * np.tanh(fibres) - 25 * nuclei + 5 * grain + 3 * chromatin
    return np.clip(np.stack([haematoxylin, eosin]), 0, 255).astype(np.float32)


def _stain_table() -> np.ndarray:
    """(65536,) packed RGBA of each pair of 8-bit stain densities: light falls off exponentially (Beer-Lambert)."""
    density = np.arange(256) / STEPS_PER_OD
    od = density[:, None, None] * np.array(STAINS[0]) + density[None, :, None] * np.array(STAINS[1])
    rgba = np.full((256, 256, 4), 255, np.uint8)
    rgba[..., :3] = np.round(245 * np.exp(-od))
    return rgba.view(np.uint32).ravel()
