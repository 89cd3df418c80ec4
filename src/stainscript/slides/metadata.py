"""µm per pixel as the metadata of a TIFF state it: resolution tags, OME-XML, Aperio's description."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from stainscript.slides.base import plausible_mpp

UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # ResolutionUnit: inch, centimetre
UM_PER_OME_UNIT = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "in": 25_400.0}
APERIO_MPP = re.compile(r"\|\s*MPP\s*=\s*([0-9.]+)")


def tag_mpp(page: Any) -> float | None:
    """From ``XResolution``, ``YResolution`` and ``ResolutionUnit`` of a page; ``None`` where they are implausible."""
    unit = page.tags.get("ResolutionUnit")
    um = UM_PER_UNIT.get(int(unit.value)) if unit is not None else None
    x, y = (page.tags.get(name) for name in ("XResolution", "YResolution"))
    if um is None or x is None or y is None:
        return None
    (x_num, x_den), (y_num, y_den) = x.value, y.value
    return plausible_mpp(um * x_den / x_num, um * y_den / y_num) if x_num and y_num else None


def ome_mpp(xml: str, *, width_px: int, height_px: int) -> float | None:
    """From ``PhysicalSizeX`` and ``PhysicalSizeY`` of the first image of this size; the unit is µm unless stated."""
    for pixels in ElementTree.fromstring(xml).iterfind(".//{*}Pixels"):
        if (pixels.get("SizeX"), pixels.get("SizeY")) == (str(width_px), str(height_px)):
            return plausible_mpp(_ome_length(pixels, "X"), _ome_length(pixels, "Y"))
    return None


def aperio_mpp(description: str) -> float | None:
    """From ``MPP = …`` in the image description of an SVS."""
    found = APERIO_MPP.search(description)
    return plausible_mpp(float(found[1]), float(found[1])) if found else None


def _ome_length(pixels: ElementTree.Element, axis: str) -> float | None:
    size = pixels.get(f"PhysicalSize{axis}")
    um = UM_PER_OME_UNIT.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    return None if size is None or um is None else float(size) * um
