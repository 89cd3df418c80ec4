"""The stage that draws one phantom slide."""

from __future__ import annotations

import pytest

from stainscript.datasets import phantom
from stainscript.errors import DataContractError
from stainscript.stages.draw_phantom import draw_phantom


def test_the_stage_fills_the_folder_and_leaves_nothing_beside_it(tmp_path):
    out = tmp_path / "raw" / "W1"
    draw_phantom(slide="W1", options={"spots": "tiny"}, out=out)
    assert [p.name for p in out.iterdir()] == ["W1.tif"]
    assert [p.name for p in out.parent.iterdir()] == ["W1"]


def test_a_misspelt_option_writes_nothing(tmp_path):
    with pytest.raises(DataContractError, match="did you mean 'spots'"):
        draw_phantom(slide="W1", options={"spot": "tiny"}, out=tmp_path / "W1")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_leaves_the_earlier_folder_as_it_was(tmp_path, monkeypatch):
    out = tmp_path / "P1V"
    out.mkdir()
    (out / "kept").write_text("earlier")

    def fail(*_, **__):
        raise RuntimeError("half way")

    monkeypatch.setattr(phantom.phantom_files, "write_truth", fail)
    with pytest.raises(RuntimeError, match="half way"):
        draw_phantom(slide="P1V", options={"spots": "tiny"}, out=out)
    assert [p.name for p in tmp_path.rglob("*")] == ["P1V", "kept"]
