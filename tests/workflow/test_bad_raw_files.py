"""A damaged raw file ends the run at ingest with one message; what other slides gave stays, nothing later starts."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.workflow

VISIUM, LEGACY = "P1V", "P2L"


@pytest.fixture
def space(phantom_run, fresh, tmp_path: Path):
    """Two slides of the phantom as a cohort of a user: raw files in a folder, a sheet, no generator."""
    made = fresh(tmp_path)
    for slide in (VISIUM, LEGACY):
        shutil.copytree(phantom_run.folder / "results/raw/phantom" / slide, tmp_path / "raw" / slide)
    (tmp_path / "sheet.tsv").write_text("slide\tpatient\tlayout\nP1V\tP1\tvisium\nP2L\tP2\tlegacy_st\n")
    made.configure(lambda c: c.update(datasets={"phantom": {"sheet": "sheet.tsv", "root": "raw"}}))
    made.compare_only("ridge")
    return made


def counts_table(folder: Path) -> Path:
    return folder / f"raw/{LEGACY}/data/ST-cnts/{LEGACY}.tsv.gz"


def edit_counts(folder: Path, change: Callable[[list[list[str]]], object]) -> None:
    path = counts_table(folder)
    rows = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    change(rows)
    path.write_bytes(gzip.compress("".join("\t".join(row) + "\n" for row in rows).encode()))


def cut_tiff(folder: Path) -> None:
    path = folder / f"raw/{VISIUM}/outs/{VISIUM}.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_jpeg(folder: Path) -> None:
    (folder / f"raw/{LEGACY}/data/ST-imgs/{LEGACY[0]}/{LEGACY}/{LEGACY}.jpg").write_bytes(b"")


def no_scale(folder: Path) -> None:
    """A picture without µm/px, positions on no grid: the sheet would have to say it."""
    path = folder / f"raw/{VISIUM}/outs/{VISIUM}.tif"
    image = tifffile.imread(path, key=0)
    path.unlink()
    tifffile.imwrite(path, np.ascontiguousarray(image), photometric="rgb", tile=(256, 256))
    spatial = folder / f"raw/{VISIUM}/outs/spatial"
    (spatial / "scalefactors_json.json").unlink()
    lines = (spatial / "tissue_positions.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    flat = [",".join([*cell[:2], "0", "0", *cell[4:]]) for cell in cells]
    (spatial / "tissue_positions.csv").write_text("\n".join([lines[0], *flat]) + "\n")


def far_position(folder: Path) -> None:
    path = folder / f"raw/{LEGACY}/data/ST-spotfiles/{LEGACY}_selection.tsv"
    lines = path.read_text().splitlines()
    head = lines[0].split("\t")
    counted = {row.split("\t")[0] for row in gzip.decompress(counts_table(folder).read_bytes()).decode().splitlines()}
    for n, line in enumerate(lines[1:], start=1):
        cells = line.split("\t")
        if f"{cells[0]}x{cells[1]}" in counted:
            cells[head.index("pixel_x")] = "999999.0"
            lines[n] = "\t".join(cells)
            break
    path.write_text("\n".join(lines) + "\n")


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "truncated TIFF": (cut_tiff, [f"{VISIUM}.tif"]),
    "empty JPEG": (empty_jpeg, [f"{LEGACY}.jpg", "empty"]),
    "missing mpp": (no_scale, ["mpp"]),
    "position outside the slide": (far_position, [f"{LEGACY}_selection.tsv", "999999"]),
    "duplicate barcode": (
        lambda folder: edit_counts(folder, lambda rows: rows.append(list(rows[1]))),
        [f"{LEGACY}.tsv.gz"],
    ),
    "barcode without position": (
        lambda folder: edit_counts(folder, lambda rows: rows[1].__setitem__(0, "90x90")),
        ["90x90"],
    ),
    "negative count": (
        lambda folder: edit_counts(folder, lambda rows: rows[1].__setitem__(1, "-3")),
        [f"{LEGACY}.tsv.gz", "-3"],
    ),
    "fractional count": (
        lambda folder: edit_counts(folder, lambda rows: rows[1].__setitem__(1, "0.5")),
        [f"{LEGACY}.tsv.gz", "0.5"],
    ),
    "NaN count": (
        lambda folder: edit_counts(folder, lambda rows: rows[1].__setitem__(1, "nan")),
        [f"{LEGACY}.tsv.gz"],
    ),
    "empty matrix": (
        lambda folder: edit_counts(folder, lambda rows: rows.__delitem__(slice(1, None))),
        [f"{LEGACY}.tsv.gz"],
    ),
    "gene twice": (
        lambda folder: edit_counts(folder, lambda rows: rows[0].__setitem__(2, rows[0][1])),
        [f"{LEGACY}.tsv.gz"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_run_ends_at_ingest_with_one_message(name: str, space) -> None:
    damage, words = CASES[name]
    damage(space.folder)
    done = space.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    messages = {
        line[line.index("raw/") :]
        for line in text.splitlines()
        if "raw/" in line and ": expected " in line and "; found " in line and "Remedy: " in line
    }
    assert len(messages) == 1, text[-4000:]
    for word in words:
        assert word in next(iter(messages))
    assert "Traceback" not in text
    results = space.folder / "results"
    broken = VISIUM if name in ("truncated TIFF", "missing mpp") else LEGACY
    assert not (results / f"expression/phantom/{broken}.h5ad").exists()
    assert not (results / f"slides/phantom/{broken}.json").exists()
    assert not list(results.glob(f"features/*/*/*/{broken}"))
    for later in ("runs", "predictions", "metrics", "tables"):
        assert not [path for path in (results / later).rglob("*") if path.is_file()]


def test_the_same_cohort_undamaged_is_ingested(space) -> None:
    space.snakemake("results/expression/phantom/P1V.h5ad", "results/expression/phantom/P2L.h5ad")
    assert (space.folder / "results/slides/phantom/P1V.json").is_file()


def test_artifacts_made_before_stay_as_they_were(space) -> None:
    space.snakemake("results/features/phantom/patch/morphology/P1V")
    before = {p: p.read_bytes() for p in (space.folder / "results").rglob("*") if p.is_file() and "logs" not in p.parts}
    empty_jpeg(space.folder)
    assert space.snakemake(check=False).returncode != 0
    after = {p: p.read_bytes() for p in before}
    assert after == before
