import logging

import numpy as np
import pytest

from stainscript.datasets import legacy_tables, positions
from stainscript.datasets.scale import settle_mpp
from stainscript.errors import DataContractError


def mpp(**given):
    values = {"sheet": "", "metadata": None, "grid": None} | given
    return settle_mpp(**values, image="a/S.tif", slide="S")


@pytest.mark.parametrize(
    ("sheet", "metadata", "grid", "expected"),
    [
        ("0.5", None, None, (0.5, "sheet")),
        ("", 0.5, None, (0.5, "metadata")),
        ("", None, 0.5, (0.5, "spot grid")),
        ("0.5", 0.51, None, (0.5, "sheet")),
        ("0.5", None, 0.51, (0.5, "sheet")),
        ("", 0.5, 0.51, (0.5, "metadata")),
        ("0.5", 0.51, 0.52, (0.5, "sheet")),
    ],
)
def test_the_first_that_is_there_counts_when_all_agree(sheet, metadata, grid, expected, caplog):
    with caplog.at_level(logging.INFO):
        assert mpp(sheet=sheet, metadata=metadata, grid=grid) == expected
    assert caplog.messages == []


def test_metadata_that_sheet_and_grid_refute_are_logged_and_not_used(caplog):
    with caplog.at_level(logging.WARNING):
        assert mpp(sheet="0.8", metadata=0.08, grid=0.81) == (0.8, "sheet")
    assert caplog.messages == [
        "S: the image's metadata (0.08 µm per pixel) contradict the sheet's column mpp of slide S (0.8) "
        "and are not used"
    ]


@pytest.mark.parametrize(
    ("given", "expected", "found", "remedy"),
    [
        (
            {"sheet": "0.526", "metadata": 0.5},
            "0.5 µm per pixel (the image's metadata) within 5%",
            "0.526 in the sheet's column mpp of slide S",
            "if the metadata are wrong, remove them from the image",
        ),
        (
            {"sheet": "0.25", "grid": 0.5},
            "0.5 µm per pixel (the spot grid) within 5%",
            "0.25 in the sheet's column mpp of slide S",
            "correct the sheet's column mpp or empty it",
        ),
        (
            {"metadata": 0.25, "grid": 0.5},
            "0.5 µm per pixel (the spot grid) within 5%",
            "0.25 in the image's metadata",
            "its metadata are wrong: fill the sheet's column mpp for slide S",
        ),
        (  # the metadata side with the sheet
            {"sheet": "0.25", "metadata": 0.25, "grid": 0.5},
            "0.5 µm per pixel (the spot grid) within 5%",
            "0.25 in the sheet's column mpp of slide S",
            "take the image that the positions refer to",
        ),
        (  # the metadata side with the grid
            {"sheet": "0.25", "metadata": 0.5, "grid": 0.5},
            "0.5 µm per pixel (the spot grid) within 5%",
            "0.25 in the sheet's column mpp of slide S",
            "correct the sheet's column mpp or empty it",
        ),
        (  # three opinions
            {"sheet": "0.25", "metadata": 1.0, "grid": 0.5},
            "0.5 µm per pixel (the spot grid) within 5%",
            "0.25 in the sheet's column mpp of slide S",
            "correct the sheet's column mpp or empty it",
        ),
        (
            {},
            "µm per pixel from the sheet, the image's metadata or the spot grid",
            "none of the three",
            "fill the sheet's column mpp for slide S",
        ),
    ],
)
def test_a_contradiction_is_an_error_that_names_both_values(given, expected, found, remedy):
    with pytest.raises(DataContractError) as error:
        mpp(**given)
    assert (error.value.path, error.value.field) == ("a/S.tif", "mpp")
    assert (error.value.expected, error.value.found) == (expected, found)
    assert remedy in error.value.remedy


@pytest.mark.parametrize("source", ["metadata", "sheet"])
def test_five_percent_of_the_grid_is_the_limit(source):
    def chosen(value):
        return mpp(grid=1.0, **{source: str(value) if source == "sheet" else value})

    assert chosen(1.049) == (1.049, source)
    assert chosen(0.951) == (0.951, source)
    for wrong in (1.051, 0.949):
        with pytest.raises(DataContractError, match=r"expected 1 µm per pixel \(the spot grid\)"):
            chosen(wrong)


def test_a_datasets_own_file_outranks_the_image_and_yields_to_the_sheet(caplog):
    said = {"stated": 0.8, "stated_in": "metadata/S.json"}
    with caplog.at_level(logging.WARNING):
        assert mpp(**said, metadata=0.08) == (0.8, "dataset metadata")  # without a grid as well
        assert mpp(**said, metadata=0.08, grid=0.81) == (0.8, "dataset metadata")
        assert mpp(**said, sheet="0.79", metadata=0.08) == (0.79, "sheet")  # two against the tag
    assert [m.split(" contradict ")[0] for m in caplog.messages] == ["S: the image's metadata (0.08 µm per pixel)"] * 3
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert mpp(**said, sheet="0.4", grid=0.4) == (0.4, "sheet")
    assert "metadata/S.json (0.8 µm per pixel) contradict" in caplog.text
    with pytest.raises(
        DataContractError, match=r"expected 0\.4 µm per pixel \(the spot grid\).*0\.8 in metadata/S\.json"
    ):
        mpp(**said, grid=0.4)
    with pytest.raises(
        DataContractError, match=r"expected 0\.8 µm per pixel \(metadata/S\.json\).*found 0\.4 in the sheet"
    ):
        mpp(**said, sheet="0.4")


def test_the_sheet_speaks_of_the_full_resolution_image_also_when_a_smaller_one_is_read():
    assert mpp(sheet="0.5", grid=2.01, image_scale=0.25) == (2.0, "sheet")
    with pytest.raises(DataContractError, match="found 2 in the sheet's column mpp"):
        mpp(sheet="0.5", grid=0.5, image_scale=0.25)


def test_no_real_section_contradicts_itself(shared_data):
    """Columns and rows of an array are two estimates of one scale: their spread bounds what the grid is wrong by."""
    spread = {}
    for path in sorted((shared_data / "her2st/data/ST-spotfiles").glob("*_selection.tsv")):
        spots = legacy_tables.read_selection(path)
        columns = 200 / legacy_tables.pitch_px(spots["registered_x"], spots["x_px"])
        rows = 200 / legacy_tables.pitch_px(spots["grid_row"], spots["y_px"])
        spread[path.name[:2]] = abs(columns / rows - 1)
        assert settle_mpp(sheet="", metadata=float(rows), grid=float(columns), image=path, slide="S")[1] == "metadata"
    assert len(spread) == 36
    assert max(spread.values()) < 0.012
    table = positions.read_positions(shared_data / "spaceranger/1.0.0/spatial/tissue_positions_list.csv")
    whole = positions.grid_mpp(table, pitch_um=100.0)
    parts = np.array_split(np.arange(len(table)), 10)
    tenths = [positions.grid_mpp(table.iloc[part], pitch_um=100.0) for part in parts]
    assert max(abs(part / whole - 1) for part in tenths) < 0.01
