"""Plain images (JPEG, PNG): decoded once into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stainscript.errors import DataContractError
from stainscript.slides.base import LeveledSlide, unreadable

MAX_PIXELS = 10**9  # 3 GB decoded; her2st has 9e7. Pillow's own bound (9e7) guards web servers, not pathologists
BAND_ROWS = 1024
TILE_PX = 512
MODES = ("RGB", "RGBA", "L", "LA", "P")

Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class ArraySlide(LeveledSlide):
    """A plain image as stored: an orientation tag is not applied, because spot coordinates count stored pixels."""

    reader = "array"

    def __init__(self, path: str | Path, *, mpp: float | None = None) -> None:
        self._pixels = _decode(Path(path))
        height, width, _ = self._pixels.shape
        super().__init__(path, level_sizes=[(width, height)], mpp=mpp)

    def tile_shape(self, level: int) -> tuple[int, int]:
        """Squares of the array: they cost nothing."""
        return TILE_PX, TILE_PX

    def tile(self, level: int, row: int, column: int) -> np.ndarray:
        """A part of the array itself, not a copy."""
        top, left = row * TILE_PX, column * TILE_PX
        return self._pixels[top : top + TILE_PX, left : left + TILE_PX]

    def level_box(self, level: int, *, left: int, top: int, width: int, height: int) -> np.ndarray:
        return np.ascontiguousarray(self._pixels[top : top + height, left : left + width])

    def verify(self) -> None:
        """Nothing to do: opening decoded every pixel."""

    def close(self) -> None:
        self._pixels = self._pixels[:0]


def on_white(image: Image.Image) -> Image.Image:
    """``image`` as RGB; where it is transparent, white shows."""
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        if layer.getchannel("A").getextrema() == (255, 255):
            return layer.convert("RGB")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _rgb_array(image: Image.Image) -> np.ndarray:
    """Pixels (y, x, 3), copied in bands: Pillow's own conversion of a whole image holds it three times over."""
    image.load()
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, image.height)
        out[top:bottom] = np.asarray(on_white(image.crop((0, top, image.width, bottom))))
    return out


def _decode(path: Path) -> np.ndarray:
    expected = "an image that decodes completely"
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} × {image.height} px")
            if image.mode not in MODES:
                raise DataContractError(
                    path,
                    "pixels",
                    expected="8-bit RGB, grey or palette",
                    found=f"mode {image.mode}",
                    remedy="export the image as 8-bit RGB",
                )
            return _rgb_array(image)
    except Image.DecompressionBombError as error:
        raise DataContractError(
            path,
            "size",
            expected=f"at most {MAX_PIXELS:,} pixels in a plain image",
            found=error,
            remedy="convert it to a tiled pyramidal TIFF, which is read in parts",
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:  # Pillow raises these on damaged files
        raise unreadable(path, "pixels", expected=expected, found=error) from error
