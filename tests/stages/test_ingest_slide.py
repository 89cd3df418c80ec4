import json
import time

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from stainscript.artifacts.files import file_sha256
from stainscript.artifacts.schemas import EXPRESSION_OBSM, EXPRESSION_UNS, SPOT_COLUMNS
from stainscript.datasets import base
from stainscript.errors import DataContractError
from stainscript.stages.ingest_slide import Naming, check_expression, ingest_slide
from stainscript.types import SlideInfo

COUNTS = "\tERBB2\tIGKC\n3x2\t4\t0\n2x2\t0\t0\n2x3\t1\t9\n"
SELECTION = "x\ty\tpixel_x\tpixel_y\n3\t2\t800\t400\n2\t3\t400\t800\n2\t2\t400\t400\n"
ROW = {"slide": "S1", "patient": "P", "layout": "legacy_st", "mpp": "", "platform": ""}


@pytest.fixture
def raw(tmp_path):
    """A legacy ST slide of 1,200 × 1,000 px with spots 400 px apart: 0.5 µm per pixel."""

    def write(*, counts=COUNTS, selection=SELECTION):
        data = tmp_path / "raw" / "S1" / "data"
        for name in ("ST-cnts", "ST-spotfiles", "ST-imgs/S/S1"):
            (data / name).mkdir(parents=True, exist_ok=True)
        (data / "ST-cnts" / "S1.tsv").write_text(counts)
        (data / "ST-spotfiles" / "S1_selection.tsv").write_text(selection)
        rows, columns = np.mgrid[0:1000, 0:1200]
        pixels = np.stack([columns // 5, rows // 4, np.full_like(rows, 90)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(data / "ST-imgs" / "S" / "S1" / "S1.jpg", quality=95)
        return tmp_path / "raw"

    return write


@pytest.fixture
def ingest(tmp_path):
    def run(root, row=ROW, options=None, name="out", naming=None):
        layout, out = base.load(row["layout"]), tmp_path / name
        outputs = {
            "info": out / "S.json",
            "spots": out / "S.spots.parquet",
            "thumbnail": out / "S.thumbnail.jpg",
            "expression": out / "S.h5ad" if base.has_expression(row) else None,
            "genes": out / "S.genes.json" if base.has_expression(row) else None,
        }
        files = layout.files(row, root)
        ingest_slide(dataset="toy", row=row, files=files, options=options or {}, naming=naming, **outputs)
        return outputs

    return run


def test_a_slide_becomes_a_record_spots_a_thumbnail_and_counts(raw, ingest):
    out = ingest(raw())
    info = SlideInfo(**json.loads(out["info"].read_text()))
    assert (info.dataset, info.slide, info.patient, info.platform) == ("toy", "S1", "P", "ST")
    assert (info.width_px, info.height_px, info.reader, info.image) == (1200, 1000, "array", "S1.jpg")
    assert (info.mpp, info.mpp_source, info.spot_diameter_um) == (pytest.approx(0.5), "spot grid", 100.0)
    assert len(info.image_sha256) == 64

    spots = pd.read_parquet(out["spots"])
    assert list(spots.columns) == list(SPOT_COLUMNS)
    assert list(spots["spot_id"]) == ["2x2", "3x2", "2x3"]
    assert spots[["x_um", "y_um"]].to_numpy() == pytest.approx(np.array([[200, 200], [400, 200], [200, 400]]))

    adata = anndata.read_h5ad(out["expression"])
    check_expression(adata, path=out["expression"])
    assert list(adata.obs_names) == list(spots["spot_id"])
    assert adata.X.toarray().tolist() == [[0, 0], [4, 0], [1, 9]]
    assert set(adata.obsm) == set(EXPRESSION_OBSM)
    assert adata.obsm["grid"].tolist() == [[2, 2], [2, 3], [3, 2]]
    np.testing.assert_array_equal(adata.obsm["xy_px"], spots[["x_px", "y_px"]])
    np.testing.assert_array_equal(adata.obsm["xy_um"], spots[["x_um", "y_um"]])
    assert set(adata.uns) == set(EXPRESSION_UNS)
    assert adata.uns["identifier_release"] == "as published"

    with Image.open(out["thumbnail"]) as thumbnail:
        assert (thumbnail.format, thumbnail.mode, thumbnail.size) == ("JPEG", "RGB", (1024, 853))
        red, green, _ = thumbnail.getpixel((512, 426))
    assert red == pytest.approx(600 / 5, abs=6)  # the middle of the slide
    assert green == pytest.approx(500 / 4, abs=6)


def test_the_same_raw_files_give_the_same_bytes(raw, ingest):
    root = raw()
    first = ingest(root, name="first")
    time.sleep(1.1)  # a stamp in whole seconds would show
    second = ingest(root, name="second")
    for name, path in first.items():
        assert file_sha256(path) == file_sha256(second[name]), name


def test_the_sheet_decides_scale_and_platform(raw, ingest):
    out = ingest(raw(), ROW | {"mpp": "0.51", "platform": "ST 1k"})
    info = json.loads(out["info"].read_text())
    assert (info["mpp"], info["mpp_source"], info["platform"]) == (0.51, "sheet", "ST 1k")
    assert pd.read_parquet(out["spots"])["x_um"].tolist() == pytest.approx([204, 408, 204])


def test_a_slide_without_expression_writes_three_files(raw, ingest):
    out = ingest(raw(), ROW | {"has_expression": "false"})
    assert out["expression"] is None
    assert json.loads(out["info"].read_text())["has_expression"] is False
    assert sorted(path.name for path in out["info"].parent.iterdir()) == [
        "S.json",
        "S.spots.parquet",
        "S.thumbnail.jpg",
    ]


def test_an_output_for_counts_that_are_not_there_is_refused(raw, tmp_path):
    row, root = ROW | {"has_expression": "false"}, raw()
    files = base.load("legacy_st").files(row, root)
    outputs = {name: tmp_path / "out" / name for name in ("info", "spots", "thumbnail", "expression")}
    with pytest.raises(DataContractError, match="expression: expected no output for counts"):
        ingest_slide(dataset="toy", row=row, files=files, options={}, **outputs)


def test_a_real_aperio_slide_is_ingested_without_expression(shared_data, ingest):
    row = {"slide": "CMU-1-Small-Region", "patient": "P", "layout": "wsi", "mpp": ""}
    out = ingest(shared_data / "slides", row)
    info = json.loads(out["info"].read_text())
    assert (info["reader"], info["mpp"], info["mpp_source"]) == ("tiff", pytest.approx(0.499), "metadata")
    assert info["has_expression"] is False
    with Image.open(out["thumbnail"]) as thumbnail:
        assert thumbnail.size == (766, 1024)


@pytest.mark.parametrize(("slide", "n_spots"), [("B4", 283), ("C2", 187)])
def test_a_real_section_is_ingested(shared_data, ingest, slide, n_spots):
    row = {"slide": slide, "patient": slide[0], "layout": "her2st", "mpp": ""}
    out = ingest(shared_data / "her2st", row)
    info = json.loads(out["info"].read_text())
    assert info["mpp"] == pytest.approx(0.69, abs=0.001)
    spots = pd.read_parquet(out["spots"])
    assert len(spots) == n_spots == anndata.read_h5ad(out["expression"], backed="r").n_obs
    # spots lie on tissue: darker than glass
    with Image.open(out["thumbnail"]) as thumbnail:
        grey = np.asarray(thumbnail.convert("L"), dtype=float)
    zoom = grey.shape[1] / info["width_px"]
    on_spots = grey[(spots["y_px"] * zoom).astype(int), (spots["x_px"] * zoom).astype(int)]
    assert np.median(on_spots) < np.median(grey) - 40


def test_spots_outside_the_slide_are_refused(raw, ingest):
    root = raw(selection=SELECTION.replace("800\t400", "1200.5\t400"))
    with pytest.raises(DataContractError) as error:
        ingest(root)
    for part in (
        "S1_selection.tsv: spot positions",
        "inside 0..1200 × 0..1000 px, the size of S1.jpg",
        "1 of 3 outside",
    ):
        assert part in str(error.value)
    assert "first: 3x2 at 1200.5, 400" in error.value.found
    assert "full-resolution" in error.value.remedy


def image_of(root):
    return root / "S1/data/ST-imgs/S/S1/S1.jpg"


def test_an_empty_jpeg_is_refused(raw, ingest):
    root = raw()
    image_of(root).write_bytes(b"")
    with pytest.raises(DataContractError, match=r"S1\.jpg: image: expected an image; found an empty file \(0 bytes\)"):
        ingest(root)


def test_an_image_that_went_away_is_named(raw, ingest):
    root = raw()
    image_of(root).unlink()
    with pytest.raises(DataContractError, match="image of slide S1: expected a file; found no path"):
        ingest(root)


def test_a_truncated_jpeg_is_refused(raw, ingest):
    root = raw()
    image_of(root).write_bytes(image_of(root).read_bytes()[:-5000])
    with pytest.raises(DataContractError, match=r"S1\.jpg: pixels: .*truncated"):
        ingest(root)


def test_a_truncated_tiff_is_refused(raw, ingest, tmp_path):
    root = raw()
    image_of(root).unlink()
    path = image_of(root).with_suffix(".tif")
    tifffile.imwrite(path, np.full((1000, 1200, 3), 180, np.uint8), tile=(128, 128), photometric="rgb")
    ingest(root)
    path.write_bytes(path.read_bytes()[:-10_000])
    with pytest.raises(DataContractError, match=r"S1\.tif: level 0: expected 3,.* bytes, where its last tile ends"):
        ingest(root, name="second")


def test_an_undecodable_image_is_refused(raw, ingest):
    root = raw()
    image_of(root).write_bytes(b"this is no picture")
    with pytest.raises(DataContractError, match=r"S1\.jpg: image: .* found a file that starts with b'this'"):
        ingest(root)


def test_a_slide_without_any_scale_is_refused(raw, ingest):
    root = raw(counts="\tA\n2x2\t1\n", selection="x\ty\tpixel_x\tpixel_y\n2\t2\t400\t400\n")
    with pytest.raises(DataContractError, match=r"S1\.jpg: mpp: .*Remedy: fill the sheet's column mpp for slide S1"):
        ingest(root)


def test_a_sheet_that_contradicts_the_metadata_is_refused(raw, ingest):
    root = raw()
    image_of(root).unlink()
    path = image_of(root).with_suffix(".tif")
    options = {"photometric": "rgb", "resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, np.full((1000, 1200, 3), 180, np.uint8), tile=(128, 128), **options)
    with pytest.raises(DataContractError, match=r"S1\.tif: mpp: expected 0\.5 µm per pixel.*found 0\.25 in the sheet"):
        ingest(root, ROW | {"mpp": "0.25"})
    info = json.loads(ingest(root)["info"].read_text())
    assert (info["mpp"], info["mpp_source"]) == (0.5, "metadata")


def test_a_refused_slide_writes_nothing_and_leaves_what_was_there(raw, ingest):
    out = ingest(raw())
    before = {name: file_sha256(path) for name, path in out.items()}
    for fault in ({"counts": COUNTS.replace("9", "-9")}, {"selection": SELECTION.replace("800\t400", "9999\t400")}):
        with pytest.raises(DataContractError):
            ingest(raw(**fault))
        assert {name: file_sha256(path) for name, path in out.items()} == before
        assert len(list(out["info"].parent.iterdir())) == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda a: setattr(a, "X", a.X.astype(np.float32)), "X"),
        (lambda a: a.var.pop("symbol"), "var"),
        (lambda a: a.obsm.pop("grid"), "obsm"),
        (lambda a: a.uns.pop("platform"), "uns"),
        (lambda a: setattr(a, "obs_names", ["2x2", "2x2", "2x3"]), "obs_names"),
    ],
)
def test_the_schema_of_expression_is_checked(raw, ingest, change, field):
    adata = anndata.read_h5ad(ingest(raw())["expression"])
    change(adata)
    with pytest.raises(DataContractError, match=f"x.h5ad: {field}: expected"):
        check_expression(adata, path="x.h5ad")


def test_genes_keep_their_published_names_and_the_report_says_what_they_are_now(raw, ingest):
    counts = "\tERBB2\tATP5B\tNOGENE\n3x2\t4\t0\t1\n2x2\t0\t0\t0\n2x3\t1\t9\t2\n"
    out = ingest(raw(counts=counts))
    assert list(anndata.read_h5ad(out["expression"]).var_names) == ["ERBB2", "ATP5B", "NOGENE"]
    report = json.loads(out["genes"].read_text())
    assert (report["applied"], report["by_previous"], report["unmapped"]) == (False, {"ATP5B": "ATP5F1B"}, ["NOGENE"])


def test_under_current_names_columns_of_one_gene_are_added_up(raw, ingest):
    counts = "\tATP5F1B\tERBB2\tATP5B\n3x2\t4\t0\t1\n2x2\t0\t0\t0\n2x3\t1\t9\t2\n"
    out = ingest(raw(counts=counts), naming=Naming(names="symbol"))
    adata = anndata.read_h5ad(out["expression"])
    assert list(adata.var_names) == ["ATP5F1B", "ERBB2"]
    assert adata.X.toarray().tolist() == [[0, 0], [5, 0], [3, 9]]  # in the order of the spots: 2x2, 3x2, 2x3
    assert adata.var.loc["ATP5F1B", "published"] == "ATP5F1B|ATP5B"
    assert adata.uns["identifier_release"].startswith("built in")
    assert json.loads(out["genes"].read_text())["merged"] == {"ATP5F1B": ["ATP5F1B", "ATP5B"]}
    first = ingest(raw(counts=counts), naming=Naming(names="ensembl", merge="first"), name="first")
    adata = anndata.read_h5ad(first["expression"])
    assert list(adata.var_names) == ["ENSG00000110955", "ENSG00000141736"]
    assert adata.X.toarray().tolist() == [[0, 0], [4, 0], [1, 9]]
