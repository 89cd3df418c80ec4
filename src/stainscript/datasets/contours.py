"""Tissue outlines as HEST-1k stores them, and its rule which patches lie on tissue. Not a layout: it has no ``files``.

Two forms of JSON circulate. The present one is a GeoJSON FeatureCollection: one Polygon a feature, interior rings are
holes, property ``tissue_id``. The older one is a bare list of features: a MultiPolygon each, whose property ``hole``
lists the members that are holes, the tissue's name in ``classification.name``. Pickled outlines are not loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, mapping, shape

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError

KEPT_SHARE = 0.15  # of a patch's square that must be tissue
PICKLES = (".pkl", ".pickle")


@dataclass(frozen=True, kw_only=True)
class Contour:
    """One outline in level-0 pixels, x to the right and y down; its holes are interior rings."""

    tissue_id: int | str
    polygon: Polygon


def read_contours(path: str | Path) -> list[Contour]:
    """The outlines of a file in either form; raises ``DataContractError`` for anything else, pickles included."""
    path = Path(path)
    if path.suffix.lower() in PICKLES:
        raise _error(
            path,
            "format",
            "a GeoJSON file",
            "a pickle, which can run code when it is loaded",
            "download tissue_seg/ of the present release, which holds *_contours.geojson",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("type") == "FeatureCollection":
            found = [contour for feature in content["features"] for contour in _of_feature(feature)]
        elif isinstance(content, list):
            found = [contour for feature in content for contour in _of_flagged(feature)]
        else:
            raise ValueError("neither a FeatureCollection nor a list of features")
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, shapely.errors.ShapelyError) as error:
        found_text = "no such file" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
        raise _error(path, "outlines", "GeoJSON polygons of tissue", found_text, "copy tissue_seg/ again") from error
    if not all(np.isfinite(shapely.get_coordinates(contour.polygon)).all() for contour in found):
        raise _error(path, "outlines", "finite pixel coordinates", "NaN or infinity", "copy tissue_seg/ again")
    return found


def write_contours(path: str | Path, contours: Iterable[Contour]) -> None:
    """Write outlines in the present form; what ``read_contours`` gives back is equal, coordinate for coordinate."""
    features = [
        {
            "type": "Feature",
            "properties": {"tissue_id": contour.tissue_id},
            "geometry": mapping(contour.polygon),
        }
        for contour in contours
    ]
    with complete_file(path) as temporary:
        content = {"type": "FeatureCollection", "name": "tissue_contours", "features": features}
        temporary.write_text(json.dumps(content), encoding="utf-8")


def tissue_of(contours: Sequence[Contour]) -> shapely.Geometry:
    """All outlines as one valid geometry, holes left out."""
    return shapely.union_all(shapely.make_valid(np.array([contour.polygon for contour in contours], dtype=object)))


def patch_corners(centres_px: np.ndarray, *, side_px: float) -> np.ndarray:
    """Upper left corners (S, 2) int64 of HEST's patches: centre (x, y) − ⌊side / 2⌋, cut towards zero."""
    return np.trunc(np.asarray(centres_px, np.float64) - math.floor(side_px / 2)).astype(np.int64)


def on_tissue(corners_px: np.ndarray, *, side_px: int, contours: Sequence[Contour]) -> np.ndarray:
    """Which squares (S,) are tissue in at least 15 % of their area; all of them where no outline is known.

    corners_px: upper left corners (S, 2) in level-0 pixels; side_px: of the square.
    """
    corners = np.asarray(corners_px, np.float64)
    if not contours:
        return np.ones(len(corners), dtype=bool)
    tissue = tissue_of(contours)
    shapely.prepare(tissue)
    squares = shapely.box(*corners.T, *(corners + side_px).T)
    area = np.where(shapely.covers(tissue, squares), float(side_px) ** 2, 0.0)
    border = shapely.intersects(tissue, squares) & (area == 0)
    area[border] = shapely.area(shapely.intersection(squares[border], tissue))
    return area >= KEPT_SHARE * side_px**2


def _of_feature(feature: dict[str, Any]) -> list[Contour]:
    geometry = shape(feature["geometry"])
    if not isinstance(geometry, Polygon | MultiPolygon):
        raise ValueError(f"a {geometry.geom_type} where a Polygon is expected")
    parts = geometry.geoms if isinstance(geometry, MultiPolygon) else [geometry]
    return [Contour(tissue_id=feature["properties"]["tissue_id"], polygon=part) for part in parts]


def _of_flagged(feature: dict[str, Any]) -> list[Contour]:
    """The outlines of one tissue of the older form; each hole goes to the outline that surrounds it."""
    tissue_id = feature["properties"]["classification"]["name"]
    rings = [Polygon(part[0]) for part in feature["geometry"]["coordinates"]]
    flagged = set(feature["properties"]["hole"])
    if not flagged <= set(range(len(rings))):
        raise ValueError(f"hole names ring {max(flagged)} of {len(rings)}")
    holes = [rings[i] for i in sorted(flagged)]
    outer = [ring for i, ring in enumerate(rings) if i not in flagged]
    owners = [next((n for n, ring in enumerate(outer) if ring.covers(hole)), None) for hole in holes]
    if None in owners:
        raise ValueError(f"a hole of tissue {tissue_id} lies in none of its outlines")
    cuts = [[] for _ in outer]
    for hole, owner in zip(holes, owners, strict=True):
        cuts[owner].append(hole.exterior.coords)
    return [
        Contour(tissue_id=tissue_id, polygon=Polygon(ring.exterior.coords, inner))
        for ring, inner in zip(outer, cuts, strict=True)
    ]


def _error(path: Path, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(path, field, expected=expected, found=found, remedy=remedy)
