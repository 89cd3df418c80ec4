import json
import logging

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import sparse

from stainscript.datasets import base, pooling, positions, visium_hd
from stainscript.errors import DataContractError

ROW = {"slide": "H1", "patient": "P", "layout": "visium_hd"}
GENES = ["ENSG00000141736", "ENSG00000211592"]
ROWS, COLUMNS = 20, 18  # bins of 16 µm: 2.5 squares of 128 µm down, 2.25 across
MPP = 0.5  # a bin is 32 px wide
ORIGIN = (40.0, 64.0)  # x, y of the first bin's centre: the two axes are told apart


def barcode(row, col, bin_um=16):
    return f"s_{bin_um:03d}um_{row:05d}_{col:05d}-1"


def array(rows=ROWS, columns=COLUMNS, *, bin_um=16, tissue=lambda row, col: col >= 1):
    """Every bin of the array, in an order that is not the array's."""
    row, col = (index.ravel() for index in np.indices((rows, columns)))
    frame = pd.DataFrame(
        {
            "barcode": [barcode(r, c, bin_um) for r, c in zip(row, col, strict=True)],
            "in_tissue": tissue(row, col).astype(np.int64),
            "array_row": row,
            "array_col": col,
            "pxl_row_in_fullres": ORIGIN[1] + row * bin_um / MPP,
            "pxl_col_in_fullres": ORIGIN[0] + col * bin_um / MPP,
        }
    )
    return frame.iloc[np.argsort((row * 7 + col * 5) % 11, kind="stable")].reset_index(drop=True)


def coded_counts(frame):
    """A count that tells rows from columns in each bin: gene 0 is 1, gene 1 is 100 · row + col."""
    return np.column_stack([np.ones(len(frame), np.int64), 100 * frame["array_row"] + frame["array_col"]])


def write_h5(path, counts, barcodes, genes=GENES):
    matrix = sparse.csr_matrix(counts)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"], group["shape"] = np.array(barcodes, dtype="S"), np.array(matrix.shape[::-1])
        group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
        group["features/id"] = group["features/name"] = np.array(genes, dtype="S")
        group["features/feature_type"] = np.array(["Gene Expression"] * len(genes), dtype="S")
        group["features/genome"] = np.array(["GRCh38"] * len(genes), dtype="S")


@pytest.fixture
def write_hd(tmp_path):
    """The ``outs`` of a Visium HD run: bins of one width, counts of the bins in tissue."""

    def write(frame=None, *, counts=None, bin_um=16, binned="binned_outputs", image=True, **factors):
        outs = tmp_path / "H1" / "outs"
        square = outs / binned / f"square_{bin_um:03d}um"
        (square / "spatial").mkdir(parents=True)
        frame = array() if frame is None else frame
        frame.to_parquet(square / "spatial" / "tissue_positions.parquet")
        values = {"bin_size_um": float(bin_um), "microns_per_pixel": MPP, "spot_diameter_fullres": bin_um / MPP}
        values |= {"tissue_hires_scalef": 0.25, "tissue_lowres_scalef": 0.1, "regist_target_img_scalef": 0.25}
        (square / "spatial" / "scalefactors_json.json").write_text(json.dumps(values | factors))
        inside = frame[frame["in_tissue"] == 1]
        given = (coded_counts(inside), inside["barcode"]) if counts is None else counts
        write_h5(square / "filtered_feature_bc_matrix.h5", *given)
        (outs / "spatial").mkdir()
        Image.new("RGB", (200, 220), (200, 150, 180)).save(outs / "spatial" / "tissue_hires_image.png")
        if image:
            Image.new("RGB", (800, 880), (200, 150, 180)).save(outs / "he.png")
        return tmp_path

    return write


def read(root, options=None):
    chosen = base.file_options(visium_hd, options or {})
    return visium_hd.read(ROW, visium_hd.files(ROW, root, **chosen), options or {})


def in_square(row, col, side=8):
    """Array rows and columns in tissue of one pooled square."""
    rows = range(row * side, min((row + 1) * side, ROWS))
    return [(r, c) for r in rows for c in range(max(col * side, 1), min((col + 1) * side, COLUMNS))]


@pytest.mark.parametrize("binned", ["binned_outputs", "."])
def test_bins_are_summed_into_squares_of_the_array(write_hd, binned):
    raw = read(write_hd(binned=binned))
    grid = raw.spots[["grid_row", "grid_col"]].to_numpy().tolist()
    assert grid == [[row, col] for row in range(3) for col in range(3)]
    for number, (row, col) in enumerate(grid):
        bins = in_square(row, col)
        assert raw.adata.X[number].toarray().tolist() == [[len(bins), sum(100 * r + c for r, c in bins)]]
    assert raw.adata.X[4, 0] == 64  # a whole square: 8 × 8 bins
    assert raw.spots["spot_id"].tolist()[5] == "s_128um_00001_00002-1"
    assert list(raw.adata.obs_names) == list(raw.spots["spot_id"])
    assert (raw.adata.X.format, raw.adata.X.dtype) == ("csr", np.int32)
    assert raw.grid_mpp == pytest.approx(MPP)
    assert (raw.spot_diameter_um, raw.platform) == (128.0, "Visium HD")


def test_a_square_lies_in_the_middle_of_its_area_also_where_the_array_or_the_tissue_ends(write_hd):
    spots = read(write_hd()).spots
    # the centre of square (r, c) is 3.5 bins of 32 px after its first bin
    assert spots["x_px"].tolist() == pytest.approx([40 + 112 + 256 * col for col in (0, 1, 2)] * 3)
    assert spots["y_px"].tolist() == pytest.approx(np.repeat([64 + 112 + 256 * row for row in (0, 1, 2)], 3))


def test_empty_squares_do_not_shift_the_numbers_of_the_others(write_hd):
    """HEST-1k numbers what is left; here square (2, 2) stays (2, 2) when everything before it is glass."""
    raw = read(write_hd(array(tissue=lambda row, col: (row >= 16) & (col >= 16))))
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[2, 2]]
    assert raw.adata.X[0, 0] == 4 * 2


def test_bins_outside_the_tissue_add_nothing_even_if_the_matrix_has_them(write_hd):
    frame = array()
    counts = coded_counts(frame), frame["barcode"]
    assert read(write_hd(frame, counts=counts)).adata.X[0, 0] == 8 * 7  # column 0 is glass


def test_a_turned_and_mirrored_image_keeps_squares_on_their_bins(write_hd):
    frame = array()
    um = frame[["array_col", "array_row"]].to_numpy() * 16.0
    turn = np.array([[-0.6, 0.8], [0.8, 0.6]]) / MPP  # a reflection
    frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]] = um @ turn + 900
    raw = read(write_hd(frame))
    assert raw.grid_mpp == pytest.approx(MPP)
    centre = (np.array([2, 1]) * 128 + 3.5 * 16) @ turn + 900  # square row 1, column 2
    assert raw.spots.loc[5, ["x_px", "y_px"]].tolist() == pytest.approx(centre.tolist())


def test_without_pooling_bins_are_spots(write_hd, caplog):
    frame = array(4, 3)
    inside = frame[(frame["in_tissue"] == 1) & (frame["array_row"] > 0)]
    root = write_hd(frame, counts=(coded_counts(inside), inside["barcode"]))
    with caplog.at_level(logging.INFO):
        raw = read(root, {"pool_um": None})
    assert "2 of 8 in-tissue barcodes have no counts and are left out" in caplog.text
    assert raw.spots["spot_id"].tolist() == [barcode(r, c) for r in (1, 2, 3) for c in (1, 2)]
    assert raw.adata.X[:, 1].toarray().ravel().tolist() == [101, 102, 201, 202, 301, 302]
    assert raw.spots["x_px"].tolist() == [72, 104] * 3
    assert raw.spots["y_px"].tolist() == [96, 96, 128, 128, 160, 160]
    assert raw.spot_diameter_um == 16.0


@pytest.mark.parametrize(("bin_um", "pool_um", "side"), [(8, 128.0, 16), (2, 8.0, 4), (8, 16, 2)])
def test_other_bins_pool_as_well(write_hd, bin_um, pool_um, side):
    root = write_hd(array(bin_um=bin_um), bin_um=bin_um)
    raw = read(root, {"bin_um": bin_um, "pool_um": pool_um})
    assert raw.adata.X[-1, 0] == len(in_square((ROWS - 1) // side, (COLUMNS - 1) // side, side))
    assert raw.spot_diameter_um == pool_um
    others = f"only square_{bin_um:03d}um: see the option bin_um"
    assert visium_hd.missing(ROW, root) == f"no H1/outs/binned_outputs/square_016um, {others}"
    assert visium_hd.missing(ROW, root, bin_um=bin_um) is None


def test_pooling_agrees_with_adding_up_bin_by_bin():
    rng = np.random.default_rng(0)
    frame = positions_of(array(30, 25, tissue=lambda row, col: (row + col) % 7 > 1))
    inside = frame[frame["in_tissue"]].sample(frac=0.7, random_state=0)
    counts = rng.integers(0, 9, size=(len(inside), 5))
    adata = anndata.AnnData(sparse.csr_matrix(counts, dtype=np.int32))
    adata.obs_names, adata.var_names = inside["barcode"].tolist(), [f"G{n}" for n in range(5)]
    adata.var["symbol"] = adata.var_names
    spots, pooled = pooling.pool_bins(frame, adata, side=4, name="{row}.{col}", path="m.h5")
    expected = {}
    for (row, col), values in zip(inside[["array_row", "array_col"]].to_numpy(), counts, strict=True):
        key = f"{row // 4}.{col // 4}"
        expected[key] = expected.get(key, 0) + values
    assert set(expected) == set(spots["spot_id"])
    assert {name: pooled[name].X.toarray()[0].tolist() for name in pooled.obs_names} == {
        name: values.tolist() for name, values in expected.items()
    }


def positions_of(frame):
    return frame.astype({"in_tissue": bool})


def test_a_slide_declared_without_expression_has_every_square_with_tissue(write_hd):
    row, root = ROW | {"has_expression": "false"}, write_hd()
    raw = visium_hd.read(row, visium_hd.files(row, root), {})
    assert raw.adata is None
    assert len(raw.spots) == 9


def test_hires_stands_in_on_request_only(write_hd):
    root = write_hd(image=False)
    price = (
        "tissue_hires_image.png, 2 µm per pixel against 0.5 of the full-resolution image: "
        "a patch of 112 µm has 56 px there instead of 224"
    )
    assert visium_hd.missing(ROW, root) == (
        "no full-resolution image, or several, under H1/outs: name it in the sheet's column image; "
        f"or set the option image: hires and take {price}"
    )
    with pytest.raises(DataContractError, match="image of slide H1: expected the full-resolution image"):
        read(root)
    assert visium_hd.missing(ROW, root, image="hires") is None
    raw = read(root, {"image": "hires"})
    assert raw.spots["x_px"].tolist()[:3] == pytest.approx([38, 102, 166])  # a quarter of 152, 408, 664
    assert raw.grid_mpp == pytest.approx(4 * MPP)
    assert raw.platform == "Visium HD, image 4 times coarser"


def test_what_is_missing_is_said(write_hd):
    root = write_hd()
    square = root / "H1/outs/binned_outputs/square_016um"
    (square / "spatial/scalefactors_json.json").unlink()
    assert visium_hd.missing(ROW, root).startswith(
        "no scalefactors_json.json under H1/outs/binned_outputs/square_016um"
    )
    (square / "spatial/tissue_positions.parquet").unlink()
    assert visium_hd.missing(ROW, root).startswith("no tissue_positions.parquet under")
    (square / "filtered_feature_bc_matrix.h5").unlink()
    assert visium_hd.missing(ROW, root).startswith("no filtered_feature_bc_matrix.h5 and no")
    assert visium_hd.missing(ROW, None) == base.NO_ROOT
    assert visium_hd.missing(ROW | {"slide": "H2"}, root) == "no H2/binned_outputs/square_016um"
    assert visium_hd.files(ROW, None) == {}


def test_canonical_paths_are_found_again(write_hd):
    root = write_hd(image=False)
    expected = visium_hd.expected_files(ROW, root)
    Image.new("RGB", (8, 8)).save(expected["image"])
    found = visium_hd.files(ROW, root)
    assert {role: found[role] for role in expected} == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_um": 100.0}, r"pool_um: expected a multiple of bin_um \(16\), or null; found 100"),
        ({"pool_um": 8.0}, r"pool_um: expected a multiple of bin_um \(16\), or null; found 8"),
        ({"pool": 128.0}, r"options of visium_hd: .*found 'pool'.*did you mean 'pool_um'"),
        ({"bin_um": None}, r"options\.bin_um: expected a value like 16; found None"),
        ({"bin_um": 0, "pool_um": None}, r"pool_um: expected a multiple of bin_um \(0\), or null; found None"),
    ],
)
def test_options_that_do_not_fit_are_refused(write_hd, options, message):
    root = write_hd()
    with pytest.raises(DataContractError, match=message):
        visium_hd.read(ROW, visium_hd.files(ROW, root), options)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"bin_size_um": 8.0}, r"bin_size_um: expected 16, as the option bin_um says; found 8"),
        ({"bin_size_um": None}, r"bin_size_um: expected a number above 0; found no such entry"),
        ({"microns_per_pixel": 0.53}, r"microns_per_pixel: expected 0\.5, as the bins' positions imply.*found 0\.53"),
        ({"microns_per_pixel": -0.5}, r"microns_per_pixel: expected a number above 0; found -0\.5"),
    ],
)
def test_scale_factors_that_contradict_the_bins_are_refused(write_hd, factors, message):
    with pytest.raises(DataContractError, match=r"scalefactors_json\.json: " + message):
        read(write_hd(**factors))


def test_microns_per_pixel_within_five_percent_is_fine(write_hd):
    assert read(write_hd(microns_per_pixel=0.52)).grid_mpp == pytest.approx(MPP)


def without(column):
    return lambda frame: frame.drop(columns=column)


def changed(**cells):
    def change(frame):
        frame = frame.astype({"pxl_row_in_fullres": object, "array_row": object})
        for column, value in cells.items():
            frame.loc[3, column] = value
        return frame.infer_objects()

    return change


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        (without("array_row"), "columns", "barcode, in_tissue, array_row, array_col"),
        (without("barcode"), "columns", "barcode, in_tissue, array_row, array_col"),
        (changed(pxl_row_in_fullres=float("nan")), "rows", "a barcode and five numbers in each"),
        (changed(array_row=2.5), "rows", "whole numbers from 0 in array_row and array_col"),
        (changed(barcode="s_016um_00000_00000-1"), "barcodes", "every barcode once"),
        (lambda frame: frame.assign(in_tissue=0), "in_tissue", "at least one spot in tissue"),
    ],
)
def test_faulty_positions_are_refused(write_hd, change, field, expected):
    frame = array()
    broken = change(frame.copy())
    root = write_hd(frame)
    broken.to_parquet(root / "H1/outs/binned_outputs/square_016um/spatial/tissue_positions.parquet")
    with pytest.raises(DataContractError) as error:
        read(root)
    assert error.value.path.endswith("square_016um/spatial/tissue_positions.parquet")
    assert error.value.field == field
    assert error.value.expected.startswith(expected)


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_truncated_parquet_is_refused(write_hd, keep):
    root = write_hd()
    path = root / "H1/outs/binned_outputs/square_016um/spatial/tissue_positions.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataContractError, match=r"tissue_positions\.parquet: rows: expected a complete Parquet table"):
        read(root)


@pytest.mark.parametrize(
    ("rename", "change", "message"),
    [
        (
            lambda names: names.str.replace("s_016um", "s_008um"),
            1,
            "340 of 340 barcodes of the matrix without a position",
        ),
        (
            lambda names: names.str.slice(0, 8),
            1,
            r"barcodes: expected every name once; found 's_016um_'",
        ),
        (lambda names: names, -1, "a negative number"),
        (lambda names: names, 0.5, "a fraction"),
        (lambda names: names, 0, "an empty matrix"),
    ],
    ids=["other bins", "twice", "negative", "fraction", "empty"],
)
def test_faulty_counts_are_refused(write_hd, rename, change, message):
    frame = array()
    inside = frame[frame["in_tissue"] == 1]
    root = write_hd(frame, counts=(coded_counts(inside) * change, rename(inside["barcode"])))
    with pytest.raises(DataContractError, match=message):
        read(root)


def test_positions_of_hd_read_back_as_they_were_written(write_hd):
    root = write_hd()
    path = visium_hd.files(ROW, root)["positions"]
    table = positions.read_positions(path)
    assert list(table.columns) == positions.COLUMNS
    assert table["in_tissue"].dtype == bool
    indexed = pd.read_parquet(path).set_index("barcode")
    indexed.to_parquet(path)  # as some tools leave it
    pd.testing.assert_frame_equal(positions.read_positions(path), table)
