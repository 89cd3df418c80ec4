"""Real files of four layouts, without any experiment: ingest, check, patches and features, made by one target."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stainscript import encoders
from stainscript.artifacts.stores import Store, open_store

pytestmark = [pytest.mark.workflow, pytest.mark.real]

VIEW_OF = {"toy": "hest_small", "svs": "patch", "visium_1": "patch", "her2st": "patch"}
SLIDE_OF = {"toy": "TOY1", "svs": "CMU1", "visium_1": "V1", "her2st": "C4"}
GRIDS = [
    {"datasets": ["toy"], "views": ["hest_small"], "encoders": ["morphology"]},
    {"datasets": ["svs", "visium_1", "her2st"], "views": ["patch"], "encoders": ["morphology"]},
]
TISSUE = ("svs", "her2st")  # the HEST sample shows a pattern, the Space Ranger sample is black all over
each = pytest.mark.parametrize("dataset", VIEW_OF)


@pytest.fixture(scope="module")
def real(fresh, tmp_path_factory, shared_data: Path, shared_golden: Path):
    """A HEST-1k sample, an Aperio slide, a Space Ranger 1 output without its full-resolution image, a HER2+ section."""
    made = fresh(tmp_path_factory.mktemp("real"))
    sheets = {
        "toy": ("slide\tpatient\tlayout", "TOY1\tT\thest"),
        "svs": ("slide\tpatient\tlayout\timage", "CMU1\tC\twsi\tCMU-1-Small-Region.svs"),
        "visium_1": ("slide\tpatient\tlayout", "V1\tV\tvisium"),
    }
    for name, rows in sheets.items():
        (made.folder / f"{name}.tsv").write_text("\n".join(rows) + "\n")
    (made.folder / "visium").mkdir()
    (made.folder / "visium/V1").symlink_to(shared_data / "spaceranger/1.0.0")
    toy_root = str(shared_golden / "histoprism/hest_files")
    hires = {"image": "hires", "drop_uncounted": True}  # the matrix is cut to 100 of the spots
    datasets = {
        "toy": {"sheet": "toy.tsv", "root": toy_root, "options": {"keep": "patches"}},
        "svs": {"sheet": "svs.tsv", "root": str(shared_data / "slides")},
        "visium_1": {"sheet": "visium_1.tsv", "root": "visium", "options": hires},
        "her2st": {
            "sheet": "workflow/sheets/her2st.tsv",
            "root": str(shared_data / "her2st"),
            "only": {"slide": SLIDE_OF["her2st"]},
        },
    }

    def change(config: dict) -> None:
        config |= {"experiments": [], "features": GRIDS, "keep_patches": True, "datasets": datasets}
        config["views"]["hest_small"] = {"width_px": 32, "mpp": 0.5, "edge": "white", "corner": "hest"}
        config["quality"]["on_fail"] = "warn"

    made.configure(change)
    made.snakemake("features")
    assert made.plan() == []
    return made.folder


def spots(folder: Path, dataset: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"results/slides/{dataset}/{SLIDE_OF[dataset]}.spots.parquet")


def record(folder: Path, dataset: str, name: str = "json") -> dict:
    return json.loads((folder / f"results/slides/{dataset}/{SLIDE_OF[dataset]}.{name}").read_text())


def stores(folder: Path, dataset: str) -> tuple[Store, Store]:
    view, slide = VIEW_OF[dataset], SLIDE_OF[dataset]
    features = open_store(folder / f"results/features/{dataset}/{view}/morphology/{slide}", "features")
    return open_store(folder / f"results/patches/{dataset}/{view}/{slide}", "patches"), features


@each
def test_both_stores_hold_the_slides_spots_in_their_order(real, dataset: str) -> None:
    patches, features = stores(real, dataset)
    expected = spots(real, dataset)["spot_id"].tolist()
    assert list(patches.ids("spot_id")) == list(features.ids("spot_id")) == expected
    assert features["features"].shape == (len(expected), encoders.load("morphology").width)
    assert patches.attrs["image_sha256"] == features.attrs["image_sha256"] == record(real, dataset)["image_sha256"]


@each
def test_features_are_those_of_the_kept_patches(real, dataset: str) -> None:
    patches, features = stores(real, dataset)
    some = np.linspace(0, len(patches.ids("spot_id")) - 1, 9).astype(int)
    made = encoders.load("morphology").encode(patches["images"][some])
    np.testing.assert_array_equal(features["features"][some], made)


@each
def test_a_picture_and_numbers_of_the_check_are_there(real, dataset: str) -> None:
    found = record(real, dataset, "quality.json")
    assert found["n_spots"] == len(spots(real, dataset))
    with Image.open(real / f"results/slides/{dataset}/{SLIDE_OF[dataset]}.quality.jpg") as picture:
        assert max(picture.size) > 1000
    warned = (real / f"results/logs/check_slide/{dataset}.{SLIDE_OF[dataset]}.log").read_text().count(" WARNING ")
    assert warned == len(found["reasons"])
    if dataset in TISSUE:
        assert (found["verdict"], found["reasons"]) == ("pass", [])
        assert found["share_on_tissue"] > 0.95
    else:
        assert found["verdict"] == "fail"


def test_a_picture_without_tissue_is_said_to_have_none(real) -> None:
    found = record(real, "visium_1", "quality.json")
    assert (found["n_on_tissue"], found["n_off_tissue"], found["tissue_share"]) == (0, 100, 0)
    assert found["reasons"] == ["0.0% of the spots lie on tissue, at least 50.0% should"]
    assert found["alignment"]["score"] is None


def test_the_hest_sample_gives_the_patches_that_its_release_holds(real, shared_golden: Path) -> None:
    """Joined by barcode; its writer's own interpolation differs by two grey levels at most."""
    with h5py.File(shared_golden / "histoprism/hest_files/patches/TOY1.h5") as file:
        barcodes, images = [text.decode() for text in file["barcode"][:, 0]], file["img"][:]
        corners = pd.DataFrame(file["coords"][:], index=barcodes, columns=["x", "y"])
    table = spots(real, "toy").set_index("spot_id")
    assert len(table) == len(barcodes) == 65
    # 20 level-0 px of 0.8 µm make a patch: its corner lies 10 px left of and above the spot
    centres = table.loc[barcodes, ["x_px", "y_px"]].to_numpy()
    assert np.abs(centres - corners.to_numpy() - 10).max() <= 1
    patches, _ = stores(real, "toy")
    rows = pd.Index(patches.ids("spot_id")).get_indexer(barcodes)
    assert np.abs(patches["images"][rows].astype(int) - images).max() <= 2
    info = record(real, "toy")
    assert (info["mpp"], info["width_px"], info["height_px"]) == (0.8, 1400, 960)


def test_the_aperio_slide_is_a_grid_of_tiles_without_expression(real) -> None:
    info, table = record(real, "svs"), spots(real, "svs")
    assert (info["width_px"], info["height_px"], info["reader"]) == (2220, 2967, "tiff")
    assert info["mpp"] == pytest.approx(0.499, abs=1e-3)
    assert not info["has_expression"]
    assert not (real / "results/expression/svs").exists()
    names = table["grid_col"].astype(str) + "x" + table["grid_row"].astype(str)
    assert table["spot_id"].tolist() == names.tolist()
    steps = np.diff(np.unique(table["x_um"]))
    assert steps == pytest.approx(np.round(steps / 112) * 112, abs=0.5)
    tiles = record(real, "svs", "quality.json")["tiles"]
    assert tiles["kept"] == len(table)
    assert tiles["dropped"] == tiles["cells"] - tiles["kept"]


def test_the_hires_image_is_read_at_its_own_scale_and_says_so(real, shared_data: Path) -> None:
    scale = json.loads((shared_data / "spaceranger/1.0.0/spatial/scalefactors_json.json").read_text())
    info, table = record(real, "visium_1"), spots(real, "visium_1")
    assert (len(table), info["image"]) == (100, "tissue_hires_image.png")
    assert "times coarser" in info["platform"]
    raw = pd.read_csv(
        shared_data / "spaceranger/1.0.0/spatial/tissue_positions_list.csv",
        names=["barcode", "in_tissue", "row", "col", "y", "x"],
        index_col="barcode",
    ).loc[table["spot_id"]]
    full = raw[["x", "y"]].to_numpy() * scale["tissue_hires_scalef"]
    assert np.abs(full - table[["x_px", "y_px"]].to_numpy()).max() < 1e-6
    assert info["mpp"] > 2  # so that 112 µm are few pixels, enlarged


def test_the_her2_section_has_its_published_spots(real, shared_data: Path) -> None:
    counted = pd.read_csv(shared_data / "her2st/data/ST-cnts/C4.tsv.gz", sep="\t", index_col=0, usecols=[0]).index
    table = spots(real, "her2st")
    assert set(table["spot_id"]) <= set(counted)
    assert len(table) > 0.95 * len(counted)
    info = record(real, "her2st")
    assert 0.67 < info["mpp"] < 0.71
    assert info["has_expression"]
