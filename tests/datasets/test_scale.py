import logging

import pytest

from stainscript.datasets.scale import settle_mpp
from stainscript.errors import DataContractError


def mpp(**given):
    values = {"sheet": "", "metadata": None, "grid": None} | given
    return settle_mpp(**values, image="a/S.tif", slide="S")


def test_the_sheet_comes_before_the_metadata_before_the_grid():
    assert mpp(sheet="0.5", metadata=0.51, grid=0.52) == (0.5, "sheet")
    assert mpp(metadata=0.51, grid=0.52) == (0.51, "metadata")
    assert mpp(grid=0.52) == (0.52, "spot grid")


def test_sheet_and_metadata_may_differ_by_five_percent():
    assert mpp(sheet="0.524", metadata=0.5) == (0.524, "sheet")
    with pytest.raises(DataContractError, match=r"a/S\.tif: mpp: expected 0\.5 µm.*found 0\.526 in the sheet's column"):
        mpp(sheet="0.526", metadata=0.5)


def test_a_slide_without_any_scale_is_refused_naming_the_column():
    with pytest.raises(
        DataContractError, match=r"mpp: .*none of the three\. Remedy: fill the sheet's column mpp .* S$"
    ):
        mpp()


def test_a_scale_that_the_spot_grid_contradicts_is_logged(caplog):
    with caplog.at_level(logging.WARNING):
        assert mpp(metadata=0.25, grid=0.5) == (0.25, "metadata")
    assert "the spot grid implies 0.5" in caplog.text
