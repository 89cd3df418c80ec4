import logging

import numpy as np
import pandas as pd
import pytest

from stainscript.datasets import spaceranger, visium
from stainscript.errors import DataContractError

ROW = {"slide": "V1", "patient": "P", "layout": "visium"}
HEADER = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n"


def read(root, options=None):
    return visium.read(ROW, visium.files(ROW, root), options or {})


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("matrix", ["h5", "h5v2", "mtx", "mtx.gz"])
@pytest.mark.parametrize("outs", [True, False])
def test_every_version_of_the_output_gives_the_same_slide(write_visium, version, matrix, outs):
    raw = read(write_visium(version=version, matrix=matrix, outs=outs))
    assert list(raw.spots["spot_id"]) == ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1"] == list(raw.adata.obs_names)
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[0, 0], [0, 2], [1, 1], [1, 3]]
    assert raw.spots["x_px"].tolist() == [100, 300, 200, 400]
    assert raw.spots["y_px"].tolist() == pytest.approx([300, 300, 473.205, 473.205])
    assert raw.adata.X.toarray().tolist() == [[5, 0, 1], [0, 2, 0], [0, 0, 0], [7, 0, 3]]
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")
    assert list(raw.adata.var_names) == ["ENSG00000141736", "ENSG00000211592", "ENSG00000026025"]
    assert list(raw.adata.var["symbol"]) == ["ERBB2", "IGKC", "VIM"]
    assert raw.grid_mpp == pytest.approx(0.5, rel=1e-5)
    assert (raw.platform, raw.spot_diameter_um) == ("Visium", 55.0)


def test_paths_settled_before_the_files_were_there_find_version_1_as_well(write_visium):
    root = write_visium(version=1)
    (root / "V1/outs/he.png").rename(root / "V1/outs/V1.tif")
    raw = visium.read(ROW, visium.expected_files(ROW, root), {})
    assert len(raw.spots) == 4


@pytest.mark.parametrize("name", ["filtered_feature_bc_matrix.h5", "spatial/tissue_positions.csv"])
def test_a_raw_file_that_went_away_is_named(write_visium, name):
    root = write_visium()
    files = visium.files(ROW, root)
    (root / "V1" / "outs" / name).unlink()
    with pytest.raises(DataContractError, match=f"{name}: .* of slide V1: expected a file; found no such file"):
        visium.read(ROW, files, {})


def turned(degrees, mirrored):
    rows, columns = np.divmod(np.arange(40), 5)
    columns = 2 * columns + rows % 2
    um = np.column_stack([columns * 50.0, rows * 50 * np.sqrt(3)])
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pixels = um @ turn * (-1 if mirrored else 1, 1) / 0.36 + 7000
    return rows, columns, pixels


@pytest.mark.parametrize("degrees", [0, 90, 33])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_or_mirrored_image_has_the_same_scale(degrees, mirrored):
    rows, columns, pixels = turned(degrees, mirrored)
    frame = pd.DataFrame(
        {
            "array_row": rows,
            "array_col": columns,
            "pxl_col_in_fullres": pixels[:, 0],
            "pxl_row_in_fullres": pixels[:, 1],
        }
    )
    assert spaceranger.grid_mpp(frame, pitch_um=100.0) == pytest.approx(0.36)


def test_positions_on_one_line_fall_back_to_the_spot_diameter(write_visium):
    positions = HEADER + "AAAC-1,1,0,0,300,100\nCCCG-1,1,0,2,300,300\nGGGT-1,1,0,4,300,500\nTTTA-1,1,0,6,300,700\n"
    assert read(write_visium(positions=positions)).grid_mpp == pytest.approx(55 / 110)


def test_other_feature_types_are_left_out(write_visium, caplog):
    kinds = ["Gene Expression", "Antibody Capture", "Gene Expression"]
    with caplog.at_level(logging.INFO):
        raw = read(write_visium(kinds=kinds))
    assert list(raw.adata.var["symbol"]) == ["ERBB2", "VIM"]
    assert "1 features of other types than genes left out" in caplog.text


def test_a_raw_matrix_keeps_only_the_tissue(write_visium):
    barcodes = ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1", "OFF1-1"]
    counts = [[5, 0, 1], [0, 2, 0], [0, 0, 0], [7, 0, 3], [1, 1, 1]]
    assert "OFF1-1" not in read(write_visium(barcodes=barcodes, counts=counts)).adata.obs_names


def test_one_symbol_for_two_ids_is_fine_and_one_id_twice_is_not(write_visium):
    genes = [("ENSG00000000001", "TBCE"), ("ENSG00000000002", "TBCE"), ("ENSG00000000003", "VIM")]
    assert list(read(write_visium(genes=genes)).adata.var["symbol"]) == ["TBCE", "TBCE", "VIM"]
    genes[1] = ("ENSG00000000001.2", "OTHER")
    with pytest.raises(DataContractError, match=r"gene names: .*'ENSG00000000001' more than once"):
        read(write_visium(genes=genes))


def test_a_symbol_twice_is_an_error_when_there_are_only_symbols(write_visium):
    root = write_visium(matrix="mtx")
    (root / "V1/outs/filtered_feature_bc_matrix/features.tsv").write_text("TBCE\nTBCE\nVIM\n")
    with pytest.raises(DataContractError, match=r"gene names: .*'TBCE' more than once"):
        read(root)


def test_an_absent_symbol_is_replaced_by_the_id(write_visium):
    genes = [("ENSG00000000001", ""), ("ENSG00000000002", "B"), ("ENSG00000000003", "C")]
    assert list(read(write_visium(genes=genes)).adata.var["symbol"]) == ["ENSG00000000001", "B", "C"]


@pytest.mark.parametrize("matrix", ["h5", "mtx"])
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"counts": [[5, 0, 1], [0, -2, 0], [0, 0, 0], [7, 0, 3]]}, ["spot CCCG-1, gene ENSG00000211592", "negative"]),
        ({"counts": [[5, 0, 1.5], [0, 2, 0], [0, 0, 0], [7, 0, 3]]}, ["spot AAAC-1, gene ENSG00000026025", "fraction"]),
        ({"counts": [[5, 0, np.nan], [0, 2, 0], [0, 0, 0], [7, 0, 3]]}, ["spot AAAC-1, gene ENSG00000026025", "NaN"]),
        ({"counts": np.zeros((4, 3), int)}, ["counts:", "an empty matrix (4 spots × 3 genes, no count above zero)"]),
        ({"barcodes": ["AAAC-1", "AAAC-1", "GGGT-1", "TTTA-1"]}, ["barcodes", "'AAAC-1' more than once"]),
        ({"barcodes": ["AAAC-1", "GGGT-1", "TTTA-1"]}, ["counts", "3 spots × 3 genes", "4 × 3", "one export"]),
    ],
)
def test_faulty_matrices_are_refused(write_visium, matrix, change, parts):
    root = write_visium(matrix=matrix, **change)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in [str(root / "V1/outs/filtered_feature_bc_matrix"), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_an_h5_without_spots_is_an_empty_matrix(write_visium):
    root = write_visium(counts=np.zeros((0, 3), int), barcodes=[])
    with pytest.raises(DataContractError, match=r"an empty matrix \(0 spots × 3 genes"):
        read(root)


@pytest.mark.parametrize("keep", [0, 200, 3000])
def test_a_truncated_h5_is_refused(write_visium, keep):
    root = write_visium()
    path = root / "V1/outs/filtered_feature_bc_matrix.h5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataContractError, match=r"matrix\.h5: matrix: expected a complete 10x matrix"):
        read(root)


def test_a_truncated_mtx_is_refused(write_visium):
    root = write_visium(matrix="mtx.gz")
    path = root / "V1/outs/filtered_feature_bc_matrix/matrix.mtx.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataContractError, match=r"matrix\.mtx\.gz: matrix: expected a complete 10x matrix"):
        read(root)


def test_barcodes_that_match_no_count_are_refused_or_dropped_on_request(write_visium, caplog):
    barcodes, counts = ["AAAC-1", "CCCG-1", "GGGT-1"], [[5, 0, 1], [0, 2, 0], [1, 0, 0]]
    root = write_visium(barcodes=barcodes, counts=counts)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in ("tissue_positions.csv: barcodes", "1 of 4 in-tissue barcodes that match no count (first: TTTA-1)"):
        assert part in str(error.value)
    assert "drop_uncounted" in error.value.remedy
    with caplog.at_level(logging.INFO):
        raw = read(root, {"drop_uncounted": True})
    assert list(raw.spots["spot_id"]) == barcodes
    assert "1 of 4 in-tissue barcodes have no counts and are left out" in caplog.text


@pytest.mark.parametrize("options", [{}, {"drop_uncounted": True}])
def test_barcodes_of_another_slide_are_refused(write_visium, options):
    root = write_visium(barcodes=["SSSS-1", "YYYY-1", "ZZZZ-1", "WWWW-1"])
    with pytest.raises(DataContractError, match="4 of 4 barcodes of the matrix without a position"):
        read(root, options)


def test_tissue_without_a_single_count_is_refused_even_on_request(write_visium):
    positions = HEADER + "AAAC-1,0,0,0,300,100\nCCCG-1,0,0,2,300,300\nGGGT-1,0,1,1,473,200\nTTTA-1,0,1,3,473,400\n"
    with pytest.raises(DataContractError, match="1 of 1 in-tissue barcodes that match no count"):
        read(write_visium(positions=positions + "LONE-1,1,0,4,300,500\n"), {"drop_uncounted": True})


@pytest.mark.parametrize(
    ("positions", "parts"),
    [
        (HEADER + "AAAC-1,1,0,0,300,100\nAAAC-1,1,0,2,300,300\n", ["barcodes", "'AAAC-1' more than once"]),
        (HEADER + "AAAC-1,1,0,0,300,\n", ["rows", "a barcode and five numbers", "AAAC-1,1,0,0,300"]),
        (HEADER + "AAAC-1,0,0,0,300,100\n", ["in_tissue", "at least one spot in tissue"]),
        ("barcode,in_tissue,row,col,y,x\nAAAC-1,1,0,0,300,100\n", ["columns", "pxl_row_in_fullres"]),
        ("", ["rows", "a complete table"]),
        ("AAAC-1,1,0,0\n", ["columns", "pxl_row_in_fullres"]),
    ],
)
def test_faulty_positions_are_refused(write_visium, positions, parts):
    root = write_visium(positions=positions)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in [str(root / "V1/outs/spatial/tissue_positions.csv"), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_faulty_scale_factors_are_refused(tmp_path):
    path = tmp_path / "scalefactors_json.json"
    for text in ("{", "[]", '{"tissue_hires_scalef": 0.1}'):
        path.write_text(text)
        with pytest.raises(DataContractError, match=r"scalefactors_json\.json: spot_diameter_fullres"):
            spaceranger.diameter_mpp(path, diameter_um=55.0)


def test_the_image_is_the_only_one_beside_the_output_or_named(write_visium):
    root = write_visium()
    outs = root / "V1" / "outs"
    assert visium.files(ROW, root)["image"] == outs / "he.png"
    (outs / "other.tif").write_bytes(b"x")
    assert "name it in the sheet's column image" in visium.missing(ROW, root)
    named = ROW | {"image": "outs/he.png"}
    assert visium.missing(named, root) is None
    assert visium.files(named, root)["image"] == outs / "he.png"
    assert visium.missing(ROW | {"image": "gone.tif"}, root) == "no image at gone.tif"
    (outs / "other.tif").unlink()
    (outs / "he.png").rename(root / "V1" / "he.png")
    assert visium.files(ROW, root)["image"] == root / "V1" / "he.png"
    (root / "V1" / "he.png").rename(root / "he.png")  # beside other slides' folders: only its own name will do
    assert "image" not in visium.files(ROW, root)
    (root / "he.png").rename(root / "V1.png")
    assert visium.files(ROW, root)["image"] == root / "V1.png"


def test_what_is_missing_is_said(write_visium):
    root = write_visium(matrix="mtx", image=False)
    assert visium.missing(ROW, root) == (
        "no full-resolution image, or several, under V1/outs: name it in the sheet's column image"
    )
    (root / "V1/outs/spatial/tissue_positions.csv").unlink()
    assert visium.missing(ROW, root).startswith("no tissue_positions.csv and no tissue_positions_list.csv")
    (root / "V1/outs/filtered_feature_bc_matrix/barcodes.tsv").unlink()
    assert visium.missing(ROW, root) == "no barcodes.tsv.gz beside V1/outs/filtered_feature_bc_matrix/matrix.mtx"
    (root / "V1/outs/filtered_feature_bc_matrix/matrix.mtx").unlink()
    assert visium.missing(ROW, root).startswith("no filtered_feature_bc_matrix.h5")


def test_a_slide_declared_without_expression_needs_no_matrix(write_visium):
    root, row = write_visium(), ROW | {"has_expression": "false"}
    (root / "V1/outs/filtered_feature_bc_matrix.h5").unlink()
    assert visium.missing(row, root) is None
    raw = visium.read(row, visium.files(row, root), {})
    assert raw.adata is None
    assert len(raw.spots) == 4


def test_a_real_output_of_version_1_is_parsed(shared_data):
    folder = shared_data / "spaceranger" / "1.0.0"
    adata = spaceranger.read_matrix({"matrix": folder / "filtered_feature_bc_matrix.h5"})
    assert adata.shape == (100, 100)
    assert (adata.X.format, adata.X.dtype) == ("csr", np.int32)
    assert adata.X.nnz == 656
    assert adata.var_names[0] == "ENSG00000243485"
    positions = spaceranger.read_positions(folder / "spatial" / "tissue_positions_list.csv")
    assert len(positions) == 4992
    first = positions.iloc[0]
    assert (first["barcode"], first["pxl_row_in_fullres"], first["pxl_col_in_fullres"]) == (
        "ACGCCTGACACGCGCT-1",
        2546,
        2779,
    )
    # 138 px between neighbours in a row; version 1 gives a diameter of 89.4 px for spots that it took for 65 µm
    assert spaceranger.grid_mpp(positions, pitch_um=100.0) == pytest.approx(100 / 138, rel=0.005)
    diameter = spaceranger.diameter_mpp(folder / "spatial" / "scalefactors_json.json", diameter_um=65.0)
    assert diameter == pytest.approx(spaceranger.grid_mpp(positions, pitch_um=100.0), rel=0.01)
    spots = spaceranger.spots_in_tissue(positions, adata, path="positions", drop_uncounted=True)
    assert set(spots["spot_id"]) == set(adata.obs_names)
    with pytest.raises(DataContractError, match="4135 of 4235 in-tissue barcodes that match no count"):
        spaceranger.spots_in_tissue(positions, adata, path="positions", drop_uncounted=False)


def test_a_real_output_without_its_full_resolution_image_is_missing(shared_data):
    row = {"slide": "1.0.0", "patient": "P", "layout": "visium"}
    assert visium.missing(row, shared_data / "spaceranger") == (
        "no full-resolution image, or several, under 1.0.0: name it in the sheet's column image"
    )
