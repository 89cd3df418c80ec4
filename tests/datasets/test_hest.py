import json
import logging
import shutil

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from shapely.geometry import Polygon

from stainscript.datasets import base, contours, hest, hest_counts, hest_files, hest_grid, hest_release
from stainscript.errors import DataContractError
from stainscript.slides.open import open_slide

ROW = {"slide": "S1", "patient": "P", "layout": "hest", "hest_id": "T1"}
SPOTS = ["A-1", "B-1", "C-1", "D-1"]
ARRAY = [[1, 1], [0, 0], [0, 2], [1, 3]]  # file order is not grid order; neighbours are two columns apart
CENTRES = [[150.0, 187.0], [100.0, 100.0], [200.0, 100.0], [250.0, 187.0]]  # 100 px a pitch: 1 µm per pixel
COUNTS = np.array([[1, 0, 5, 2], [0, 3, 0, 0], [4, 0, 0, 7], [0, 1, 0, 0]])
GENES = ["EGFR", "MYC", "BLANK_0001", "EGFR"]
METADATA = {"pixel_size_um_estimated": 1.0, "inter_spot_dist": 100.0, "spot_diameter": 55.0, "st_technology": "Visium"}


@pytest.fixture
def write_hest(tmp_path):
    def write(
        *,
        values=COUNTS,
        spots=SPOTS,
        genes=GENES,
        centres=CENTRES,
        array=ARRAY,
        metadata=METADATA,
        picture=True,
        form=None,
    ):
        for name in ("st", "wsis", "metadata"):
            (tmp_path / name).mkdir(exist_ok=True)
        obs = pd.DataFrame(index=pd.Index(spots, dtype=str))
        if array is not None:
            obs["array_row"], obs["array_col"] = np.asarray(array).T
        matrix = sparse.csr_matrix(values).astype(np.asarray(values).dtype) if form is None else form(values)
        adata = anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=str)))
        adata.obsm["spatial"] = np.asarray(centres, np.float64)
        if picture:
            adata.uns["spatial"] = {"ST": {"images": {"downscaled_fullres": np.zeros((4, 5, 3), np.uint8)}}}
        adata.write_h5ad(tmp_path / "st" / "T1.h5ad")
        (tmp_path / "metadata" / "T1.json").write_text(metadata if isinstance(metadata, str) else json.dumps(metadata))
        (tmp_path / "wsis" / "T1.tif").write_bytes(b"II*\0")
        return tmp_path

    return write


def read(root, **options):
    return hest.read(ROW, hest.files(ROW, root), options)


def golden_row(golden):
    row = {"slide": "TOY1", "patient": "P", "layout": "hest"}
    return row, hest.files(row, golden)


@pytest.fixture
def golden(shared_golden):
    return shared_golden / "histoprism" / "hest_files"


def test_spots_come_in_grid_order_with_centres_in_x_and_y_and_their_own_counts(write_hest):
    raw = read(write_hest())
    assert list(raw.spots["spot_id"]) == ["B-1", "C-1", "A-1", "D-1"] == list(raw.adata.obs_names)
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[0, 0], [0, 2], [1, 1], [1, 3]]
    assert raw.spots[["x_px", "y_px"]].to_numpy().tolist() == [[100, 100], [200, 100], [150, 187], [250, 187]]
    assert raw.adata.X.toarray().tolist() == [[0, 3], [11, 0], [3, 0], [0, 1]]  # EGFR = its two columns added up
    assert list(raw.adata.var_names) == ["EGFR", "MYC"] == list(raw.adata.var["symbol"])
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")
    assert (raw.platform, raw.spot_diameter_um, raw.grid_mpp) == ("Visium", 55.0, 1.0)


def test_control_features_and_repeated_symbols_are_counted_in_the_log(write_hest, caplog):
    with caplog.at_level(logging.INFO):
        read(write_hest())
    assert "1 control features of 4 left out (first: BLANK_0001)" in caplog.text
    assert "1 columns repeat a gene name" in caplog.text


@pytest.mark.parametrize("name", ["NegControlProbe_00042", "antisense_SCRIB", "UnassignedCodeword_0001", "BLANK_0069"])
def test_each_kind_of_control_feature_goes_and_a_gene_that_resembles_it_stays(write_hest, name):
    raw = read(write_hest(genes=["BLANK1L", "MYC", name, "NEGR1"]))
    assert list(raw.adata.var_names) == ["BLANK1L", "MYC", "NEGR1"]


def test_a_gene_without_any_count_stays(write_hest):
    raw = read(write_hest(values=COUNTS * [1, 0, 1, 1]))  # whoever scores it must meet the constant gene
    assert list(raw.adata.var_names) == ["EGFR", "MYC"]
    assert raw.adata[:, "MYC"].X.sum() == 0


@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_counts_of_every_kind_and_form_come_out_equal(write_hest, form, dtype):
    raw = read(write_hest(form=lambda values: form(values.astype(dtype))))
    assert raw.adata.X.toarray().tolist() == [[0, 3], [11, 0], [3, 0], [0, 1]]
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")


def test_versions_of_an_ensembl_id_are_one_gene(write_hest):
    raw = read(write_hest(genes=["ENSG00000000001.2", "MYC", "X", "ENSG00000000001.3"]))
    assert list(raw.adata.var_names) == ["ENSG00000000001", "MYC", "X"]
    assert raw.adata["C-1"].X.toarray().tolist() == [[11, 0, 0]]


def test_the_stated_pixel_size_names_its_file_and_the_tiff_never_wins(golden):
    row, files = golden_row(golden)
    raw = hest.read(row, files, {})
    assert (raw.stated_mpp, raw.stated_in) == (0.8, golden / "metadata" / "TOY1.json")
    with open_slide(files["image"]) as slide:
        assert slide.mpp == pytest.approx(0.08, rel=1e-3)  # why the tag must not be asked


def test_the_golden_sample_reads_whole(golden):
    row, files = golden_row(golden)
    assert set(files) == {"counts", "metadata", "image", "patches", "tissue"} == set(hest.expected_files(row, golden))
    assert hest.missing(row, golden) is None
    raw = hest.read(row, files, {})
    stored = anndata.read_h5ad(files["counts"])
    controls = {name for name in stored.var_names if not name.startswith("G")}
    assert len(controls) == 2
    genes = [name for name in stored.var_names if name not in controls]
    assert (stored.shape, raw.adata.shape) == ((80, 520), (80, len(genes)))
    found = raw.adata[stored.obs_names, genes].X.toarray()
    assert (found == stored[:, genes].X.toarray()).all()
    first = raw.spots.set_index("spot_id").loc["AAAAACGTACGTACGT-1"]
    assert (first["x_px"], first["y_px"], first["grid_row"], first["grid_col"]) == (40.3, 45.7, 0, 0)


def test_the_toy_spot_grid_gives_0_8_um_per_pixel_over_a_span_of_nine(golden):
    counts = hest_counts.read_h5ad(golden / "st" / "TOY1.h5ad")
    mpp, span = hest_grid.row_mpp(counts.array, counts.centres_px, pitch_um=100.0)
    expected = json.loads((golden / "expected.json").read_text())["pixel_size_estimate"]
    assert [mpp, span] == pytest.approx(expected) == [0.8, 9.0]


@pytest.mark.parametrize("keep", ["tissue", "patches"])
def test_the_golden_mask_keeps_exactly_the_barcodes_with_a_patch(golden, keep):
    row, files = golden_row(golden)
    raw = hest.read(row, files, {"keep": keep, "field_um": 16.0})  # 32 px of 0.5 µm
    expected = json.loads((golden / "expected.json").read_text())
    assert len(raw.spots) == 65
    assert set(raw.spots["spot_id"]) == set(expected["kept_barcodes"])


def test_golden_corners_follow_from_the_centres(golden):
    counts = hest_counts.read_h5ad(golden / "st" / "TOY1.h5ad")
    corners = contours.patch_corners(counts.centres_px, side_px=20.0)
    with hest_files.PatchFile(golden / "patches" / "TOY1_nomask.h5") as patches:
        place = counts.adata.obs_names.get_indexer(patches.barcodes)
        assert (corners[place] == patches.coords).all()
    assert corners[0].tolist() == [30, 35]


def test_a_sample_without_tissue_seg_loads_and_keeps_every_spot(golden, tmp_path, caplog):
    root = tmp_path / "copy"
    shutil.copytree(golden, root, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("tissue_seg"))
    row, files = golden_row(root)
    assert "tissue" not in files
    assert hest.missing(row, root) is None
    assert len(hest.read(row, files, {}).spots) == 80
    assert len(hest.read(row, files, {"keep": "tissue"}).spots) == 80
    assert "no outlines of tissue in tissue_seg/: every spot stays" in caplog.text


def test_a_missing_picture_is_a_warning_and_fewer_than_500_features_are_none(write_hest, caplog):
    assert read(write_hest(picture=False)).adata.n_vars == 2
    assert [r.levelname for r in caplog.records if "downscaled_fullres" in r.getMessage()] == ["WARNING"]


def test_array_columns_that_are_no_grid_give_way_to_the_pixels(write_hest, caplog):
    # pooled Visium HD: bins of 128 µm, numbered anew after the empty ones had gone
    centres = [[64, 64], [320, 64], [64, 192], [192, 320]]
    metadata = METADATA | {"st_technology": "Visium HD", "inter_spot_dist": 2, "spot_diameter": 2}
    with caplog.at_level(logging.INFO):
        raw = read(write_hest(centres=centres, array=[[0, 0], [0, 1], [1, 0], [1, 1]], metadata=metadata))
    assert "are no grid of the pixels" in caplog.text
    assert dict(zip(raw.spots["spot_id"], raw.spots[["grid_row", "grid_col"]].to_numpy().tolist(), strict=True)) == {
        "A-1": [0, 0],
        "B-1": [0, 2],
        "C-1": [1, 0],
        "D-1": [2, 1],
    }
    assert (raw.platform, raw.spot_diameter_um) == ("Visium HD", 128.0)
    assert raw.grid_mpp is None  # a lattice with gaps does not tell its pitch


def test_a_sample_without_array_columns_is_placed_by_its_pixels(write_hest):
    raw = read(write_hest(array=None, centres=[[110, 200], [10, 100], [110, 100], [10, 200]]))
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert list(raw.spots["spot_id"]) == ["B-1", "C-1", "D-1", "A-1"]
    assert raw.grid_mpp is None


def test_a_staggered_array_without_its_columns_still_gives_every_spot_a_place_of_its_own():
    row, column = np.divmod(np.arange(30), 6)
    centres = np.stack([column * 100.0 + row % 2 * 50, row * 86.6], axis=1)
    grid = hest_grid.from_pixels(centres)
    assert len(np.unique(grid, axis=0)) == 30
    assert hest_grid.from_pixels(np.array([[5.0, 6.0]])).tolist() == [[0, 0]]
    assert hest_grid.row_mpp(np.array([[0.0, 0.0]]), np.array([[5.0, 6.0]]), pitch_um=100.0) is None


def test_nan_literals_in_the_metadata_become_null(write_hest):
    root = write_hest(
        metadata='{"pixel_size_um_estimated": 0.5, "pixel_size_um_embedded": NaN, "magnification": "20x"}'
    )
    assert hest_release.read_metadata(root / "metadata/T1.json") == {
        "pixel_size_um_estimated": 0.5,
        "pixel_size_um_embedded": None,
        "magnification": "20x",
    }
    assert read(root).stated_mpp == 0.5


def test_spots_beyond_the_image_are_an_error_or_on_request_left_out(write_hest):
    root = write_hest(metadata=METADATA | {"fullres_px_width": 200, "fullres_px_height": 400})
    with pytest.raises(DataContractError, match=r"T1\.h5ad: obsm.*0\.\.200 × 0\.\.400 px.*1 of 4 outside .*250, 187"):
        read(root)
    assert list(read(root, drop_outside=True).spots["spot_id"]) == ["B-1", "C-1", "A-1"]


def test_a_slide_declared_without_expression_has_spots_only(write_hest):
    row = ROW | {"has_expression": "false"}
    raw = hest.read(row, hest.files(row, write_hest()), {})
    assert raw.adata is None
    assert len(raw.spots) == 4


def test_what_is_missing_is_said(write_hest, tmp_path):
    assert hest.missing(ROW, None) == base.NO_ROOT
    assert hest.missing(ROW, tmp_path) == "no counts at st/T1.h5ad"
    root = write_hest()
    assert hest.missing(ROW, root) is None
    (root / "metadata/T1.json").unlink()
    assert hest.missing(ROW, root) == "no metadata at metadata/T1.json"
    with pytest.raises(DataContractError, match="metadata of slide S1: expected a file"):
        read(root)
    (root / "wsis/T1.tif").unlink()
    (root / "metadata/T1.json").write_text("{}")
    assert hest.missing(ROW, root) == "no image at wsis/T1.tif"
    assert hest.missing(ROW | {"hest_id": ""}, root) == "no counts at st/S1.h5ad"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"metadata": "{}"}, ["T1.json", "pixel_size_um_estimated", "found no such key", "not used"]),
        ({"metadata": '{"pixel_size_um_estimated": NaN}'}, ["T1.json", "pixel_size_um_estimated", "found None"]),
        ({"metadata": '{"pixel_size_um_estimated": 0}'}, ["T1.json", "found 0"]),
        ({"metadata": '{"pixel_size_um_est'}, ["T1.json", "expected a JSON object"]),
        ({"metadata": "[1]"}, ["T1.json", "a JSON object; found list"]),
        ({"values": COUNTS * 0.5}, ["T1.h5ad", "counts of spot A-1, gene EGFR", "a fraction (0.5"]),
        ({"values": COUNTS - 1}, ["T1.h5ad", "counts of spot A-1, gene MYC", "a negative number (-1"]),
        ({"values": COUNTS * [1, 1, 1, -1]}, ["T1.h5ad", "gene EGFR#2", "a negative number (-2"]),
        ({"values": COUNTS * 0}, ["T1.h5ad", "a matrix with counts", "no count above zero"]),
        ({"spots": ["A-1", "B-1", "A-1", "D-1"]}, ["T1.h5ad", "barcodes", "'A-1' more than once"]),
        ({"centres": [[np.nan, 1], *CENTRES[1:]]}, ["T1.h5ad", "obsm['spatial']", "1 spot(s) (first: A-1)"]),
        ({"centres": [[1, 2, 3]] * 4}, ["T1.h5ad", "obsm['spatial']", "(4, 2)", "(4, 3)"]),
    ],
)
def test_bad_files_name_file_field_and_fault(write_hest, changes, parts):
    root = write_hest(**changes)
    with pytest.raises(DataContractError) as caught:
        read(root)
    for part in (*parts, "Remedy:"):
        assert part in str(caught.value)


def test_a_truncated_an_empty_and_an_incomplete_h5ad_are_each_one_error(write_hest):
    path = write_hest() / "st" / "T1.h5ad"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b""):
        path.write_bytes(content)
        with pytest.raises(DataContractError, match=r"T1\.h5ad: h5ad: expected .*obsm.*Remedy: download"):
            read(path.parents[1])
    path.write_bytes(whole)
    with h5py.File(path, "a") as file:
        del file["obsm/spatial"]
    with pytest.raises(DataContractError, match=r"T1\.h5ad: h5ad: .*spatial"):
        read(path.parents[1])


def test_unknown_options_are_refused_by_name(write_hest):
    root = write_hest()
    with pytest.raises(DataContractError, match="did you mean 'patches'"):
        read(root, keep="patch")
    with pytest.raises(DataContractError, match="did you mean 'keep'"):
        read(root, kep="all")


def test_patches_of_another_slide_are_refused_and_no_spot_left_is_an_error(write_hest):
    root = write_hest()
    path = root / "patches" / "T1.h5"
    hest_files.write_patches(path, barcodes=["C-1", "Z-1"], coords=np.zeros((2, 2)))
    with pytest.raises(DataContractError, match=r"T1\.h5: barcode: expected only spots of .*1 of 2 .*first: Z-1"):
        read(root, keep="patches")
    hest_files.write_patches(path, barcodes=["D-1", "B-1"], coords=np.zeros((2, 2)))
    assert list(read(root, keep="patches").spots["spot_id"]) == ["B-1", "D-1"]
    far = contours.Contour(tissue_id=0, polygon=Polygon([(900, 900), (990, 900), (990, 990)]))
    contours.write_contours(root / "tissue_seg" / "T1_contours.geojson", [far])
    with pytest.raises(DataContractError, match=r"spots: expected at least one that stays \(keep: tissue\)"):
        read(root, keep="tissue")


def test_pickled_outlines_are_refused_only_where_they_are_needed(write_hest):
    root = write_hest()
    (root / "tissue_seg").mkdir()
    (root / "tissue_seg" / "T1_mask.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert len(read(root).spots) == 4
    with pytest.raises(DataContractError, match=r"T1_mask\.pkl: format: .*a pickle.*Remedy: download tissue_seg/"):
        read(root, keep="tissue")


def test_counts_written_and_read_again_are_equal(write_hest, tmp_path):
    first = hest_counts.read_h5ad(write_hest() / "st" / "T1.h5ad")
    hest_counts.write_h5ad(tmp_path / "again.h5ad", first)
    second = hest_counts.read_h5ad(tmp_path / "again.h5ad")
    assert (first.adata.X != second.adata.X).nnz == 0
    assert list(first.adata.obs_names) == list(second.adata.obs_names)
    assert list(first.adata.var_names) == list(second.adata.var_names)
    assert (first.centres_px == second.centres_px).all()
    assert (first.array == second.array).all()
