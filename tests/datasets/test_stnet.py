import gzip
import json
import logging

import numpy as np
import pytest
from PIL import Image

from stainscript.datasets import base, overlaps, stnet
from stainscript.errors import DataContractError
from stainscript.splits.schemes import make_folds

ROW = {"slide": "BC23287_C1", "patient": "BC23287", "layout": "stnet"}
GENES = "\tENSG00000000003.14\t__ambiguous[ENSG00000000005+ENSG00000000419]\tENSG00000000457"
COUNTS = f"{GENES}\n7x10\t3\t5\t0\n8x10\t0\t2\t1\n7x11\t2\t0\t2\n30x30\t1\t1\t1\n"  # 30x30 lies off the tissue
COMMAS = ",X,Y\n8x10,1290.5,3000\n7x10,1000.5,3000\n7x11,1000.5,3290\n"
TABS = "x\ty\tpixel_x\tpixel_y\n8\t10\t1290.5\t3000\n7\t10\t1000.5\t3000\n7\t11\t1000.5\t3290\n"
LABELS = "xcoord\tycoord\tlab\ttumor\t\nC1_7_10\t6.98\t10.02\t1\ttumor\nC1_7_11\t7\t11\t2\tnon\nC1_1_1\t1\t1\t2\tnon\n"


@pytest.fixture
def write_stnet(tmp_path):
    def write(folder=None, *, counts=COUNTS, spots=COMMAS, labels=LABELS, image=True):
        folder = folder or tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        names = {
            "BC23287_C1_stdata.tsv.gz": counts,
            "spots_BT23287_C1.csv.gz": spots,
            "BC23287_C1_Coords.tsv.gz": labels,
        }
        for name, text in names.items():
            if text is not None:
                (folder / name).write_bytes(gzip.compress(text.encode()))
        if image:
            Image.new("RGB", (2000, 4000)).save(folder / "HE_BT23287_C1.jpg")
        return tmp_path

    return write


def read(root, **row):
    return stnet.read(ROW | row, stnet.files(ROW | row, root), {})


@pytest.fixture
def sheet(repository):
    return base.read_sheet(repository / "workflow" / "sheets" / "stnet.tsv")


def test_spots_counts_and_labels_are_joined_by_array_position(write_stnet, caplog):
    with caplog.at_level(logging.INFO):
        raw = read(write_stnet())
    assert list(raw.spots["spot_id"]) == ["7x10", "8x10", "7x11"] == list(raw.adata.obs_names)
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[10, 7], [10, 8], [11, 7]]
    assert raw.spots[["x_px", "y_px"]].to_numpy().tolist() == [[1000.5, 3000], [1290.5, 3000], [1000.5, 3290]]
    assert list(raw.adata.var_names) == ["ENSG00000000003", "ENSG00000000457"] == list(raw.adata.var["symbol"])
    assert raw.adata.X.toarray().tolist() == [[3, 0], [0, 1], [2, 2]]
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")
    assert raw.labels.to_dict() == {"7x10": "tumor", "8x10": "", "7x11": "non"}
    assert list(raw.labels.index) == list(raw.spots["spot_id"])
    assert raw.grid_mpp == pytest.approx(200 / 290)
    assert "1 of 4 counted spots lie off the tissue and are left out" in caplog.text
    assert "1 columns that are no gene (8 of 18 counts) left out" in caplog.text


def test_both_forms_of_the_spots_give_the_same_slide(write_stnet):
    first, second = read(write_stnet()), read(write_stnet(spots=TABS))
    assert first.spots.equals(second.spots)
    assert first.grid_mpp == second.grid_mpp


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_labels_with_every_line_end_are_read(write_stnet, end):
    assert read(write_stnet(labels=LABELS.replace("\n", end))).labels["7x10"] == "tumor"


def test_a_section_without_labels_has_none(write_stnet):
    assert read(write_stnet(labels=None)).labels is None


def test_rows_without_a_position_and_spots_of_two_labels_are_counted_and_unlabelled(write_stnet, caplog):
    labels = (
        LABELS + "C1_x\t\t\t1\ttumor\nC1_y\tNaN\t4\t1\ttumor\nC1_7_11\t7.2\t10.9\t1\ttumor\nC1_7_10\t7\t10\t1\ttumor\n"
    )
    with caplog.at_level(logging.INFO):
        raw = read(write_stnet(labels=labels))
    assert raw.labels.to_dict() == {"7x10": "tumor", "8x10": "", "7x11": ""}
    assert "2 of 7 rows have no position and are left out" in caplog.text
    assert "1 spots have two labels and keep none" in caplog.text


def test_the_archives_own_folder_and_st_nets_tree_are_found(write_stnet, tmp_path):
    below = write_stnet(tmp_path / "Human breast cancer in situ capturing transcriptomics")
    assert stnet.missing(ROW, below) is None
    assert read(below).adata.n_obs == 3
    tree = tmp_path / "tree"
    folder = tree / "HER2_luminal" / "BC23287"
    folder.mkdir(parents=True)
    (folder / "BC23287_C1.tsv.gz").write_bytes(gzip.compress(COUNTS.encode()))
    (folder / "BC23287_C1.spots.txt").write_text(TABS)
    (folder / "BC23287_C1_Coords.tsv").write_text(LABELS)
    Image.new("RGB", (9, 9)).save(folder / "BC23287_C1.tif")
    assert stnet.missing(ROW, tree) is None
    raw = read(tree)
    assert list(raw.spots["spot_id"]) == ["7x10", "8x10", "7x11"]
    assert raw.labels["7x11"] == "non"


def test_what_is_missing_is_said(write_stnet, tmp_path):
    assert stnet.missing(ROW, None) == base.NO_ROOT
    assert stnet.files(ROW, None) == {} == stnet.files(ROW, tmp_path / "absent")
    assert stnet.missing(ROW, tmp_path).startswith("no counts at BC23287_C1_stdata.tsv.gz")
    root = write_stnet(image=False, labels=None)
    assert stnet.missing(ROW, root).startswith("no image at HE_BC23287_C1.jpg")
    Image.new("RGB", (9, 9)).save(root / "own.png")
    named = ROW | {"image": "own.png"}
    assert stnet.missing(named, root) is None
    assert stnet.files(named, root)["image"] == root / "own.png"
    bare = ROW | {"has_expression": "false"}
    assert "counts" not in stnet.files(bare, root)
    assert read(root, has_expression="false").adata is None


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"counts": COUNTS.replace("7x10\t3", "7x10\t-3")}, ["stdata", "spot 7x10, gene ENSG00000000003", "(-3"]),
        ({"counts": COUNTS.replace("7x10\t3", "7x10\t0.5")}, ["stdata", "spot 7x10, gene", "a fraction (0.5"]),
        ({"counts": COUNTS.replace("8x10\t", "7x10\t")}, ["stdata", "barcodes", "'7x10' more than once"]),
        ({"counts": "\t__ambiguous[A+B]\n7x10\t1\n"}, ["stdata", "header: expected genes", "none a gene"]),
        ({"counts": f"{GENES}\n1x1\t1\t1\t1\n"}, ["stdata", "barcodes", "1 of 1 that match no selected spot"]),
        ({"counts": ""}, ["stdata", "a complete tab-separated table"]),
        ({"spots": ",X,Y\n7x10,1000\n"}, ["spots_BT23287_C1", "rows", "7x10,1000,nan"]),
        ({"spots": ",X,Y\n7x10,,3000\n"}, ["spots_BT23287_C1", "<x>x<y> and two numbers", "7x10,nan,3000"]),
        ({"spots": ",X,Y\n7-10,1,2\n"}, ["spots_BT23287_C1", "<x>x<y>", "7-10,1,2"]),
        ({"spots": ",X,Y\n"}, ["spots_BT23287_C1", "rows", "no row"]),
        ({"spots": ",Y,X\n7x10,1,2\n"}, ["spots_BT23287_C1", "columns", "the spot's name, X, Y", ",Y,X"]),
        ({"spots": ",X,Y\n7x10,1,2\n7x10,3,4\n"}, ["spots_BT23287_C1", "barcodes", "'7x10' more than once"]),
        ({"spots": ""}, ["spots_BT23287_C1", "rows"]),
        ({"spots": TABS.replace("pixel_x", "px")}, ["spots_BT23287_C1", "columns", "x, y, pixel_x, pixel_y"]),
        ({"labels": "xcoord\tycoord\n"}, ["Coords", "rows", "5 cells", "no row"]),
        ({"labels": "h\nC1\t7\t10\ttumor\n"}, ["Coords", "rows", "5 cells"]),
        ({"labels": "h\nC1\tx\t10\t1\ttumor\n"}, ["Coords", "positions", "numbers"]),
        ({"labels": "h\nC1\t99\t99\t1\ttumor\n"}, ["Coords", "positions", "none of its 1 positions (first: 99x99)"]),
    ],
)
def test_bad_tables_name_file_field_and_fault(write_stnet, changes, parts):
    root = write_stnet(**changes)
    with pytest.raises(DataContractError) as caught:
        read(root)
    for part in (*parts, "Remedy:"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["BC23287_C1_stdata.tsv.gz", "spots_BT23287_C1.csv.gz", "BC23287_C1_Coords.tsv.gz"])
def test_a_gzip_file_cut_short_is_an_error(write_stnet, name):
    path = write_stnet() / name
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataContractError, match=rf"{name}: .*(EOFError|end-of-stream)"):
        read(path.parent)


def test_the_sheet_holds_68_sections_of_23_patients_with_the_published_ids(sheet, shared_golden):
    known = json.loads((shared_golden / "classic" / "folds.json").read_text())
    of_id = known["hest_id_to_section_patient_spots"]
    assert len(sheet) == 68
    assert {row["hest_id"] for row in sheet} == {f"SPA{n}" for n in range(51, 119)}
    assert all(of_id[row["hest_id"]][:2] == [row["slide"], row["patient"]] for row in sheet)
    assert list(dict.fromkeys(row["patient"] for row in sheet)) == known["stnet_patient_order"]


def test_eight_folds_over_the_sheet_are_the_published_ones(sheet, shared_golden):
    known = json.loads((shared_golden / "classic" / "folds.json").read_text())
    patients = {row["slide"]: row["patient"] for row in sheet}
    never = {"by": "none", "fraction": 0.1}
    slides = list(patients.items())
    folds = make_folds(scheme="kfold_by_patient", slides=slides, n_folds=8, seed=2021, validation=never)
    assert [{patients[slide] for slide in fold.test} for fold in folds] == [
        set(p) for p in known["stnet_test_patients"]
    ]


def test_subtypes_are_those_of_the_publication(sheet):
    of_patient = {row["patient"]: row["condition"] for row in sheet}
    counted = {name: list(of_patient.values()).count(name) for name in set(of_patient.values())}
    assert counted == {"HER2_luminal": 5, "HER2_non_luminal": 5, "Luminal_A": 4, "Luminal_B": 5, "TNBC": 4}


def test_the_shared_donors_are_noted_in_both_sheets_and_known_as_data(sheet, repository, shared_golden):
    her2st = base.read_sheet(repository / "workflow" / "sheets" / "her2st.tsv")
    of_id = json.loads((shared_golden / "classic" / "folds.json").read_text())["hest_id_to_section_patient_spots"]
    by_id = {row["hest_id"]: row for row in (*sheet, *her2st)}
    assert len(overlaps.SAME_SECTION) == 12
    for one, other in overlaps.SAME_SECTION.items():
        first, second = by_id[one], by_id[other]
        pair = overlaps.SAME_PATIENT[first["layout"], first["patient"]]
        assert pair == (second["layout"], second["patient"])
        assert abs(of_id[one][2] - of_id[other][2]) <= 1  # spots
        assert f"same tissue as stnet {second['slide']}" in first["note"]
        assert f"same tissue as her2st {first['slide']}" in second["note"]
    noted = {row["patient"] for row in (*sheet, *her2st) if "same tissue" in row["note"]}
    assert noted == {name for pair in overlaps.SAME_PATIENT.items() for _, name in pair}


def test_shared_donors_are_found_by_patient_and_by_hest_id(sheet):
    of_her2st = {"slide": "F1", "layout": "her2st", "patient": "F", "hest_id": "SPA127"}
    in_hest = {"slide": "SPA122", "layout": "hest", "patient": "patient-g-of-x", "hest_id": "SPA122"}  # G3
    assert overlaps.shared_donors(sheet) == []
    assert overlaps.shared_donors([*sheet, of_her2st, in_hest]) == [
        (("her2st", "F"), ("stnet", "BC23810")),
        (("her2st", "G"), ("stnet", "BC23903")),
    ]
    assert overlaps.shared_donors([of_her2st, in_hest]) == []
