import gzip
import json
import logging

import numpy as np
import pytest
from PIL import Image

from stainscript.datasets import base, cscc
from stainscript.errors import DataContractError

ROW = {"slide": "P2_ST_rep1", "patient": "P2", "layout": "cscc"}
COUNTS = "\tKRT5\tA.1\n9x9\t7\t7\n3x2\t4\t0\n2x2\t0\t0\n2x3\t1\t9\n8x8\t1\t1\n"  # 9x9 and 8x8 lie off the tissue
SELECTION = (
    "x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\n"
    "3\t2\t3.0\t2.0\t400\t200\n2\t3\t2.0\t3.0\t200\t400\n2\t2\t2.0\t2.0\t200\t200\n4\t4\t4.0\t4.0\t600\t600\n"
)
FILES = {
    "GSM4284316_P2_ST_rep1_stdata.tsv.gz": COUNTS,
    "GSM4284316_spot_data-selection-P2_ST_rep1.tsv.gz": SELECTION,
}


@pytest.fixture
def write_cscc(tmp_path):
    def write(files=FILES, *, folder=None, image="GSM4284316_P2_ST_rep1.jpg"):
        folder = folder or tmp_path
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            content = text.encode()
            (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        if image:
            Image.new("RGB", (800, 700)).save(folder / image)
        return tmp_path

    return write


def read(root, **options):
    return cscc.read(ROW, cscc.files(ROW, root), options)


def test_counts_of_the_whole_array_are_joined_to_the_spots_under_tissue(write_cscc, caplog):
    with caplog.at_level(logging.INFO):
        raw = read(write_cscc())
    assert list(raw.spots["spot_id"]) == ["2x2", "3x2", "2x3"] == list(raw.adata.obs_names)
    assert raw.spots[["grid_row", "grid_col"]].to_numpy().tolist() == [[2, 2], [2, 3], [3, 2]]
    assert raw.spots[["x_px", "y_px"]].to_numpy().tolist() == [[200, 200], [400, 200], [200, 400]]
    assert raw.adata.X.toarray().tolist() == [[0, 0], [4, 0], [1, 9]]
    assert (raw.adata.X.dtype, raw.adata.X.format) == (np.int32, "csr")
    assert "2 of 5 counted spots lie off the tissue and are left out" in caplog.text
    assert "1 of 4 selected spots have no counts and are left out (first: 4x4)" in caplog.text


def test_the_scale_rests_on_a_pitch_of_150_um_unless_hests_is_asked_for(write_cscc):
    root = write_cscc()  # 200 px from one position to the next
    assert read(root).grid_mpp == pytest.approx(150 / 200)
    assert read(root, pitch_um=110.0).grid_mpp == pytest.approx(0.55)
    assert read(root).spot_diameter_um == 110.0 < cscc.PITCH_UM


@pytest.mark.parametrize("prefix", ["GSM4284316_", ""])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_names_with_and_without_the_accession_gzipped_or_plain_are_found(write_cscc, tmp_path, prefix, end):
    names = {
        f"{prefix}P2_ST_rep1_stdata.tsv{end}": COUNTS,
        f"{prefix}spot_data-selection-P2_ST_rep1.tsv{end}": SELECTION,
    }
    root = write_cscc(names, folder=tmp_path / "GSE144240_RAW", image=f"{prefix}P2_ST_rep1.jpg")
    assert cscc.missing(ROW, root) is None
    assert read(root).adata.n_obs == 3


def test_no_sections_file_passes_for_anothers(write_cscc):
    root = write_cscc()
    other = ROW | {"slide": "P2_ST_rep11"}
    assert cscc.files(other, root) == {}
    assert cscc.files(ROW | {"slide": "ST_rep1"}, root) == {}
    assert cscc.files(ROW, None) == {}


def test_expected_names_carry_the_accessions_in_order(tmp_path):
    first, last = (cscc.expected_files(ROW | {"slide": name}, tmp_path) for name in ("P2_ST_rep1", "P10_ST_rep3"))
    assert first["counts"].name == "GSM4284316_P2_ST_rep1_stdata.tsv.gz"
    assert last["selection"].name == "GSM4284327_spot_data-selection-P10_ST_rep3.tsv.gz"
    assert last["image"].name == "GSM4284327_P10_ST_rep3.jpg"


def test_what_is_missing_is_said(write_cscc, tmp_path):
    assert cscc.missing(ROW, None) == base.NO_ROOT
    assert cscc.missing(ROW, tmp_path) == "no counts at GSM4284316_P2_ST_rep1_stdata.tsv.gz"
    root = write_cscc(image=None)
    assert cscc.missing(ROW, root) == "no image at GSM4284316_P2_ST_rep1.jpg"
    (root / "GSM4284316_P2_ST_rep1.jpg.gz").write_bytes(b"")
    assert cscc.missing(ROW, root) == "the image GSM4284316_P2_ST_rep1.jpg.gz is compressed: unpack it with gunzip"
    (root / "GSM4284316_spot_data-selection-P2_ST_rep1.tsv.gz").unlink()
    assert cscc.missing(ROW, root) == "no selection at GSM4284316_spot_data-selection-P2_ST_rep1.tsv.gz"
    with pytest.raises(DataContractError, match="selection of slide P2_ST_rep1"):
        read(root)


def test_a_slide_declared_without_expression_needs_no_counts(write_cscc):
    root, row = write_cscc(), ROW | {"has_expression": "false"}
    assert set(cscc.files(row, root)) == {"selection", "image"} == set(cscc.expected_files(row, root))
    raw = cscc.read(row, cscc.files(row, root), {})
    assert raw.adata is None
    assert len(raw.spots) == 4


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (("stdata", COUNTS.replace("4\t0", "-4\t0")), ["stdata", "spot 3x2, gene KRT5", "a negative number (-4"]),
        (("stdata", COUNTS.replace("4\t0", "4.5\t0")), ["stdata", "spot 3x2, gene KRT5", "a fraction (4.5"]),
        (("stdata", COUNTS.replace("3x2", "2x2")), ["stdata", "barcodes", "'2x2' more than once"]),
        (("stdata", COUNTS.replace("A.1", "KRT5")), ["stdata", "gene names", "'KRT5' more than once"]),
        (("stdata", "\tA\n90x1\t1\n91x1\t1\n"), ["stdata", "barcodes", "2 of 2 that match no selected spot"]),
        (("stdata", ""), ["stdata", "a complete tab-separated table"]),
        (("selection", SELECTION.replace("3\t2\t3.0", "2\t2\t3.0")), ["selection", "'2x2' more than once"]),
        (("selection", SELECTION.replace("600", "nan")), ["selection", "line 5", "pixel_x, pixel_y"]),
        (("selection", SELECTION.replace("pixel_x", "px")), ["selection", "columns", "x, y, pixel_x, pixel_y"]),
        (("selection", ""), ["selection", "rows"]),
    ],
)
def test_bad_tables_name_file_field_and_fault(write_cscc, change, parts):
    key, text = change
    files = {name: text if key in name else content for name, content in FILES.items()}
    root = write_cscc(files)
    with pytest.raises(DataContractError) as caught:
        read(root)
    for part in (*parts, "Remedy:"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_gzip_file_cut_short_is_an_error(write_cscc, name):
    path = write_cscc() / name
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataContractError, match=rf"{name}: .*(EOFError|end-of-stream)"):
        read(path.parent)


def test_the_sheet_lists_twelve_sections_with_the_published_ids(repository, shared_golden):
    rows = base.read_sheet(repository / "workflow" / "sheets" / "cscc.tsv")
    assert tuple(row["slide"] for row in rows) == cscc.SECTIONS
    assert [row["hest_id"] for row in rows] == [f"NCBI{n}" for n in range(770, 758, -1)]
    known = json.loads((shared_golden / "classic" / "folds.json").read_text())
    assert list(dict.fromkeys(row["patient"] for row in rows)) == known["cscc"]
    for row in rows:
        section, patient, _ = known["hest_id_to_section_patient_spots"][row["hest_id"]]
        assert (row["slide"], row["patient"]) == (section, patient.replace("Patient ", "P"))
