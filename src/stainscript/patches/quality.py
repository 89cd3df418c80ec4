"""Do the spots lie on the tissue? Shares, and whether the tissue would fit them better elsewhere or mirrored.

Positions (x, y) are level-0 pixels; masks are small pictures of the whole slide, (y, x) bool; ``scale`` is mask pixels
per level-0 pixel, (along x, along y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree
from skimage.color import rgb2hed

CELLS_A_PITCH = 6  # alignment counts in cells of this part of the distance between spots
MOST_CELLS = 512  # along the long side: an upper bound of the time, for arrays of many spots
REACH = 0.72  # of a pitch: discs of this radius fill a square grid, and a hexagonal one
MOST_COVERED = 0.9  # of the slide: with more tissue, every place fits
PLATEAU = 0.01  # fits this near to the best are one place, and its middle is named
GAIN = 0.03  # a place must fit this much better than a simpler one to be named
BLOCK = 20_000  # spots at once: an HD slide has half a million
# Sign of x, sign of y (about the slide's middle), and whether x and y are swapped first.
MOVES = {
    "none": (1, 1, False),
    "mirrored in x": (-1, 1, False),
    "mirrored in y": (1, -1, False),
    "turned by 180°": (-1, -1, False),
    "with x and y swapped": (1, 1, True),
    "turned by 90° clockwise": (-1, 1, True),
    "turned by 90° anticlockwise": (1, -1, True),
    "with x and y swapped and turned by 180°": (-1, -1, True),
}


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How well the tissue fits the spots where they are, and where it fits best.

    fit: share of the spots' area on tissue, over that of a place drawn at random: 1 = all of it, 0 = chance; NaN where
    undefined. best_fit: the same at the best place. score: fit / best_fit, held in 0 … 1: 1 = no place is better.
    move, shift_px: what would have to be done to the positions: one of ``MOVES``, then (x, y) in level-0 pixels.
    reason: why it is undefined, else empty.
    """

    score: float
    fit: float
    best_fit: float
    move: str = "none"
    shift_px: tuple[float, float] = (0.0, 0.0)
    reason: str = ""

    @property
    def hint(self) -> str:
        """What to do to the positions, in words; empty where they fit as they are."""
        x, y = (round(value) for value in self.shift_px)
        parts = [] if self.move == "none" else [self.move]
        shifts = [f"{abs(x)} px {'right' if x > 0 else 'left'}"] * bool(x)
        shifts += [f"{abs(y)} px {'down' if y > 0 else 'up'}"] * bool(y)
        parts += ["shifted by " + " and ".join(shifts)] if shifts else []
        return "the tissue fits the spots better when they are " + ", then ".join(parts) if parts else ""


def pitch_px(xy_px: np.ndarray) -> float:
    """Median distance from a spot to its nearest neighbour, (S, 2) → px; NaN for fewer than two spots."""
    return float(np.median(cKDTree(xy_px).query(xy_px, k=2)[0][:, 1])) if len(xy_px) > 1 else math.nan


def spots_on_tissue(
    mask: np.ndarray, xy_px: np.ndarray, *, diameter_px: float, scale: tuple[float, float], square: bool = False
) -> np.ndarray:
    """Share of each spot's disc that is tissue: (S, 2) centres → (S,) in [0, 1]. Beyond the mask is no tissue.

    square: a square of side ``diameter_px`` instead of the disc. Either is sampled at points of a square grid, 16
    across, however many mask pixels it covers.
    """
    steps = (np.arange(16) - 7.5) / 8
    dx, dy = (a.ravel() for a in np.meshgrid(steps, steps))
    inside = (dx**2 + dy**2 <= 1) | square
    offsets = np.stack([dx[inside], dy[inside]], axis=1) * diameter_px / 2  # (P, 2)
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 1, 2)
    height, width = mask.shape
    shares = np.zeros(len(xy_px))
    for start in range(0, len(xy_px), BLOCK):
        points = xy_px[start : start + BLOCK] + offsets  # (S, P, 2)
        columns, rows = (np.floor(points[..., axis] * scale[axis]).astype(int) for axis in (0, 1))
        on_mask = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        found = mask[rows.clip(0, height - 1), columns.clip(0, width - 1)] & on_mask
        shares[start : start + BLOCK] = found.mean(axis=1)
    return shares


def alignment_score(mask: np.ndarray, xy_px: np.ndarray, *, scale: tuple[float, float]) -> Alignment:
    """Does the tissue fit the spots (S, 2)? Compared with every shift, mirror image and quarter turn of the positions.

    Holes of the tissue are filled first: spots are chosen by its outline. All shifts of one move are one Fourier
    correlation of the spots' area with the tissue. A place counts as better only by a clear gain over a simpler
    one: as they are, then shifted, then moved. Undefined with fewer than four spots and where tissue covers nearly
    all, or nothing, of the slide.
    """
    xy_px = np.asarray(xy_px, dtype=np.float64).reshape(-1, 2)
    size_px = np.array(mask.shape[::-1]) / scale
    pitch = pitch_px(xy_px)
    if len(xy_px) < 4 or not pitch > 0:
        return _undefined("fewer than four spots")
    cell = max(pitch / CELLS_A_PITCH, size_px.max() / MOST_CELLS)
    shape = tuple(np.maximum(1, np.ceil(size_px[::-1] / cell)).astype(int))
    box = (0, 0, shape[1] * cell * scale[0], shape[0] * cell * scale[1])
    filled = Image.fromarray(ndimage.binary_fill_holes(mask).astype(np.float32))
    room = Image.new("F", (math.ceil(box[2]), math.ceil(box[3])))
    room.paste(filled)
    tissue = np.asarray(room.resize(shape[::-1], Image.Resampling.BOX, box=box))  # (rows, columns), share of each cell
    covered = float(tissue.sum() * cell**2 / size_px.prod())
    if not 0 < covered <= MOST_COVERED:
        return _undefined(f"tissue covers {covered:.0%} of the slide, so its outline says nothing")

    found = {move: _best_shift(tissue, _moved(xy_px, move, size_px), cell, pitch) for move in MOVES}
    fit = found["none"][1]
    best, shift, top = "none", (0.0, 0.0), fit
    for move in MOVES:
        there, as_is, by = found[move]
        for place, value in (((0.0, 0.0), as_is), (by, there)):
            if value > top + GAIN:
                best, shift, top = move, place, value
    fit, top = ((share - covered) / (1 - covered) for share in (fit, top))
    score = float(np.clip(fit / top, 0, 1)) if top > 0 else 0.0
    return Alignment(score=score, fit=fit, best_fit=top, move=best, shift_px=shift)


def verdict(
    *, on_tissue: float, alignment: Alignment | None, min_on_tissue: float, min_alignment: float
) -> tuple[Literal["pass", "warn", "fail"], list[str]]:
    """The verdict and its reasons: ``fail`` below a threshold, ``warn`` where the tissue would fit better elsewhere.

    on_tissue: share of the spots that lie at least half on tissue; alignment: ``None`` for tiles, which are laid where
    the tissue is. An undefined alignment is no fault.
    """
    failed = []
    if on_tissue < min_on_tissue:
        failed.append(f"{on_tissue:.1%} of the spots lie on tissue, at least {min_on_tissue:.1%} should")
    hint = alignment.hint if alignment else ""
    if alignment and alignment.score < min_alignment:
        failed.append(
            f"alignment {alignment.score:.2f}, at least {min_alignment:g} is asked" + f": {hint}" * bool(hint)
        )
    if failed:
        return "fail", failed
    return ("warn", [hint]) if hint else ("pass", [])


def sharpness(fields: np.ndarray) -> float:
    """Median over fields (N, y, x, 3) uint8 of the variance of the Laplacian of grey, in levels²; low means blurred.

    Comparable only between fields of one µm per pixel (Pech-Pacheco et al., ICPR 2000, name the measure).
    """
    grey = fields.astype(np.float32).mean(axis=-1)
    edges = ndimage.laplace(grey, axes=(1, 2))
    return float(np.median(edges.var(axis=(1, 2))))


def stain_means(image: np.ndarray, mask: np.ndarray) -> dict[str, float | list[float] | None]:
    """Mean haematoxylin and eosin (``skimage.color.rgb2hed``) and colour of tissue and of the rest, (y, x, 3) uint8."""
    dyes = rgb2hed(image[mask][None])[0].mean(axis=0) if mask.any() else None
    return {
        "haematoxylin": None if dyes is None else round(float(dyes[0]), 4),
        "eosin": None if dyes is None else round(float(dyes[1]), 4),
        "tissue_rgb": _mean_colour(image[mask]),
        "glass_rgb": _mean_colour(image[~mask]),
    }


def _mean_colour(pixels: np.ndarray) -> list[float] | None:
    return [round(float(value), 1) for value in pixels.mean(axis=0)] if len(pixels) else None


def _undefined(reason: str) -> Alignment:
    return Alignment(score=math.nan, fit=math.nan, best_fit=math.nan, reason=reason)


def _moved(xy_px: np.ndarray, move: str, size_px: np.ndarray) -> np.ndarray:
    sign_x, sign_y, swap = MOVES[move]
    xy_px = xy_px[:, ::-1] if swap else xy_px  # of a picture that lies on its side: its middle is turned too
    return (xy_px - size_px / 2) * (sign_x, sign_y) + size_px / 2


def _best_shift(
    tissue: np.ndarray, xy_px: np.ndarray, cell: float, pitch: float
) -> tuple[float, float, tuple[float, float]]:
    """Share of the spots' area on tissue at the best shift and unshifted, and the best shift (x, y) in px."""
    # the area is drawn in a room of its own, so that positions beyond the slide count too
    low = np.floor(xy_px.min(axis=0) / cell).astype(int) - CELLS_A_PITCH
    high = np.ceil(xy_px.max(axis=0) / cell).astype(int) + CELLS_A_PITCH
    columns, rows = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    centres = np.stack([columns, rows], axis=-1) + 0.5
    area = cKDTree(xy_px / cell).query(centres, distance_upper_bound=REACH * pitch / cell)[0] < np.inf
    area = ndimage.binary_erosion(area, iterations=max(1, round((REACH - 0.5) * pitch / cell)))
    shares = fftconvolve(tissue, area[::-1, ::-1].astype(np.float32), mode="full") / max(area.sum(), 1)
    # entry (i, j) is the share with the area's first cell at (i − rows + 1, j − columns + 1)
    origin = np.array(area.shape) - 1
    here = origin + low[::-1]
    inside = (here >= 0).all() and (here < shares.shape).all()
    as_is = float(shares[tuple(here)]) if inside else 0.0
    top = float(shares.max())
    labels, _ = ndimage.label(shares >= top - PLATEAU)
    place = np.argwhere(labels == labels[np.unravel_index(shares.argmax(), shares.shape)]).mean(axis=0)
    by = (place - here)[::-1] * cell
    return top, as_is, (float(by[0]), float(by[1]))
