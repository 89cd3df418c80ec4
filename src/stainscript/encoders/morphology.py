"""Morphology: named numbers of stain, colour, texture, nuclei and layout. Needs neither weights nor torch.

Stains are separated with the fixed optical-density vectors of Ruifrok and Johnston (2001, Anal. Quant. Cytol. Histol.
23:291-299). Lengths are in pixels of the view, so features of views of different scale are not comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from stainscript.errors import DataContractError

CARD = {
    "licence": "MIT, as this package",
    "weights": "none: every number is computed from the patch alone",
    "transform": "none: uint8 RGB as cut",
}
DISTRIBUTED = (
    *("red", "green", "blue", "hue_x", "hue_y", "saturation", "value", "lightness", "green_red", "blue_yellow"),
    *("haematoxylin", "eosin", "residual"),
)
SMALLEST_PX = 32
BLANK_PX = 224
PERCENTILES = (10, 50, 90)
TEXTURED = ("haematoxylin", "eosin", "lightness")
SCALES_PX = (1, 2, 4, 8)
PATTERNS = 10  # uniform rotation-invariant binary patterns of 8 neighbours: 0-8 ones, and the rest
AREA_EDGES_PX = (16, 60, 120, 240, 480)  # blobs below the first are specks; at 0.5 mpp a small lymphocyte has ~150 px
WHITE_LIGHTNESS = 0.84  # mean of R, G, B as a share of 255
LAID_OUT = ("haematoxylin", "eosin", "lightness", "nuclei", "white")
FEATURE_NAMES: tuple[str, ...] = (
    *(f"{c}_{s}" for c in DISTRIBUTED for s in ("mean", "sd", *(f"p{p}" for p in PERCENTILES))),
    *(f"{c}_{k}_{n}px" for c in TEXTURED for n in SCALES_PX for k in ("gradient", "band", "coherence")),
    *(f"pattern_{n}px_{b}" for n in SCALES_PX[:2] for b in range(PATTERNS)),
    "haematoxylin_eosin_covariance",
    *("nuclei_share", "nuclei_count", "nuclei_area", "nuclei_area_sd", "nuclei_elongation", "nuclei_elongation_sd"),
    *("nuclei_haematoxylin", "nuclei_haematoxylin_sd", "nuclei_eosin", "nuclei_contrast"),
    *(f"nuclei_from_{low}px" for low in AREA_EDGES_PX),
    *(f"{c}_centre" for c in LAID_OUT),
    *(f"{c}_unevenness" for c in LAID_OUT),
)
_HAEMATOXYLIN, _EOSIN = np.array([0.650, 0.704, 0.286]), np.array([0.072, 0.990, 0.105])  # optical density in R, G, B
_STAINS = np.stack([_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)])  # the third: what neither stain explains
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_DENSITY = (-np.log10((np.arange(256) + 1) / 256)).astype(np.float32)
_SRGB = np.arange(256) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32)
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float32)
_WHITE = _XYZ.sum(axis=1)
_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1] = True
_BLOCK = 16  # patches at once: their planes fit a processor's cache
_TINY = 1e-6


class Morphology:
    """The encoder: ``encode`` maps (S, y, x, 3) uint8 to (S, D) float32, column by column as ``FEATURE_NAMES``."""

    name = "morphology"
    precision = "float32"
    width = len(FEATURE_NAMES)
    transform = CARD["transform"]
    weights_sha256 = "none"
    card = CARD

    def encode(self, images: np.ndarray) -> np.ndarray:
        """(S, y, x, 3) uint8 RGB → (S, D) float32; a patch's numbers depend on it alone.

        Raises ``DataContractError`` for sides below 32 px, which the coarsest scale cannot describe.
        """
        if min(images.shape[1:3]) < SMALLEST_PX:
            raise DataContractError(
                "config.yaml",
                "views width_px",
                expected=f"at least {SMALLEST_PX} px for morphology",
                found=min(images.shape[1:3]),
                remedy="use a wider view",
            )
        described = [_describe(images[start : start + _BLOCK]) for start in range(0, len(images), _BLOCK)]
        return np.concatenate(described) if described else np.zeros((0, self.width), dtype=np.float32)

    def encode_batches(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Each (B, y, x, 3) uint8 batch → (B, D) float32, in order."""
        return map(self.encode, batches)

    def blank(self) -> np.ndarray:
        """(D,) float32 of a black image: nothing is normalised here, so black is what is zero throughout."""
        return self.encode(np.zeros((1, BLANK_PX, BLANK_PX, 3), dtype=np.uint8))[0]


def load(variant: str = "", *, weights: str | Path | None = None, **_unused: Any) -> Morphology:
    """The encoder; seed, precision and hardware change nothing here. Raises ``DataContractError`` if given weights."""
    if variant or weights is not None:
        raise DataContractError(
            "config.yaml",
            "encoder weights",
            expected="null, for morphology has none",
            found=weights or variant,
            remedy="leave weights out",
        )
    return Morphology()


def _describe(images: np.ndarray) -> np.ndarray:
    stains = _DENSITY[images] @ _UNMIX  # (S, y, x, 3)
    haematoxylin, eosin = np.ascontiguousarray(stains[..., 0]), np.ascontiguousarray(stains[..., 1])
    lightness = images.mean(axis=3, dtype=np.float32) / 255
    planes = {"haematoxylin": haematoxylin, "eosin": eosin, "lightness": lightness}
    planes["white"] = (lightness > WHITE_LIGHTNESS).astype(np.float32)
    nuclei, mask = _nuclei(haematoxylin, eosin)
    planes["nuclei"] = mask.astype(np.float32)
    h, e = (p.reshape(len(images), -1) for p in (haematoxylin, eosin))
    covariance = (h * e).mean(axis=1) - h.mean(axis=1) * e.mean(axis=1)
    columns = [
        _distributions(images[:, ::2, ::2], stains[:, ::2, ::2]),
        *(_texture(planes[name]) for name in TEXTURED),
        _patterns(lightness),
        _patterns(_halve(lightness)),
        covariance[:, None],
        nuclei,
        *_layout([planes[name] for name in LAID_OUT]),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _distributions(images: np.ndarray, stains: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and percentiles of 13 channels: RGB, HSV, Lab and the stains."""
    rgb = images.astype(np.float32) / 255
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    value, low = rgb.max(axis=3), rgb.min(axis=3)
    lab = np.cbrt(_LINEAR[images] @ (_XYZ / _WHITE[:, None]).T)
    x, y, z = lab[..., 0], lab[..., 1], lab[..., 2]
    hue_x, hue_y = red - (green + blue) / 2, (green - blue) * np.float32(0.75**0.5)  # hue × chroma, as a vector
    channels = [red, green, blue, hue_x, hue_y, (value - low) / np.maximum(value, _TINY), value]
    channels += [1.16 * y - 0.16, 5 * (x - y), 2 * (y - z), *np.moveaxis(stains, 3, 0)]
    stacked = np.stack([c.reshape(len(images), -1) for c in channels], axis=1)  # (S, C, pixels)
    moments = [stacked.mean(axis=2), stacked.std(axis=2)]
    numbers = np.stack([*moments, *np.percentile(stacked, PERCENTILES, axis=2)], axis=2)
    return numbers.reshape(len(images), -1)


def _texture(plane: np.ndarray) -> np.ndarray:
    """Per scale: log gradient energy, log energy of the detail lost by halving, coherence of gradient direction."""
    numbers = []
    for _ in SCALES_PX:
        rise, fall = plane[:, 1:, 1:] - plane[:, :-1, :-1], plane[:, :-1, 1:] - plane[:, 1:, :-1]  # the two diagonals
        dx, dy = (rise + fall) / 2, (rise - fall) / 2  # across 2×2 pixels: no direction is preferred
        xx, yy, xy = ((a * b).mean(axis=(1, 2)) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
        half = _halve(plane)
        detail = plane[:, : 2 * half.shape[1] : 2, : 2 * half.shape[2] : 2] - half
        energy = xx + yy
        coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (energy + _TINY)
        numbers += [np.log(energy + _TINY), np.log((detail**2).mean(axis=(1, 2)) + _TINY), coherence]
        plane = half
    return np.stack(numbers, axis=1)


def _halve(plane: np.ndarray) -> np.ndarray:
    """Means of 2×2 blocks; an odd last row or column is dropped."""
    rows, columns = plane.shape[1] // 2 * 2, plane.shape[2] // 2 * 2
    plane = plane[:, :rows, :columns]
    plane = plane[:, ::2] + plane[:, 1::2]
    return (plane[:, :, ::2] + plane[:, :, 1::2]) / 4


def _patterns(plane: np.ndarray) -> np.ndarray:
    """Shares of the rotation-invariant uniform local binary patterns of 8 neighbours (Ojala et al. 2002)."""
    rows, columns = plane.shape[1:]
    centre = plane[:, 1:-1, 1:-1]
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    bits = [(plane[:, r : rows - 2 + r, c : columns - 2 + c] > centre).view(np.uint8) for r, c in ring]
    ones, changes = bits[0].copy(), bits[0] ^ bits[-1]
    for before, bit in pairwise(bits):
        ones += bit
        changes += before ^ bit
    codes = np.where(changes <= 2, ones, PATTERNS - 1).reshape(len(plane), -1)
    codes = codes + PATTERNS * np.arange(len(plane))[:, None]
    counts = np.bincount(codes.ravel(), minlength=PATTERNS * len(plane)).reshape(len(plane), PATTERNS)
    return np.sqrt(counts / centre[0].size)


def _nuclei(haematoxylin: np.ndarray, eosin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the haematoxylin-dark blobs, and their mask (S, y, x)."""
    spots, area_px = len(haematoxylin), haematoxylin[0].size
    smooth = ndimage.uniform_filter(haematoxylin, size=(0, 5, 5), mode="nearest")
    mask = smooth > _otsu(smooth)[:, None, None]
    labels, n = ndimage.label(mask, structure=_IN_PLANE)
    at = np.flatnonzero(labels)
    blob = labels.ravel()[at] - 1
    spot_px, y, x = np.unravel_index(at, labels.shape)
    h, e = haematoxylin.ravel()[at], eosin.ravel()[at]
    area = np.bincount(blob, minlength=n)
    mean_x, mean_y, mean_h, mean_e = (np.bincount(blob, weights=w, minlength=n) / area for w in (x, y, h, e))
    dx, dy = x - mean_x[blob], y - mean_y[blob]
    xx, yy, xy = (np.bincount(blob, weights=w, minlength=n) / area for w in (dx * dx, dy * dy, dx * dy))
    spread = np.sqrt((xx - yy) ** 2 + 4 * xy**2)
    elongation = spread / (xx + yy + 1 / 6)  # 0: round, 1: a line; 1/6: the second moments of a single pixel
    spot = np.zeros(n, dtype=np.int64)
    spot[blob] = spot_px
    kept = area >= AREA_EDGES_PX[0]
    spot, area, elongation, mean_h, mean_e = (v[kept] for v in (spot, area, elongation, mean_h, mean_e))
    count = np.bincount(spot, minlength=spots)

    def average(values: np.ndarray) -> np.ndarray:
        return np.bincount(spot, weights=values, minlength=spots) / np.maximum(count, 1)

    def spread_of(values: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(average(values**2) - average(values) ** 2, 0))

    size = np.log(area)
    share = mask.reshape(spots, -1).mean(axis=1)
    bins = np.digitize(area, AREA_EDGES_PX) - 1
    by_size = np.zeros((spots, len(AREA_EDGES_PX)))
    np.add.at(by_size, (spot, bins), area)
    everywhere = haematoxylin.reshape(spots, -1).mean(axis=1)
    numbers = [share, np.sqrt(count), average(size), spread_of(size), average(elongation), spread_of(elongation)]
    numbers += [average(mean_h), spread_of(mean_h), average(mean_e), average(mean_h) - everywhere]
    return np.concatenate([np.stack(numbers, axis=1), np.sqrt(by_size / area_px)], axis=1), mask


def _otsu(plane: np.ndarray, *, bins: int = 64, top: float = 1.5, floor: float = 0.3) -> np.ndarray:
    """Otsu's threshold of each patch (S,), at least ``floor``: stroma alone seldom reaches it."""
    codes = (np.clip(plane, 0, top) * ((bins - 1) / top)).astype(np.int64).reshape(len(plane), -1)
    codes += bins * np.arange(len(plane))[:, None]
    counts = np.bincount(codes.ravel(), minlength=bins * len(plane)).reshape(len(plane), bins)
    below = counts.cumsum(axis=1) / counts.sum(axis=1, keepdims=True)
    moment = (counts * np.arange(bins)).cumsum(axis=1) / counts.sum(axis=1, keepdims=True)
    between = (moment[:, -1:] * below - moment) ** 2 / np.maximum(below * (1 - below), _TINY)
    return np.maximum((between.argmax(axis=1) + 1) * (top / (bins - 1)), floor)


def _layout(planes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Centre minus surround (the central half against the rest), and how unevenly a 4×4 grid of cells is filled."""
    stacked = np.stack(planes, axis=1)  # (S, C, y, x)
    side = [n // 4 * 4 for n in stacked.shape[2:]]
    cells = stacked[:, :, : side[0], : side[1]]
    cells = cells.reshape(*cells.shape[:2], 4, side[0] // 4, 4, side[1] // 4).mean(axis=(3, 5))
    centre = cells[:, :, 1:3, 1:3].mean(axis=(2, 3))
    surround = (cells.sum(axis=(2, 3)) - 4 * centre) / 12
    return centre - surround, cells.std(axis=(2, 3))
