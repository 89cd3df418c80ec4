"""Marks of a figure as SVG text, how wide letters are, and the report's sequential colours."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

FONT_PX = 13
INK, SOFT, LINE = "#1a1a1a", "#555555", "#e3e6ea"
# Advance widths of Arial and Liberation Sans in parts of the font size; every other character counts as the widest.
ADVANCES = {
    "ijl|'": 0.23,
    "I.,:;/ft !": 0.28,
    "r()-": 0.34,
    "Jckvxyzs": 0.5,
    "abdeghnopqu_0123456789?LFTZ+=<>≤−": 0.61,
    "ABEKPSVXYRCDHNUw&": 0.73,
    "GOQ": 0.78,
    "mM": 0.84,
}
ADVANCE = {character: width for characters, width in ADVANCES.items() for character in characters}
WIDEST, BOLD = 1.02, 1.1


def colour(share: float) -> str:
    """Pale yellow over teal to dark violet, evenly darker: the report's sequential table, from its light end.

    OKLCH to sRGB by Björn Ottosson's OKLab matrices (2020), at the highest chroma that sRGB can show.
    """
    t = 1 - min(max(share, 0.0), 1.0)
    lightness, chroma, hue = 0.25 + 0.67 * t, 0.115 - 0.12 * t + 0.19 * t * t, math.radians(305 - 200 * t)
    rgb = _linear_rgb(lightness, chroma, hue)
    while chroma > 0 and not all(0 <= value <= 1 for value in rgb):
        chroma -= 0.005
        rgb = _linear_rgb(lightness, max(chroma, 0.0), hue)
    bounded = [min(max(value, 0.0), 1.0) for value in rgb]
    encoded = [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in bounded]
    return "#" + "".join(f"{round(255 * value):02x}" for value in encoded)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
    )


def width(text: str, size: int = FONT_PX) -> float:
    """No less than the text's width in px."""
    return size * sum(ADVANCE.get(character, WIDEST) for character in text)


def dot(x: float, y: float, radius: float, fill: str, strong: bool, told: str) -> str:
    """A circle, with a dark rim where ``strong``; told: what a pointer resting on it is told."""
    rim = f'stroke="{INK}" stroke-width="1.6"' if strong else f'stroke="{SOFT}" stroke-width="0.5"'
    inside = f"<title>{escape(told)}</title>" if told else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.2f}" fill="{fill}" {rim}>{inside}</circle>'


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = LINE) -> str:
    """A straight line of one pixel."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"/>'


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: str = "start",
    size: int = FONT_PX,
    weight: int = 400,
    fill: str = INK,
    turn: str = "",
) -> str:
    """One line of text on the baseline ``y``; anchor: ``start`` or ``end`` at ``x``; turn: an SVG transform."""
    turned = f' transform="{turn}"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}"{turned}>{escape(content)}</text>'
    )


def notice(text: str) -> str:
    """A picture of one line, for a figure that has nothing to draw."""
    wide, high = width(text) + 4 * FONT_PX, 4 * FONT_PX
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high}" viewBox="0 0 {wide:.0f} {high}" '
        f'font-family="Arial, Liberation Sans, sans-serif" font-size="{FONT_PX}"><rect width="100%" height="100%" '
        f'fill="white"/><text x="{2 * FONT_PX}" y="{2.4 * FONT_PX:.0f}" fill="{INK}">{escape(text)}</text></svg>\n'
    )
