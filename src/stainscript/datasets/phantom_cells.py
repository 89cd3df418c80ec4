"""The phantom's nuclei and fat vacuoles: where they lie, and small pictures of them laid onto a canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stainscript.datasets.phantom_tissue import GRID_UM, Tissue, sample_field

VACUOLE_UM = 52.0
STEPS_PER_OD = 80  # stain is held in 8 bits: up to 3.2


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Nuclei of one cell type: where they are, how large, how dark (haematoxylin, optical density units)."""

    per_mm2: dict[str, float]  # region → nuclei per mm² of it
    long_um: float  # half axes
    short_um: float
    darkness: float
    pale_core: float = 0.0  # how much lighter the inside is than the rim
    aligned: bool = False  # along the fibres


CELLS = {
    "tumour": Cell(per_mm2={"tumour": 6800}, long_um=5.6, short_um=4.5, darkness=1.0, pale_core=0.5),
    "lymphocyte": Cell(
        per_mm2={"immune": 12000, "stroma": 260, "tumour": 160}, long_um=3.2, short_um=3.0, darkness=1.65
    ),
    "fibroblast": Cell(
        per_mm2={"stroma": 1700, "immune": 250, "fat": 160}, long_um=8.0, short_um=1.9, darkness=1.15, aligned=True
    ),
    "debris": Cell(per_mm2={"necrosis": 2600}, long_um=1.8, short_um=1.4, darkness=0.8),
}
SITE_UM = 9.4  # spacing of the places where a nucleus may lie: 13,000 per mm²


def stamp_nuclei(rng: np.random.Generator, canvas: np.ndarray, *, tissue: Tissue, mpp: float) -> None:
    """Draw all nuclei onto ``canvas`` (rows, columns) uint8 as haematoxylin, ``STEPS_PER_OD`` steps per unit.

    Each place of a jittered lattice holds a nucleus of some type, or none, by the region shares there.
    """
    xy_um = _sites(rng, tissue, spacing_um=SITE_UM, jitter=0.22)
    rows, columns = (np.clip((xy_um[:, a] / GRID_UM).astype(int), 0, tissue.grade.shape[1 - a] - 1) for a in (1, 0))
    per_site = SITE_UM**2 * np.sqrt(0.75) / 1e6
    chances = [
        sum(tissue.shares[region][rows, columns] * n for region, n in cell.per_mm2.items()) * per_site
        for cell in CELLS.values()
    ]
    chosen = (rng.random(len(xy_um)) > np.cumsum(chances, axis=0)).sum(axis=0)  # len(CELLS): none
    spread, tone, turn = rng.normal(0, 1, size=(3, len(xy_um)))
    slope_y, slope_x = np.gradient(tissue.fibre_um)
    along = np.arctan2(slope_x, -slope_y)[rows, columns] + 0.2 * turn
    grade = tissue.grade[rows, columns]
    for index, (name, cell) in enumerate(CELLS.items()):
        mine = np.flatnonzero(chosen == index)
        angle = along[mine] if cell.aligned else np.pi * turn[mine]
        graded = grade[mine] if name == "tumour" else np.full(len(mine), 0.5)
        size = (0.78 + 0.44 * graded) * np.clip(1 + 0.13 * spread[mine], 0.7, 1.4)
        dark = cell.darkness * (0.85 + 0.3 * graded) * np.clip(1 + 0.14 * tone[mine], 0.6, 1.4)
        _stamp(canvas, cell, xy_px=xy_um[mine] / mpp, size=size, angle=angle, dark=dark, mpp=mpp)


def stamp_vacuoles(rng: np.random.Generator, canvas: np.ndarray, *, tissue: Tissue, mpp: float) -> None:
    """Draw the empty rounds of fat cells onto ``canvas`` (rows, columns) uint8, 255 inside."""
    xy_um = _sites(rng, tissue, spacing_um=VACUOLE_UM, jitter=0.06)
    xy_um = xy_um[sample_field(tissue.shares["fat"], xy_um) > 0.45]
    for variant in range(6):
        radius_um = VACUOLE_UM * rng.uniform(0.44, 0.53)
        reach = int(np.ceil(radius_um * 1.2 / mpp))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * mpp
        turn = np.arctan2(y, x)
        wobble = 1 + sum(rng.uniform(-0.05, 0.05) * np.cos(k * turn + rng.uniform(0, 6.3)) for k in (2, 3, 4, 5))
        disc = np.clip((radius_um * wobble - np.hypot(x, y)) / mpp * 0.5 + 0.5, 0, 1)
        rows, columns = (np.nonzero(disc)[a] - reach for a in (0, 1))
        mine = xy_um[variant::6] / mpp
        values = np.broadcast_to((255 * disc[disc > 0]).astype(np.uint8), (len(mine), len(rows)))
        _lay(canvas, mine, rows, columns, values)


def _sites(rng: np.random.Generator, tissue: Tissue, *, spacing_um: float, jitter: float) -> np.ndarray:
    """Jittered hexagonal lattice over the slide, (N, 2) x, y in µm."""
    rows = np.arange(spacing_um, tissue.height_um - spacing_um, spacing_um * np.sqrt(0.75))
    columns = np.arange(spacing_um, tissue.width_um - 1.5 * spacing_um, spacing_um)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = x + 0.5 * spacing_um * (np.arange(len(rows)) % 2)[:, None]
    return np.stack([x.ravel(), y.ravel()], axis=1) + rng.normal(0, jitter * spacing_um, size=(x.size, 2))


def _stamp(
    canvas: np.ndarray,
    cell: Cell,
    *,
    xy_px: np.ndarray,
    size: np.ndarray,
    angle: np.ndarray,
    dark: np.ndarray,
    mpp: float,
) -> None:
    """Lay nuclei down, all those of one size step and one of 12 directions at once."""
    sizes = np.round(size * 8).astype(int)
    turns = np.round(angle / np.pi * 12).astype(int) % 12
    for key in np.unique(sizes * 12 + turns):
        mine = np.flatnonzero(sizes * 12 + turns == key)
        sprite = _sprite(cell, scale=key // 12 / 8, angle=key % 12 * np.pi / 12, mpp=mpp)
        values = np.clip(dark[mine, None] * STEPS_PER_OD * sprite[sprite > 0], 0, 255).astype(np.uint8)
        rows, columns = (np.nonzero(sprite > 0)[a] - sprite.shape[a] // 2 for a in (0, 1))
        _lay(canvas, xy_px[mine], rows, columns, values)


def _lay(canvas: np.ndarray, xy_px: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
    """Keep the larger of ``canvas`` and ``values`` (N, P) at N centres, P pixels around each."""
    y = np.floor(xy_px[:, 1]).astype(np.int64)[:, None] + rows
    x = np.floor(xy_px[:, 0]).astype(np.int64)[:, None] + columns
    inside = (y >= 0) & (y < canvas.shape[0]) & (x >= 0) & (x < canvas.shape[1])
    np.maximum.at(canvas.reshape(-1), (y * canvas.shape[1] + x)[inside], values[inside])


def _sprite(cell: Cell, *, scale: float, angle: float, mpp: float) -> np.ndarray:
    """One nucleus, (2r + 1, 2r + 1) in 0..1: an ellipse with a soft edge and, if wanted, a paler inside with a spot."""
    reach = int(np.ceil((cell.long_um * scale + mpp) / mpp))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * mpp
    u = (x * np.cos(angle) + y * np.sin(angle)) / (cell.long_um * scale)
    v = (y * np.cos(angle) - x * np.sin(angle)) / (cell.short_um * scale)
    radius = np.hypot(u, v)
    edge = np.clip((1 - radius) * cell.short_um * scale / mpp + 0.5, 0, 1)
    nucleolus = np.exp(-(((u - 0.2) ** 2 + (v + 0.15) ** 2) / 0.05))
    return edge * (1 - cell.pale_core * np.clip(1.15 - radius, 0, 1) * (1 - nucleolus))
