"""Fixtures that every test may use: the repository, the real inputs, the parity cases."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript import seeds
from stainscript.artifacts.files import write_json, write_parquet
from stainscript.artifacts.schemas import SPOT_COLUMNS
from stainscript.artifacts.stores import write_store
from stainscript.genes.panels.file import write_panel
from stainscript.types import Panel, SlideInfo

REPOSITORY = Path(__file__).resolve().parents[1]


def absent(reason: str) -> None:
    """Skip on a user's machine; fail in CI, where everything that the tests need is promised."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs beside the repository."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        absent("no real inputs at ../shared/data")
    return path


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """The folder of parity cases beside the repository."""
    path = REPOSITORY.parent / "shared" / "golden"
    if not path.is_dir():
        absent("no parity cases at ../shared/golden")
    return path


@pytest.fixture(scope="session")
def require_tool():
    """A function that returns a program's path, or skips (fails in CI) with the reason."""

    def require(name: str) -> str:
        found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if found is None:
            absent(f"{name} is not installed")
        return str(found)

    return require


class StoredCohort:
    """Four slides of 24 spots on disk, as the stages before ``fit`` leave them: view ``patch`` of two encoders, 8 panel
    genes out of 12. Counts follow the features, so that there is something to learn."""

    encoders: ClassVar[dict[str, int]] = {"first": 3, "second": 2}
    slides = ("a", "b", "c", "d")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.genes = [f"ENSG{n:03d}" for n in range(12)]
        self.panel = folder / "panel.tsv"
        chosen = tuple(self.genes[2:10])
        write_panel(
            self.panel,
            Panel(
                name="toy",
                gene_ids=chosen,
                symbols=chosen,
                mean=(1.0,) * 8,
                variance=(1.0,) * 8,
                training_slides=self.slides[:3],
            ),
        )
        for slide in self.slides:
            self._write(slide)

    def files(self, slide: str) -> dict[str, Any]:
        folders = [str(self.folder / f"{slide}.{encoder}") for encoder in self.encoders]
        return {
            "info": str(self.folder / f"{slide}.json"),
            "spots": str(self.folder / f"{slide}.spots.parquet"),
            "features": {"patch": folders},
            "expression": str(self.folder / f"{slide}.h5ad"),
        }

    def spec(self, method: str, **options: Any) -> dict[str, Any]:
        return {
            "experiment": f"toy.{method}",
            "fold": 1,
            "seed": 0,
            "dataset": "toy",
            "method": method,
            "options": options,
            "target": {"space": "log1p_cp10k", "library": "all", "smooth": "none"},
            "train": list(self.slides[:3]),
            "val": [],
            "val_spot_fraction": 0.25,
            "views": {"patch": list(self.encoders)},
            "hardware": {"accelerator": "cpu", "devices": 1, "precision": "32-true", "threads": 1},
            "digests": {"config": "1", "code": "2", "environment": "3", "split": "4"},
        }

    def inputs(self) -> dict[str, Any]:
        return {"panel": str(self.panel), "slides": {slide: self.files(slide) for slide in self.slides}}

    def counts(self, slide: str) -> anndata.AnnData:
        return anndata.read_h5ad(self.files(slide)["expression"])

    def _write(self, slide: str) -> None:
        rng = seeds.generator(0, "cohort", slide)
        grid = np.stack(np.divmod(np.arange(24), 6), axis=1)
        spot_id = np.asarray([f"{col}x{row}" for row, col in grid], dtype=object)
        info = SlideInfo(
            dataset="toy",
            slide=slide,
            patient=f"patient-{slide}",
            width_px=1000,
            height_px=800,
            mpp=0.5,
            mpp_source="sheet",
            reader="array",
            image=f"{slide}.png",
            image_sha256="0" * 64,
        )
        write_json(self.folder / f"{slide}.json", dataclasses.asdict(info))
        x_px, y_px = grid[:, 1] * 100 + 100, grid[:, 0] * 100 + 150
        spots = {"spot_id": spot_id, "x_px": x_px, "y_px": y_px, "x_um": x_px * 0.5, "y_um": y_px * 0.5}
        spots |= {"grid_row": grid[:, 0], "grid_col": grid[:, 1]}
        write_parquet(self.folder / f"{slide}.spots.parquet", pd.DataFrame(spots)[list(SPOT_COLUMNS)])
        every = rng.normal(size=(24, sum(self.encoders.values()))).astype(np.float32)
        columns = np.split(every, np.cumsum(list(self.encoders.values()))[:-1], axis=1)
        for encoder, part in zip(self.encoders, columns, strict=True):
            self.write_features(slide, encoder, part, spot_id)
        weights = seeds.generator(0, "cohort", "weights").normal(size=(every.shape[1], 12))
        counts = rng.poisson(20 * np.exp(0.3 * every @ weights))
        adata = anndata.AnnData(sparse.csr_matrix(counts, dtype=np.int32))
        adata.obs_names, adata.var_names = spot_id.tolist(), self.genes
        adata.var["symbol"] = self.genes
        adata.obsm["grid"] = grid
        adata.obsm["xy_um"], adata.obsm["xy_px"] = np.stack([x_px, y_px], axis=1) * 0.5, np.stack([x_px, y_px], axis=1)
        adata.write_h5ad(self.files(slide)["expression"])

    def write_features(self, slide: str, encoder: str, features: np.ndarray, spot_id: np.ndarray) -> None:
        attrs = {"dataset": "toy", "slide": slide, "view": "patch", "encoder": encoder}
        attrs |= {"weights_sha256": None, "transform": "none", "precision": "float32"}
        arrays = {"features": features, "spot_id": spot_id}
        write_store(self.folder / f"{slide}.{encoder}", "features", arrays, attrs)


@pytest.fixture
def cohort(tmp_path: Path) -> StoredCohort:
    """A small cohort on disk, ready to be fitted and predicted."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    return StoredCohort(folder)
