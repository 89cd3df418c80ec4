import json
import logging

import h5py
import numpy as np
import pytest
from PIL import Image

from stainscript.datasets import base, dlpfc
from stainscript.errors import DataContractError

ROW = {"slide": "151507", "patient": "Br5292", "layout": "dlpfc", "mpp": "", "image": "", "has_expression": ""}
BARCODES = ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1"]
COUNTS = np.array([[5, 0], [0, 2], [1, 1], [7, 3]])
LABELS = "TTTA-1\t151507\tWM\nAAAC-1\t151507\tL1\nAAAC-1\t151508\tL6\nGGGT-1\t151507\tL3\n"  # CCCG-1 has none


@pytest.fixture
def write(tmp_path):
    """The published folders with section 151507, 0.5 µm per pixel: columns 100 px apart, rows 173 px."""

    def write(*, labels=LABELS, image=True):
        for folder in ("h5", "images", "10X/151507"):
            (tmp_path / folder).mkdir(parents=True)
        with h5py.File(tmp_path / "h5" / "151507_filtered_feature_bc_matrix.h5", "w") as file:
            group = file.create_group("matrix")
            rows, columns = np.nonzero(COUNTS)
            group["barcodes"], group["shape"] = np.array(BARCODES, dtype="S"), np.array([2, 4])
            group["data"], group["indices"] = COUNTS[rows, columns], columns
            group["indptr"] = np.concatenate([[0], np.cumsum(np.bincount(rows))])
            group["features/id"] = np.array(["ENSG00000131095", "ENSG00000197971"], dtype="S")
            group["features/name"] = np.array(["GFAP", "MBP"], dtype="S")
            group["features/feature_type"] = np.array(["Gene Expression"] * 2, dtype="S")
        spots = [
            ("TTTA-1", 1, 1, 3),
            ("AAAC-1", 1, 0, 0),
            ("OFF1-1", 0, 0, 4),
            ("CCCG-1", 1, 0, 2),
            ("GGGT-1", 1, 1, 1),
        ]
        lines = [f"{name},{inside},{r},{c},{200 + r * 173},{100 + c * 100}\n" for name, inside, r, c in spots]
        (tmp_path / "10X/151507/tissue_positions_list.txt").write_text("".join(lines))
        factors = {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 140.0}
        (tmp_path / "10X/151507/scalefactors_json.json").write_text(json.dumps(factors))
        if labels is not None:
            (tmp_path / "10X/barcode_level_layer_map.tsv").write_text(labels)
        Image.new("RGB", (60, 50)).save(tmp_path / "images/151507_tissue_hires_image.png")
        if image:
            Image.new("RGB", (600, 500)).save(tmp_path / "images/151507_full_image.tif")
        return tmp_path

    return write


def read(root, row=ROW, options=None):
    return dlpfc.read(row, dlpfc.files(row, root, **base.file_options(dlpfc, options or {})), options or {})


def test_a_section_is_read_with_the_layer_of_each_spot(write, caplog):
    with caplog.at_level(logging.INFO):
        raw = read(write())
    assert list(raw.spots["spot_id"]) == BARCODES
    assert raw.spots["x_px"].tolist() == [100, 300, 200, 400]
    assert raw.spots["y_px"].tolist() == [200, 200, 373, 373]
    assert raw.adata.X.toarray().tolist() == COUNTS.tolist()
    assert list(raw.adata.var["symbol"]) == ["GFAP", "MBP"]
    assert raw.labels.to_dict() == {"AAAC-1": "L1", "CCCG-1": "", "GGGT-1": "L3", "TTTA-1": "WM"}
    assert list(raw.labels.index) == list(raw.spots["spot_id"])
    assert (raw.labels.name, raw.labels.dtype) == ("label", object)
    assert "1 of 4 spots have no layer" in caplog.text
    assert raw.grid_mpp == pytest.approx(0.5, rel=2e-3)
    assert (raw.platform, raw.spot_diameter_um) == ("Visium", 55.0)


def test_the_published_places_are_the_canonical_ones(write):
    root = write()
    expected = dlpfc.expected_files(ROW, root)
    found = dlpfc.files(ROW, root)
    assert dlpfc.missing(ROW, root) is None
    assert {role: found[role] for role in expected} == expected
    assert {role: str(path.relative_to(root)) for role, path in expected.items()} == {
        "matrix": "h5/151507_filtered_feature_bc_matrix.h5",
        "positions": "10X/151507/tissue_positions_list.txt",
        "scalefactors": "10X/151507/scalefactors_json.json",
        "labels": "10X/barcode_level_layer_map.tsv",
        "image": "images/151507_full_image.tif",
    }


def test_a_sections_own_folder_will_do(write):
    root = write()
    own = root / "151507"
    (own / "spatial").mkdir(parents=True)
    for role, path in dlpfc.files(ROW, root).items():
        path.rename((own / "spatial" if role in ("positions", "scalefactors") else own) / path.name)
    assert dlpfc.missing(ROW, root) is None
    assert read(root).labels.tolist() == ["L1", "", "L3", "WM"]


@pytest.mark.parametrize(
    ("gone", "reason"),
    [
        ("labels", "no labels at 10X/barcode_level_layer_map.tsv"),
        ("scalefactors", "no scalefactors at 10X/151507/scalefactors_json.json"),
        ("positions", "no positions at 10X/151507/tissue_positions_list.txt"),
        ("matrix", "no matrix at h5/151507_filtered_feature_bc_matrix.h5"),
    ],
)
def test_what_is_missing_is_said(write, gone, reason):
    root = write()
    files = dlpfc.files(ROW, root)
    files[gone].unlink()
    assert dlpfc.missing(ROW, root) == reason
    if gone != "scalefactors":  # only the downsampled image needs them
        with pytest.raises(DataContractError, match=f"{gone} of slide 151507: expected a file; found no such file"):
            dlpfc.read(ROW, files, {})


def test_a_section_without_its_image_is_priced_and_goes_through_on_request(write):
    root = write(image=False)
    price = "take 151507_tissue_hires_image.png, 5 µm per pixel against 0.5 of the full-resolution image"
    assert f"under images: name it in the sheet's column image; or set the option image: hires and {price}" in (
        dlpfc.missing(ROW, root)
    )
    with pytest.raises(DataContractError, match="image of slide 151507: expected the full-resolution image"):
        read(root)
    raw = read(root, options={"image": "hires"})
    assert raw.spots["x_px"].tolist() == pytest.approx([10, 30, 20, 40])
    assert raw.labels.tolist() == ["L1", "", "L3", "WM"]
    named = ROW | {"image": "images/151507_tissue_hires_image.png"}
    with pytest.raises(DataContractError, match="found a downsampled one"):
        read(root, named)
    assert dlpfc.missing(ROW | {"image": "gone.tif"}, root) == "no image at gone.tif"


def test_labels_that_belong_to_no_spot_are_counted(write, caplog):
    with caplog.at_level(logging.INFO):
        raw = read(write(labels=LABELS + "OFF1-1\t151507\tL2\n"))
    assert "1 labelled barcodes are no spots here (first: OFF1-1)" in caplog.text
    assert raw.labels.tolist() == ["L1", "", "L3", "WM"]


def test_a_label_of_na_is_none(write):
    assert read(write(labels=LABELS + "CCCG-1\t151507\tNA\n")).labels.tolist() == ["L1", "", "L3", "WM"]


@pytest.mark.parametrize(
    ("labels", "field", "message"),
    [
        ("", "section", "expected rows of section 151507; found none"),
        ("AAAC-1\t151508\tL1\n", "section", "expected rows of section 151507; found none"),
        ("AAAC-1\t151507\n", "line 1", "expected barcode, section and layer; found 2 cells"),
        (LABELS + "AAAC-1,151507,L1\n", "line 5", "expected barcode, section and layer; found 1 cells"),
        (LABELS + "AAAC-1\t151507\tL2\n", "barcodes", "every barcode of section 151507 once; found 'AAAC-1' twice"),
        ("AAAC-1\t151507\tL7\n", "layer, line 1", "expected one of L1, L2, L3, L4, L5, L6, WM; found 'L7'"),
        ("ZZZZ-1\t151507\tL1\n", "barcodes", "found 1 barcodes, none of them a spot in tissue (first: ZZZZ-1)"),
    ],
)
def test_faulty_labels_are_refused(write, labels, field, message):
    root = write(labels=labels)
    with pytest.raises(DataContractError) as error:
        read(root)
    assert (error.value.path, error.value.field) == (str(root / "10X/barcode_level_layer_map.tsv"), field)
    assert message in str(error.value)


def test_labels_that_are_no_text_are_refused(write):
    root = write()
    (root / "10X/barcode_level_layer_map.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataContractError, match=r"layer_map\.tsv: text: expected a UTF-8 table"):
        read(root)


def test_faulty_counts_and_positions_are_refused_as_for_visium(write):
    root = write()
    path = root / "10X/151507/tissue_positions_list.txt"
    path.write_text(path.read_text().replace("TTTA-1", "LONE-1"))
    with pytest.raises(DataContractError, match="1 of 4 barcodes of the matrix without a position"):
        read(root)
    matrix = root / "h5/151507_filtered_feature_bc_matrix.h5"
    matrix.write_bytes(matrix.read_bytes()[:200])
    with pytest.raises(DataContractError, match="matrix: expected a complete 10x matrix"):
        read(root)
    with pytest.raises(DataContractError, match=r"options of dlpfc: .*found 'layers'"):
        read(root, options={"layers": True})


def test_the_sheet_holds_the_published_cohort(repository):
    rows = base.read_sheet(repository / "workflow" / "sheets" / "dlpfc.tsv")
    donors = {row["slide"]: row["patient"] for row in rows}
    assert len(donors) == 12
    for donor, first in (("Br5292", 151507), ("Br5595", 151669), ("Br8100", 151673)):
        assert [donors[str(first + step)] for step in range(4)] == [donor] * 4
    assert {(row["layout"], row["platform"], row["condition"]) for row in rows} == {("dlpfc", "Visium", "healthy")}
    # HEST-1k counts down: MISC12 is 151507, MISC1 is 151676
    assert [row["hest_id"] for row in rows] == [f"MISC{number}" for number in range(12, 0, -1)]
    assert "github.com/LieberInstitute/HumanPilot" in rows[0]["note"]
    assert [row["slide"] for row in rows if "L3 to WM only" in row["note"]] == ["151669", "151670", "151671", "151672"]
