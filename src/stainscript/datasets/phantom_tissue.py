"""The phantom's tissue: which region lies where, as smooth share fields on a coarse grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage, special

GRID_UM = 8.0  # spacing of every field; about one nucleus
REGIONS = ("tumour", "stroma", "immune", "necrosis", "fat")
BORDER_UM = 9.0  # width over which one region gives way to the next

# Share of the tissue, drawn per slide between these two. Fat and immune cells come first, tumour takes its part of
# what they leave, and stroma is the rest.
SHARE_RANGES = {"fat": (0.08, 0.14), "immune": (0.10, 0.15), "tumour": (0.42, 0.52), "necrosis": (0.07, 0.10)}


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """Fields of one slide, each (rows, columns) float32 with ``GRID_UM`` µm between neighbours, (0, 0) top left.

    shares: region → share of the place, summing to ``outline`` (1 inside the tissue, 0 on glass); grade: nuclear size
    and darkness of tumour cells, 0 to 1; fibre_um: a phase in µm whose level lines are the collagen fibres.
    """

    width_um: float
    height_um: float
    outline: np.ndarray
    shares: dict[str, np.ndarray]
    grade: np.ndarray
    fibre_um: np.ndarray


def smooth_noise(rng: np.random.Generator, *, shape: tuple[int, int], scale_um: float) -> np.ndarray:
    """A random field (rows, columns) float32 of mean 0 and variance 1 that varies over about ``scale_um``."""
    step = max(scale_um / 3 / GRID_UM, 1.0)  # draw coarsely, smooth there, enlarge: the cost is free of the scale
    coarse = tuple(int(np.ceil(n / step)) + 4 for n in shape)
    field = ndimage.gaussian_filter(rng.standard_normal(coarse), 1.0, mode="wrap").astype(np.float32)
    box = (2.0, 2.0, 2.0 + shape[1] / step, 2.0 + shape[0] / step)
    field = np.asarray(Image.fromarray(field).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box))
    return (field - field.mean()) / field.std()


def sample_field(field: np.ndarray, xy_um: np.ndarray) -> np.ndarray:
    """Bilinear values of ``field`` at ``xy_um`` (S, 2), in x, y order."""
    rows_columns = xy_um[:, ::-1].T / GRID_UM - 0.5
    return ndimage.map_coordinates(field, rows_columns, order=1, mode="nearest")


def grow_tissue(
    rng: np.random.Generator, *, width_um: float, height_um: float, lattice_um: np.ndarray, covered: float
) -> tuple[Tissue, np.ndarray]:
    """Tissue on a slide of the given size that lies under exactly ``round(covered · S)`` places of ``lattice_um``.

    lattice_um: (S, 2) x, y of all capture places. Returns the tissue and (S,) bool: which places are under it.
    """
    shape = (int(np.ceil(height_um / GRID_UM)), int(np.ceil(width_um / GRID_UM)))
    y, x = np.meshgrid(*((np.arange(n) + 0.5) / n * 2 - 1 for n in shape), indexing="ij")
    height = 1 - (np.abs(x) ** 3.5 + np.abs(y) ** 3.5) ** (1 / 3.5)
    height = (height + 0.09 * smooth_noise(rng, shape=shape, scale_um=0.3 * min(width_um, height_um))).astype(
        np.float32
    )
    at_places = sample_field(height, lattice_um)
    n_covered = round(covered * len(lattice_um))
    under = np.zeros(len(lattice_um), dtype=bool)
    order = np.argsort(-at_places, kind="stable")
    under[order[:n_covered]] = True
    level = at_places[order[n_covered - 1 : n_covered + 1]].mean() if n_covered < len(order) else at_places.min()
    outline = _soft(height, level, width=BORDER_UM / min(width_um, height_um))
    return _fill(rng, width_um=width_um, height_um=height_um, outline=outline), under


def _fill(rng: np.random.Generator, *, width_um: float, height_um: float, outline: np.ndarray) -> Tissue:
    shape = outline.shape

    def noise(scale_um: float) -> np.ndarray:
        return smooth_noise(rng, shape=shape, scale_um=scale_um)

    wanted = {region: rng.uniform(*limits) for region, limits in SHARE_RANGES.items()}
    nests = 0.75 * noise(420) + 0.65 * noise(170)
    fields = {
        "fat": (noise(520), 520),
        "immune": (noise(150) + 0.3 * noise(600), 150),
        "tumour": (nests, 200),
        "necrosis": (0.8 * nests + noise(260), 230),
    }
    part = {
        region: _top_share(field, outline, share=wanted[region], width=BORDER_UM / scale_um * 2)
        for region, (field, scale_um) in fields.items()
    }
    shares, left = {}, outline
    for region in ("fat", "immune"):
        shares[region] = left * part[region]
        left = left - shares[region]
    shares["necrosis"] = left * part["tumour"] * part["necrosis"]
    shares["tumour"] = left * part["tumour"] - shares["necrosis"]
    shares["stroma"] = left * (1 - part["tumour"])
    rows, columns = np.indices(shape, dtype=np.float32) * GRID_UM
    lean = rng.uniform(0, np.pi)
    return Tissue(
        width_um=width_um,
        height_um=height_um,
        outline=outline,
        shares={region: shares[region].astype(np.float32) for region in REGIONS},
        grade=(0.5 + 0.5 * np.tanh(1.2 * noise(450))).astype(np.float32),
        fibre_um=(np.cos(lean) * columns + np.sin(lean) * rows + 70 * noise(260) + 12 * noise(90)).astype(np.float32),
    )


def _top_share(field: np.ndarray, outline: np.ndarray, *, share: float, width: float) -> np.ndarray:
    level = np.quantile(field[outline > 0.5], 1 - share)
    return _soft(field, level, width=width)


def _soft(field: np.ndarray, level: float, *, width: float) -> np.ndarray:
    return special.expit((field - level) / width).astype(np.float32)
