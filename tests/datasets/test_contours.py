import json

import numpy as np
import pytest
from shapely.geometry import Polygon

from stainscript.datasets.contours import Contour, on_tissue, patch_corners, read_contours, tissue_of, write_contours
from stainscript.errors import DataContractError

SQUARE = [(0, 0), (100, 0), (100, 60), (0, 60), (0, 0)]  # 100 wide and 60 high: x and y cannot be mistaken
HOLE = [(10, 10), (30, 10), (30, 20), (10, 20), (10, 10)]
ISLAND = [(200, 0), (240, 0), (240, 40), (200, 40), (200, 0)]


@pytest.fixture
def outlines():
    return [Contour(tissue_id=0, polygon=Polygon(SQUARE, [HOLE])), Contour(tissue_id=7, polygon=Polygon(ISLAND))]


@pytest.fixture
def write(tmp_path):
    def put(content, name="T1_contours.geojson"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return put


def old_form(name, rings, hole):
    geometry = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": name}, "hole": hole}}


def test_outlines_survive_writing_and_reading_twice_to_the_byte(outlines, tmp_path):
    odd = Contour(tissue_id="3", polygon=Polygon([(0.1, 1 / 3), (1e6 + 0.7, 2), (5, 9.25)]))
    first, second = tmp_path / "one" / "a.geojson", tmp_path / "b.geojson"
    write_contours(first, [*outlines, odd])
    assert read_contours(first) == [*outlines, odd]
    write_contours(second, read_contours(first))
    assert first.read_bytes() == second.read_bytes()


def test_the_golden_outlines_have_their_ids_and_their_hole(shared_golden, tmp_path):
    path = shared_golden / "histoprism" / "hest_files" / "tissue_seg" / "TOY1_contours.geojson"
    found = read_contours(path)
    assert [(c.tissue_id, len(c.polygon.interiors), c.polygon.area) for c in found] == [
        (0, 1, 670 * 770 - 250 * 270),
        (1, 0, 575 * 870),
    ]
    write_contours(tmp_path / "again.geojson", found)
    assert read_contours(tmp_path / "again.geojson") == found


def test_the_older_form_gives_the_same_outlines_with_each_hole_in_its_own(write, outlines):
    inner = [(205, 5), (210, 5), (210, 15), (205, 15), (205, 5)]
    path = write([old_form("0", [HOLE, SQUARE, ISLAND, inner], [0, 3])])
    assert read_contours(path) == [
        Contour(tissue_id="0", polygon=outlines[0].polygon),
        Contour(tissue_id="0", polygon=Polygon(ISLAND, [inner])),
    ]


def test_one_feature_of_several_polygons_is_several_outlines(write):
    geometry = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [ISLAND]]}
    feature = {"type": "Feature", "geometry": geometry, "properties": {"tissue_id": 4}}
    found = read_contours(write({"type": "FeatureCollection", "features": [feature]}))
    assert [(c.tissue_id, c.polygon.area) for c in found] == [(4, 6000 - 200), (4, 1600)]


def test_a_square_is_kept_from_fifteen_hundredths_of_tissue_on(outlines):
    # side 20: 400 px² of area, 60 px² needed. 3 columns of 20 px are 60; x = 97 gives 3 columns, x = 98 gives 2
    corners = [(97, 0), (98, 0), (0, 57), (0, 58), (40, 30), (500, 500), (-17, 40), (-18, 40)]
    kept = on_tissue(np.array(corners), side_px=20, contours=outlines)
    assert kept.tolist() == [True, False, True, False, True, False, True, False]


def test_the_hole_is_no_tissue(outlines):
    assert on_tissue(np.array([[10, 10]]), side_px=10, contours=outlines).tolist() == [False]
    whole = [Contour(tissue_id=0, polygon=Polygon(SQUARE))]
    assert on_tissue(np.array([[10, 10]]), side_px=10, contours=whole).tolist() == [True]


def test_outlines_that_overlap_count_once_and_one_that_crosses_itself_is_mended(outlines):
    twice = [Contour(tissue_id=1, polygon=Polygon(ISLAND)), Contour(tissue_id=2, polygon=Polygon(ISLAND))]
    assert tissue_of(twice).area == 1600
    bow = Contour(tissue_id=0, polygon=Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]))
    assert tissue_of([bow]).area == pytest.approx(50)
    # 30 px² of a square of 20: below the share once, and twice the same 30 px² must not pass for 60
    assert on_tissue(np.array([[238.5, 0]]), side_px=20, contours=twice).tolist() == [False]


def test_without_outlines_every_square_is_kept():
    assert on_tissue(np.zeros((3, 2)), side_px=20, contours=[]).tolist() == [True] * 3


@pytest.mark.parametrize(("mpp", "side", "half"), [(0.2125, 527.06, 263), (0.2737, 409.21, 204), (0.6882, 162.74, 81)])
def test_corners_take_off_half_the_side_rounded_down(mpp, side, half):
    side_px = 224 * 0.5 / mpp
    assert side_px == pytest.approx(side, abs=0.01)
    assert patch_corners(np.array([[1000.9, 300.2]]), side_px=side_px).tolist() == [[1000 - half, 300 - half]]


def test_corners_beyond_the_edge_are_cut_towards_zero():
    assert patch_corners(np.array([[9.5, 0.2]]), side_px=20.0).tolist() == [[0, -9]]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "JSONDecodeError"),
        ('{"type": "FeatureCollection", "features": [', "JSONDecodeError"),
        ({"type": "Polygon"}, "neither a FeatureCollection nor a list"),
        ({"type": "FeatureCollection"}, "KeyError: 'features'"),
        ([old_form("0", [SQUARE, ISLAND], [1])], "a hole of tissue 0 lies in none of its outlines"),
        ([old_form("0", [SQUARE], [4])], "hole names ring 4 of 1"),
        (
            {
                "type": "FeatureCollection",
                "features": [{"properties": {"tissue_id": 0}, "geometry": {"type": "Point", "coordinates": [1, 2]}}],
            },
            "a Point where a Polygon is expected",
        ),
    ],
)
def test_other_content_is_one_error_that_names_the_file(write, content, found):
    path = write(content)
    with pytest.raises(DataContractError) as caught:
        read_contours(path)
    for part in (str(path), "outlines: expected GeoJSON polygons", found, "Remedy:"):
        assert part in str(caught.value)


def test_nan_in_a_ring_a_missing_file_and_a_pickle_are_refused(write, tmp_path):
    broken = json.dumps([old_form("0", [[(0, 0), (float("nan"), 0), (9, 9), (0, 0)]], [])])
    with pytest.raises(DataContractError, match="finite pixel coordinates; found NaN"):
        read_contours(write(broken))
    with pytest.raises(DataContractError, match="found no such file"):
        read_contours(tmp_path / "absent.geojson")
    with pytest.raises(DataContractError, match=r"T1_mask\.pkl: format: expected a GeoJSON file; found a pickle"):
        read_contours(write("cos", "T1_mask.pkl"))
