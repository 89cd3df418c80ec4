import gzip
import logging

import numpy as np
import pytest

from stainscript.datasets import base, legacy_st, legacy_tables
from stainscript.errors import DataContractError

ROW = {"slide": "S1", "patient": "P", "layout": "legacy_st"}
COUNTS = "\tERBB2\tAP000769.1\n3x2\t4\t0\n2x2\t0\t0\n2x3\t1\t9\n"
SELECTION = "x\ty\tpixel_x\tpixel_y\n3\t2\t802\t396\n2\t3\t400\t800\n2\t2\t392\t404\n"


def read(root, options=None):
    return legacy_st.read(ROW, legacy_st.files(ROW, root), options or {})


def test_spots_come_in_order_of_y_then_x_with_their_own_counts(write_legacy):
    raw = read(write_legacy())
    assert list(raw.spots["spot_id"]) == ["2x2", "3x2", "2x3"] == list(raw.adata.obs_names)
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[2, 2], [2, 3], [3, 2]]
    assert raw.spots[["x_px", "y_px"]].to_numpy().tolist() == [[392, 404], [802, 396], [400, 800]]
    assert raw.adata.X.toarray().tolist() == [[0, 0], [4, 0], [1, 9]]
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")
    assert list(raw.adata.var_names) == ["ERBB2", "AP000769.1"] == list(raw.adata.var["symbol"])


def test_a_spot_without_any_count_stays_and_an_orphan_of_the_selection_goes(write_legacy, caplog):
    with caplog.at_level(logging.INFO):
        raw = read(write_legacy())
    assert raw.adata["2x2"].X.sum() == 0
    assert "4x4" not in set(raw.spots["spot_id"])
    assert "1 of 4 selected spots have no counts and are left out (first: 4x4)" in caplog.text


def test_the_scale_follows_from_the_pitch_of_the_registered_columns(write_legacy):
    # new_x 3.02, 2.0, 1.98, 4.0 and pixel_x 802, 400, 392, 1200 lie on pixel = 400·(x − 1) within rounding
    assert read(write_legacy()).grid_mpp == pytest.approx(200 / 400, rel=0.01)


def test_one_column_of_spots_takes_the_scale_from_the_rows(write_legacy):
    selection = "x\ty\tpixel_x\tpixel_y\n2\t2\t400\t400\n2\t3\t400\t800\n"
    assert read(write_legacy(counts="\tA\n2x2\t1\n2x3\t1\n", selection=selection)).grid_mpp == pytest.approx(0.5)


def test_one_spot_alone_implies_no_scale(write_legacy):
    raw = read(write_legacy(counts="\tA\n2x2\t1\n", selection="x\ty\tpixel_x\tpixel_y\n2\t2\t400\t400\n"))
    assert raw.grid_mpp is None


def test_float_positions_are_rounded_to_the_key(write_legacy):
    raw = read(write_legacy(counts="\tA\n3x2\t1\n", selection="x\ty\tpixel_x\tpixel_y\n2.96\t2.04\t802\t396\n"))
    assert list(raw.spots["spot_id"]) == ["3x2"]


def test_rows_that_are_not_selected_are_left_out(write_legacy):
    selection = "x\ty\tpixel_x\tpixel_y\tselected\n2\t2\t400\t400\t1\n2\t3\t400\t800\t0\n"
    assert list(read(write_legacy(counts="\tA\n2x2\t1\n", selection=selection)).spots["spot_id"]) == ["2x2"]


def test_a_header_without_a_name_over_the_labels_is_read(write_legacy):
    assert list(read(write_legacy(counts="A\tB\n2x2\t1\t2\n")).adata.var_names) == ["A", "B"]


def test_ensembl_versions_are_stripped_and_symbols_with_a_dot_are_not(write_legacy):
    raw = read(write_legacy(counts="\tENSG00000141736.14\tAC1.2\n2x2\t1\t2\n"))
    assert list(raw.adata.var_names) == ["ENSG00000141736", "AC1.2"]


def test_a_plain_table_serves_as_well(write_legacy):
    root = write_legacy()
    zipped = root / "data/ST-cnts/S1.tsv.gz"
    zipped.with_suffix("").write_text(gzip.decompress(zipped.read_bytes()).decode())
    zipped.unlink()
    assert legacy_st.files(ROW, root)["counts"].name == "S1.tsv"
    assert read(root).adata.n_obs == 3


def test_a_folder_of_its_own_comes_before_the_shared_one(write_legacy, tmp_path):
    shared, own = write_legacy(tmp_path), write_legacy(tmp_path / "S1")
    assert legacy_st.files(ROW, tmp_path)["selection"].is_relative_to(own)
    assert legacy_st.files(ROW | {"slide": "T1"}, shared) == {}


def test_what_is_missing_is_said(write_legacy, tmp_path):
    assert legacy_st.missing(ROW, tmp_path) == "no counts at data/ST-cnts/S1.tsv.gz"
    root = write_legacy()
    assert legacy_st.missing(ROW, root) is None
    folder = root / "data/ST-imgs/S/S1"
    (folder / "second.png").write_bytes(b"x")
    assert legacy_st.missing(ROW, root) == ("2 images under data/ST-imgs/S/S1: name one in the sheet's column image")
    named = ROW | {"image": "data/ST-imgs/S/S1/second.png"}
    assert legacy_st.missing(named, root) is None
    assert legacy_st.files(named, root)["image"].name == "second.png"
    assert legacy_st.missing(ROW | {"image": "absent.jpg"}, root) == "no image at absent.jpg"
    for path in folder.iterdir():
        path.unlink()
    assert legacy_st.missing(ROW, root) == "no image under data/ST-imgs/S/S1"
    (root / "data/ST-spotfiles/S1_selection.tsv").unlink()
    assert legacy_st.missing(ROW, root) == "no spots at data/ST-spotfiles/S1_selection.tsv"


def test_a_slide_declared_without_expression_needs_no_counts(write_legacy):
    root, row = write_legacy(), ROW | {"has_expression": "false"}
    (root / "data/ST-cnts/S1.tsv.gz").unlink()
    assert legacy_st.missing(row, root) is None
    assert set(legacy_st.files(row, root)) == {"selection", "image"} == set(legacy_st.expected_files(row, root))
    raw = legacy_st.read(row, legacy_st.files(row, root), {})
    assert raw.adata is None
    assert len(raw.spots) == 4


@pytest.mark.parametrize(
    ("counts", "parts"),
    [
        ("\tA\tB\n3x2\t4\t-1\n", ["counts of spot 3x2, gene B", "integers from 0", "a negative number (-1"]),
        ("\tA\tB\n3x2\t4\t0.5\n2x2\t1\t1\n", ["counts of spot 3x2, gene B", "a fraction (0.5"]),
        ("\tA\tB\n3x2\t4\t\n2x2\t1\t1\n", ["counts of spot 3x2, gene B", "NaN"]),
        ("\tA\tB\n3x2\tnan\t1\n2x2\t1\t1\n", ["counts of spot 3x2, gene A", "NaN"]),
        ("\tA\tB\n3x2\t4\tmany\n2x2\t1\t1\n", ["counts of gene B", "'many' at spot 3x2"]),
        ("\tA\tB\n3x2\t0\t0\n", ["counts:", "an empty matrix (1 spots × 2 genes"]),
        ("\tA\tB\n", ["counts:", "a complete tab-separated table", "EmptyDataError"]),
        ("", ["counts:", "EmptyDataError"]),
        ("\tA\tB\n3x2\t4\t1\n3x2\t1\t1\n", ["barcodes", "every name once", "'3x2' more than once"]),
        ("\tA\tA\n3x2\t4\t1\n", ["gene names", "every name once", "'A' more than once", "add up or rename"]),
        ("\tENSG00000141736.1\tENSG00000141736.2\n3x2\t4\t1\n", ["gene names", "'ENSG00000141736' more than once"]),
        ("\tA\t\n3x2\t4\t1\n", ["gene names", "an empty name at position 2"]),
        ("\tA\n3x2\t4\n9x9\t1\n", ["barcodes", "1 of 2 that match no selected spot (first: 9x9)", "one section"]),
        ("\tA\nspot1\t4\n", ["row labels", "<x>x<y>"]),
        ("\tA\tB\tC\tD\n3x2\t4\n", ["header", "1 genes", "5 cells"]),
    ],
)
def test_faulty_counts_are_refused(write_legacy, counts, parts):
    root = write_legacy(counts=counts, selection=SELECTION)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in [str(root / "data/ST-cnts/S1.tsv.gz"), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_a_truncated_table_is_refused(write_legacy):
    root = write_legacy()
    path = root / "data/ST-cnts/S1.tsv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataContractError, match=r"S1\.tsv\.gz: counts: expected a complete .* EOFError"):
        read(root)


@pytest.mark.parametrize(
    ("selection", "parts"),
    [
        ("x\ty\tpixel_x\n3\t2\t802\n", ["columns", "x, y, pixel_x, pixel_y"]),
        ("x\ty\tpixel_x\tpixel_y\n3\t2\t802\t\n", ["line 2", "a cell that is none"]),
        ("x\ty\tpixel_x\tpixel_y\n3\t2\t802\t1\n3\ttwo\t802\t1\n", ["line 3", "a cell that is none"]),
        ("x\ty\tpixel_x\tpixel_y\n", ["rows", "at least one selected spot"]),
        ("", ["rows", "a tab-separated table"]),
        ("x\ty\tpixel_x\tpixel_y\n3\t2\t1\t1\n3\t2\t2\t2\n", ["barcodes", "'3x2' more than once"]),
    ],
)
def test_a_faulty_selection_is_refused(write_legacy, selection, parts):
    root = write_legacy(selection=selection)
    with pytest.raises(DataContractError) as error:
        read(root)
    for part in [str(root / "data/ST-spotfiles/S1_selection.tsv"), *parts, "Remedy:"]:
        assert part in str(error.value)


def test_an_unknown_option_is_refused(write_legacy):
    with pytest.raises(DataContractError, match="options of legacy_st"):
        read(write_legacy(), {"a6_shift": True})


def test_the_pitch_is_the_slope_of_pixels_over_positions():
    assert legacy_tables.pitch_px(np.array([1, 2, 4]), np.array([10, 110, 310])) == pytest.approx(100)
    assert legacy_tables.pitch_px(np.array([2, 2]), np.array([10, 110])) is None


def test_the_layout_knows_its_platform(write_legacy):
    raw = read(write_legacy())
    assert (raw.platform, raw.spot_diameter_um) == ("ST", 100.0)
    assert base.load("legacy_st").PITCH_UM == 200.0
