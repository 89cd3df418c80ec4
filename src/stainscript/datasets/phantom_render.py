"""The phantom's image: two stains over the region fields, the fibres and the cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from stainscript.datasets.phantom_cells import STEPS_PER_OD, stamp_nuclei, stamp_vacuoles
from stainscript.datasets.phantom_tissue import GRID_UM, Tissue

ROWS = 256  # rows of pixels shaded at once, so that a strip stays in the cache
# Haematoxylin and eosin between the nuclei, and how much of the eosin is fibrous.
MATRIX = {
    "tumour": (0.26, 0.40, 0.04),
    "stroma": (0.04, 0.62, 0.30),
    "immune": (0.14, 0.24, 0.06),
    "necrosis": (0.05, 0.46, 0.02),
    "fat": (0.02, 0.50, 0.05),
}
HAEMATOXYLIN = (0.62, 0.74, 0.36)  # optical density of R, G, B per unit of stain
EOSIN = (0.09, 0.74, 0.42)


@dataclass(frozen=True, kw_only=True)
class Stain:
    """How a patient's slides took the two stains."""

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Stain:
        """Strength within ±18 %, hue a little off the usual vectors."""
        strength = rng.uniform(0.82, 1.18, size=(2, 1))
        vectors = np.array([HAEMATOXYLIN, EOSIN]) * strength + rng.normal(0, 0.03, size=(2, 3))
        haematoxylin, eosin = np.clip(vectors, 0.02, None)
        return cls(haematoxylin=tuple(haematoxylin), eosin=tuple(eosin))


def render(rng: np.random.Generator, *, tissue: Tissue, mpp: float, stain: Stain) -> np.ndarray:
    """Draw a slide. Returns (rows, columns, 3) uint8 RGB."""
    width_px, height_px = (round(um / mpp) for um in (tissue.width_um, tissue.height_um))
    nuclei = np.zeros((height_px, width_px), dtype=np.uint8)
    stamp_nuclei(rng, nuclei, tissue=tissue, mpp=mpp)
    lumen = np.zeros_like(nuclei)  # 255 inside a fat vacuole
    stamp_vacuoles(rng, lumen, tissue=tissue, mpp=mpp)
    return _shade(rng, nuclei, lumen, tissue=tissue, mpp=mpp, stain=stain)


def _shade(
    rng: np.random.Generator, nuclei: np.ndarray, lumen: np.ndarray, *, tissue: Tissue, mpp: float, stain: Stain
) -> np.ndarray:
    """Stain densities between the nuclei, strip by strip, and from both stains to RGB through one table."""
    height_px, width_px = nuclei.shape
    fields = {
        "haematoxylin": sum(tissue.shares[region] * MATRIX[region][0] for region in MATRIX),
        "eosin": sum(tissue.shares[region] * MATRIX[region][1] for region in MATRIX),
        "fibrous": sum(tissue.shares[region] * MATRIX[region][1] * MATRIX[region][2] for region in MATRIX),
        "phase": tissue.fibre_um,
        "outline": tissue.outline,
    }
    pictures = {name: Image.fromarray(field.astype(np.float32)) for name, field in fields.items()}
    streaks = _streaks(rng)
    grain = _grain(rng, width_px)
    table = _stain_table(stain)
    rgb = np.empty((height_px, width_px, 3), dtype=np.uint8)
    for top in range(0, height_px, ROWS):
        rows = min(ROWS, height_px - top)
        box = (0, top * mpp / GRID_UM, width_px * mpp / GRID_UM, (top + rows) * mpp / GRID_UM)
        strip = {
            n: np.asarray(p.resize((width_px, rows), Image.Resampling.BILINEAR, box=box)) for n, p in pictures.items()
        }
        streak = streaks[(strip["phase"] * 8).astype(np.int32) & (len(streaks) - 1)]
        texture = grain[:rows] * strip["outline"]
        blank = 1 - lumen[top : top + rows] * np.float32(0.96 / 255)
        haematoxylin = (strip["haematoxylin"] + 0.5 * texture * strip["haematoxylin"]) * blank * STEPS_PER_OD
        haematoxylin += nuclei[top : top + rows] * blank
        eosin = (strip["eosin"] * (1 + texture) + strip["fibrous"] * streak) * blank * STEPS_PER_OD
        eosin += 1.5 * grain[rows : 2 * rows] + 1.5
        index = np.clip(haematoxylin, 0, 255).astype(np.int32) << 8
        index |= np.clip(eosin, 0, 255).astype(np.int32)
        rgb[top : top + rows] = table[index].view(np.uint8).reshape(rows, width_px, 4)[..., :3]
    return rgb


def _streaks(rng: np.random.Generator) -> np.ndarray:
    """A periodic line profile of irregular fibres, (1024,) over 128 µm, between -1 and 1."""
    raw = np.fft.rfft(rng.standard_normal(1024))
    period = np.arange(len(raw))
    profile = np.fft.irfft(raw * np.exp(-((period / 40) ** 2)) * (period > 3))
    return np.tanh(1.2 * profile / profile.std()).astype(np.float32)


def _grain(rng: np.random.Generator, width_px: int) -> np.ndarray:
    """Fine texture (2 · ROWS, width) of mean 0: cytoplasm is never flat."""
    noise = rng.standard_normal((2 * ROWS, 512)).astype(np.float32)
    noise = noise + np.roll(noise, 1, axis=0) + np.roll(noise, 1, axis=1) + np.roll(noise, (1, 1), axis=(0, 1))
    return np.tile(0.11 * noise / noise.std(), (1, -(-width_px // 512)))[:, :width_px]


def _stain_table(stain: Stain) -> np.ndarray:
    """(65536,) packed RGBA of each pair of 8-bit stain densities: light falls off exponentially (Beer-Lambert)."""
    density = np.arange(256) / STEPS_PER_OD
    od = density[:, None, None] * np.array(stain.haematoxylin) + density[None, :, None] * np.array(stain.eosin)
    rgba = np.zeros((256, 256, 4), dtype=np.uint8)
    rgba[..., :3] = np.round(246 * np.exp(-od)).astype(np.uint8)
    return rgba.view(np.uint32).ravel()
