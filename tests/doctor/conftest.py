"""A config to change, and slides that stand for a cohort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stainscript.config import Config, load
from stainscript.plan.cohorts import Row


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Results are looked for in an empty folder, and nobody's token is found."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))


@pytest.fixture
def raw(repository: Path) -> dict[str, Any]:
    """The repository's own config, as Snakemake merges it."""
    return yaml.safe_load((repository / "config.yaml").read_text())


@pytest.fixture
def config(raw: dict[str, Any], repository: Path) -> Callable[..., Config]:
    def make(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Config:
        change(raw)
        return load(raw, folders=(repository / "workflow",))

    return make


@pytest.fixture
def row() -> Callable[..., Row]:
    """A slide; cells: of its sheet's row."""

    def make(dataset: str, slide: str, *, patient: str = "", layout: str = "her2st", **changes: Any) -> Row:
        cells = {"slide": slide, "patient": patient or slide[0], "layout": layout, "mpp": "", "hest_id": ""}
        cells |= changes.pop("cells", {})
        values = {"measured": True, "files": {}, "generated": False} | changes
        return Row(dataset=dataset, slide=slide, patient=cells["patient"], layout=layout, cells=cells, **values)

    return make
