"""The QC picture of a slide: its thumbnail, the tissue's outline, every spot on or off it, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

LONG_SIDE_PX = 1400  # of the slide in the picture
LEAST_WIDTH_PX = 900  # of the picture: narrower, the lines of text would break too often
MARGIN_PX = 16
HEAD_PX, TEXT_PX = 34, 24  # heights of letters
# Okabe and Ito's sky blue and orange (2008), brightened: told apart under every colour blindness; off-tissue spots are
# crossed out as well.
ON_TISSUE, OFF_TISSUE, OUTLINE = (86, 200, 255), (255, 170, 0), (0, 0, 0)
LEAST_RIMMED_PX = 8  # radius of a spot in the picture
BAR_SHARE = 0.2  # of the width: about how long the scale bar is
# The font that comes with Pillow lacks these.
PLAIN = str.maketrans({"µ": "u", "×": "x", "–": "-", "²": "2", "°": " degrees", "…": "..."})


def slide_quality(
    thumbnail: np.ndarray,
    mask: np.ndarray,
    *,
    xy_px: np.ndarray,
    on_tissue: np.ndarray,
    diameter_px: float,
    width_px: int,
    mpp: float,
    title: str,
    lines: Sequence[str],
    square: bool = False,
) -> Image.Image:
    """Draw it, with a long side of the slide of ``LONG_SIDE_PX`` under the lines of text.

    thumbnail: (y, x, 3) uint8 of the whole slide; mask: (y, x) bool; xy_px (S, 2), diameter_px, width_px, mpp: in
    level-0 pixels of the slide; on_tissue: (S,) bool; square: spots are square tiles of side ``diameter_px``.
    """
    height, width = thumbnail.shape[:2]
    enlarge = LONG_SIDE_PX / max(height, width)
    size = (max(1, round(width * enlarge)), max(1, round(height * enlarge)))
    slide = Image.fromarray(thumbnail).resize(size, Image.Resampling.LANCZOS)
    shown = np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)) > 0.5
    slide.paste(OUTLINE, mask=Image.fromarray(_outline(shown)))
    zoom = size[0] / width_px
    _spots(slide, xy_px * zoom, on_tissue, diameter_px * zoom / 2, square=square)
    _scale_bar(slide, um_a_px=mpp / zoom)

    page_width = max(size[0], LEAST_WIDTH_PX)
    head = _head(page_width, title, lines, n_on=int(on_tissue.sum()), n_off=int((~on_tissue).sum()))
    page = Image.new("RGB", (page_width, head.height + size[1]), "white")
    page.paste(head, (0, 0))
    page.paste(slide, ((page_width - size[0]) // 2, head.height))
    return page


def _outline(mask: np.ndarray) -> np.ndarray:
    """The two pixels just inside and outside the mask's edge: (y, x) bool."""
    return ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask, iterations=2, border_value=1)


def _spots(slide: Image.Image, xy: np.ndarray, on_tissue: np.ndarray, radius: float, *, square: bool) -> None:
    draw, radius = ImageDraw.Draw(slide), max(radius, 3.0)
    line = 2 if radius < 20 else 3
    for (x, y), on in zip(xy, on_tissue, strict=True):  # Pillow draws one shape a call
        _mark(draw, x, y, radius, line, on=on, square=square)


def _mark(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, line: int, *, on: bool, square: bool = False
) -> None:
    """A ring or square of the spot's size, crossed out off tissue; a dark rim parts it from any stain."""
    shape, colour = (draw.rectangle if square else draw.ellipse), ON_TISSUE if on else OFF_TISSUE
    arm = radius * 0.6
    rim = [(0, line + 2, OUTLINE)] if radius >= LEAST_RIMMED_PX else []  # rims of many small spots would hide the slide
    for inset, width, ink in (*rim, (1, line, colour)):
        shape(
            (x - radius + inset, y - radius + inset, x + radius - inset, y + radius - inset), outline=ink, width=width
        )
        if not on:
            draw.line((x - arm, y - arm, x + arm, y + arm), fill=ink, width=width)
            draw.line((x - arm, y + arm, x + arm, y - arm), fill=ink, width=width)


def bar_um(width_um: float) -> float:
    """A round length (1, 2 or 5 times a power of ten, in µm) of at most ``BAR_SHARE`` of the width."""
    power = 10.0 ** math.floor(math.log10(width_um * BAR_SHARE))
    return max(step * power for step in (1, 2, 5) if step * power <= width_um * BAR_SHARE)


def _scale_bar(slide: Image.Image, *, um_a_px: float) -> None:
    length_um = bar_um(slide.width * um_a_px)
    length, font, draw = round(length_um / um_a_px), _font(TEXT_PX), ImageDraw.Draw(slide)
    label = f"{length_um / 1000:g} mm"
    wide = max(length, round(font.getlength(label)))
    bottom = slide.height - MARGIN_PX
    draw.rectangle((0, bottom - TEXT_PX - 26, wide + 2 * MARGIN_PX, slide.height), fill="white")
    draw.text((MARGIN_PX, bottom - TEXT_PX - 20), label, fill="black", font=font)
    draw.rectangle((MARGIN_PX, bottom - 6, MARGIN_PX + length - 1, bottom), fill="black")


def _head(width: int, title: str, lines: Sequence[str], *, n_on: int, n_off: int) -> Image.Image:
    """Title, lines broken to the width, and the key of the colours."""
    large, small = _font(HEAD_PX), _font(TEXT_PX)
    broken = [part for line in lines for part in _broken(line.translate(PLAIN), small, width - 2 * MARGIN_PX)]
    step = TEXT_PX + 10
    head = Image.new("RGB", (width, 2 * MARGIN_PX + HEAD_PX + 14 + step * (len(broken) + 1)), "white")
    draw = ImageDraw.Draw(head)
    draw.text((MARGIN_PX, MARGIN_PX), title.translate(PLAIN), fill="black", font=large)
    y = MARGIN_PX + HEAD_PX + 14
    for line in broken:
        draw.text((MARGIN_PX, y), line, fill="black", font=small)
        y += step
    x, middle, radius = MARGIN_PX, y + TEXT_PX / 2 + 2, TEXT_PX / 2 - 1
    for on, label in ((True, f"{n_on} on tissue"), (False, f"{n_off} off tissue")):
        _mark(draw, x + radius, middle, radius, 2, on=on)
        draw.text((x + 2 * radius + 10, y), label, fill="black", font=small)
        x += 2 * radius + 40 + small.getlength(label)
    draw.line((x, middle, x + 36, middle), fill=OUTLINE, width=3)
    draw.text((x + 46, y), "outline of the tissue", fill="black", font=small)
    return head


def _broken(line: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines, words = [""], line.split()
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)
