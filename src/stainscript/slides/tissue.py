"""Where a small picture of a slide shows tissue; in this layer because grids of tiles and quality checks both ask.

The glass is found first, as what is bright, nearly colourless and even; its colour stands for white. A pixel is tissue
when its score passes a threshold: Otsu's (IEEE Trans. Syst. Man Cybern. 9, 1979), held within a band just above the
glass. Otsu's alone would cut a picture that is all tissue, or all glass, in two, and pale stroma from dark. Scores:

- ``saturation``: of HSV, smoothed;
- ``entropy``: of the grey levels nearby, in bits, which also holds pale tissue that has structure, such as fat;
- ``hed``: haematoxylin plus eosin by the stain matrix of Ruifrok and Johnston (Anal. Quant. Cytol. Histol. 23, 2001).

Blue, green and black ink and black borders are never tissue. Red ink looks like eosin and is not found.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.filters import apply_hysteresis_threshold, threshold_otsu
from skimage.filters.rank import entropy
from skimage.morphology import disk

from stainscript.errors import unknown_name

MaskMethod = Literal["saturation", "entropy", "hed"]

WORK_MPP = 4.0  # finer pictures are reduced to this, so that nuclei and the picture's size do not matter
SMOOTH_UM = 8.0  # standard deviation of the smoothing before a threshold
NEAR_UM = 20.0  # radius that local entropy looks at
MIN_OBJECT_UM2 = 20_000.0  # a disc of 160 µm: smaller specks are dust or debris
MIN_HOLE_UM2 = 20_000.0  # smaller gaps, such as vessels and fat cells, belong to the tissue around them
GLASS_BRIGHT = 140  # of 255: the brightest channel of glass; scanners that do not calibrate white give 180
GLASS_SATURATION = 0.12  # her2st's JPEGs tint the glass up to 0.085
GLASS_EVEN = 2.5  # levels: standard deviation of 5 × 5 pixels; JPEG noise on glass stays below 2
GLASS_SHARE = 0.005  # of the picture: with less even glass than this, all of it is tissue
# How far above the glass's 99th percentile the threshold may lie; chosen on seven pictures of five scanners.
ABOVE_GLASS = {"saturation": (0.02, 0.06), "entropy": (0.5, 1.5), "hed": (0.003, 0.012)}
BLACK = 70  # of 255: darker than stained tissue at this scale,
BLACK_CHROMA = 25  # of 255: and colourless
GREENER = (0.13, 0.22)  # (green − red) / brightest of faint and of strong ink; her2st's bluest nuclei reach 0.2 here
MIN_INK_UM2 = 20_000.0  # smaller blots are nuclei or dust
INK_UM = 24.0  # rim around ink that is not trusted


def tissue_mask(
    thumbnail: np.ndarray,
    *,
    method: MaskMethod = "saturation",
    mpp: float,
    min_object_um2: float = MIN_OBJECT_UM2,
    min_hole_um2: float = MIN_HOLE_UM2,
) -> np.ndarray:
    """Which pixels of (y, x, 3) uint8 RGB are tissue: (y, x) bool.

    mpp: µm per pixel of the thumbnail, which lengths and areas are counted in; objects below ``min_object_um2`` are
    dropped, then holes below ``min_hole_um2`` filled. All true where no glass is seen, all false where nothing but
    glass is. Raises ``DataContractError`` for a method that is not known.
    """
    if method not in get_args(MaskMethod):
        raise unknown_name("config.yaml", "mask", method, get_args(MaskMethod))
    image, um = _reduced(np.asarray(thumbnail), mpp)
    ink = _ink(image, um)
    glass = _even_glass(image) & ~ink
    if glass.mean() < GLASS_SHARE:
        mask = ~ink
    else:
        glass = _open_glass(glass, um)
        score = _score(_balanced(image, glass), method, um)
        mask = (score > _threshold(score, glass, ~ink, ABOVE_GLASS[method])) & ~ink
    if method == "entropy" and (steps := round(NEAR_UM / 2 / um)):  # the window blurs the outline outwards
        mask = ndimage.binary_erosion(mask, iterations=steps, border_value=1)
    mask = _cleaned(mask, min_object_px=min_object_um2 / um**2, min_hole_px=min_hole_um2 / um**2) & ~ink
    if mask.shape == thumbnail.shape[:2]:
        return mask
    size = thumbnail.shape[1::-1]
    return np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)) > 0.5


def _reduced(image: np.ndarray, mpp: float) -> tuple[np.ndarray, float]:
    """The picture at ``WORK_MPP`` or coarser, and its µm per pixel."""
    if mpp >= WORK_MPP:
        return image, mpp
    width, height = (max(1, round(side * mpp / WORK_MPP)) for side in image.shape[1::-1])
    small = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
    return small, mpp * math.sqrt(image.shape[0] * image.shape[1] / (width * height))


def _saturation(image: np.ndarray) -> np.ndarray:
    brightest, darkest = image.max(axis=-1).astype(np.float32), image.min(axis=-1).astype(np.float32)
    return (brightest - darkest) / np.maximum(brightest, 1)


def _ink(image: np.ndarray, um: float) -> np.ndarray:
    """Blue, green and black ink with its rim, and black borders.

    Neither stain passes more green than red (0.70 against 0.65 and 0.99 against 0.07 in density), blue and green ink
    do. Faint ink counts where it touches strong ink.
    """
    even = ndimage.gaussian_filter(image.astype(np.float32), (SMOOTH_UM / um, SMOOTH_UM / um, 0))
    brightest = np.maximum(even.max(axis=-1), 1)
    coloured = apply_hysteresis_threshold((even[..., 1] - even[..., 0]) / brightest, *GREENER)
    black = (brightest < BLACK) & (brightest - even.min(axis=-1) < BLACK_CHROMA)
    ink = _without_small(coloured | black, MIN_INK_UM2 / um**2)
    steps = round(INK_UM / um)
    return ndimage.binary_dilation(ink, iterations=steps) if steps else ink


def _even_glass(image: np.ndarray) -> np.ndarray:
    """Bright, nearly colourless and even: a sample of the glass, not all of it."""
    grey = image.mean(axis=-1, dtype=np.float32)
    mean = ndimage.uniform_filter(grey, 5)
    variance = ndimage.uniform_filter(grey**2, 5) - mean**2
    even = variance <= GLASS_EVEN**2
    return even & (image.max(axis=-1) >= GLASS_BRIGHT) & (_saturation(image) <= GLASS_SATURATION)


def _open_glass(glass: np.ndarray, um: float) -> np.ndarray:
    """The glass without what lies near anything else, such as the gaps of fat; all of it where no such glass is."""
    steps = round(2 * NEAR_UM / um)
    inner = ndimage.binary_erosion(glass, iterations=steps, border_value=1) if steps else glass
    return inner if inner.mean() >= GLASS_SHARE else glass


def _balanced(image: np.ndarray, glass: np.ndarray) -> np.ndarray:
    """uint8 RGB with the colour of the glass as white."""
    white = np.median(image[glass], axis=0)
    return np.clip(image * (255 / white), 0, 255).astype(np.uint8)


def _score(image: np.ndarray, method: MaskMethod, um: float) -> np.ndarray:
    if method == "entropy":
        grey = (image.mean(axis=-1) / 4).astype(np.uint8)  # 64 levels: the noise of a JPEG falls into two or three
        score = entropy(grey, disk(max(2, round(NEAR_UM / um)))).astype(np.float32)
    elif method == "hed":
        score = np.clip(rgb2hed(image)[..., :2], 0, None).sum(axis=-1).astype(np.float32)
    else:
        score = _saturation(image)
    return ndimage.gaussian_filter(score, SMOOTH_UM / um)


def _threshold(score: np.ndarray, glass: np.ndarray, seen: np.ndarray, above: tuple[float, float]) -> float:
    """Otsu's threshold over what is not ink, held within ``above`` the spread of the glass."""
    low, high = float(np.percentile(score[glass], 99)) + np.asarray(above)
    values = score[seen]
    return float(np.clip(threshold_otsu(values), low, high)) if values.min() < values.max() else low


def _cleaned(mask: np.ndarray, *, min_object_px: float, min_hole_px: float) -> np.ndarray:
    mask = _without_small(mask, min_object_px)
    return ~_without_small(~mask, min_hole_px)


def _without_small(mask: np.ndarray, min_px: float) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    large = np.bincount(labels.ravel()) >= min_px
    large[0] = False
    return large[labels]
