"""Widths that no glyph exceeds, colours that darken evenly, and marks that are well-formed."""

import re
import xml.etree.ElementTree as ET

import pytest
from PIL import ImageFont

from stainscript.report.figures import svg


def test_widths_are_not_less_than_those_of_a_real_font():
    """Liberation Sans where it is installed, which has the widths of Arial."""
    paths = [f"/usr/share/fonts/truetype/liberation{two}/LiberationSans-Regular.ttf" for two in ("", "2")]
    for path in paths:
        try:
            font = ImageFont.truetype(path, 13)
        except OSError:
            continue
        for text in (
            "HALLMARK_EPITHELIAL_MESENCHYMAL_TRANSITION",
            "'de novo' folding (GO:0051084)",
            "−log₁₀ adjusted p",
        ):
            assert font.getlength(text) <= svg.width(text) <= 1.25 * font.getlength(text)
        return
    pytest.skip("Liberation Sans is not installed")


def test_colours_darken_evenly():
    """Relative luminance falls at every step from the palest to the darkest."""
    luminance = []
    for step in range(11):
        red, green, blue = (int(part, 16) for part in re.findall("..", svg.colour(step / 10)[1:]))
        luminance.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    assert luminance == sorted(luminance, reverse=True)
    assert luminance[0] - luminance[-1] > 150


def test_marks_hold_any_text():
    assert ET.fromstring(svg.text(1, 2, "a < b & c", anchor="end")).attrib["text-anchor"] == "end"
    assert ET.fromstring(svg.text(1, 2, "a < b & c")).text == "a < b & c"
    assert ET.fromstring(svg.dot(1, 2, 3, "#ffffff", True, "<p>"))[0].text == "<p>"
    assert len(ET.fromstring(svg.dot(1, 2, 3, "#ffffff", False, ""))) == 0
