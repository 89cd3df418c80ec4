import csv
import json

import h5py
import numpy as np
import pytest

from stainscript.artifacts.files import write_json
from stainscript.datasets import base, hest_release
from stainscript.datasets.hest_files import PatchFile, write_patches
from stainscript.errors import DataContractError

BARCODES = ["AAAC-1", "CCCG-1", "GGGT-1"]
COORDS = np.array([[30, 35], [155, -9], [280, 35]])
ATTRIBUTES = {"patch_size_src": 20, "patch_size_target": 4, "downsample": 0.625, "pixel_size": 0.8}


def coded(n=3, side=4):
    """Image k is filled with k; red counts columns and green rows, so that turned axes or colours are found."""
    images = np.zeros((n, side, side, 3), np.uint8)
    images[..., 0], images[..., 1] = np.arange(side)[None, :], np.arange(side)[:, None]
    images[..., 2] = np.arange(n)[:, None, None]
    return images


@pytest.fixture
def patch_file(tmp_path):
    path = tmp_path / "T1.h5"
    write_patches(path, barcodes=BARCODES, coords=COORDS, images=coded(), attributes=ATTRIBUTES)
    return path


def replace(path, name, values, **options):
    with h5py.File(path, "a") as file:
        del file[name]
        if values is not None:
            file.create_dataset(name, data=values, **options)


def test_the_golden_patch_file_reads_with_its_attributes(shared_golden):
    with PatchFile(shared_golden / "histoprism" / "hest_files" / "patches" / "TOY1.h5") as patches:
        assert (len(patches), patches.width_px, patches.coords.dtype) == (65, 32, np.int64)
        assert patches.coords[0].tolist() == [30, 35]
        assert patches.barcodes[0] == "AAAAACGTACGTACGT-1"
        assert patches.attributes == {
            "patch_size_src": 20,
            "patch_size_target": 32,
            "downsample": 0.625,
            "pixel_size": 0.8,
        }


def test_the_golden_file_written_again_is_equal_in_values_form_and_layout(shared_golden, tmp_path):
    path, again = shared_golden / "histoprism" / "hest_files" / "patches" / "TOY1.h5", tmp_path / "again.h5"
    with PatchFile(path) as patches:
        images = np.concatenate(list(patches.blocks(range(65), size=20)))
        write_patches(
            again, barcodes=patches.barcodes, coords=patches.coords, images=images, attributes=patches.attributes
        )
    with h5py.File(path) as first, h5py.File(again) as second:
        assert set(first) == set(second)
        for name in first:
            a, b = first[name], second[name]
            assert (a.shape, a.dtype, a.chunks, a.maxshape) == (b.shape, b.dtype, b.chunks, b.maxshape)
            assert (a[()] == b[()]).all()
            assert dict(a.attrs) == dict(b.attrs)


def test_blocks_come_in_the_order_asked_for_whatever_the_order(patch_file):
    with PatchFile(patch_file) as patches:
        blocks = list(patches.blocks([2, 0, 1, 2, 0], size=2))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert np.concatenate(blocks)[:, 0, 0, 2].tolist() == [2, 0, 1, 2, 0]
    assert (blocks[0][0] == coded()[2]).all()


def test_only_the_rows_of_a_block_are_read(patch_file, monkeypatch):
    asked = []
    whole = h5py.Dataset.__getitem__

    def counted(self, rows, *rest):
        got = whole(self, rows, *rest)
        if self.name == "/img":
            asked.append(got.size // (4 * 4 * 3))
        return got

    with PatchFile(patch_file) as patches:
        monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
        list(patches.blocks([0, 1, 2, 0], size=2))
    assert asked == [2, 1, 1]  # rows that follow each other at once, others one by one


def test_rows_follow_the_barcodes_and_not_the_position(patch_file):
    with PatchFile(patch_file) as patches:
        assert patches.rows_of(["GGGT-1", "AAAC-1"]).tolist() == [2, 0]
        with pytest.raises(DataContractError, match=r"T1\.h5: barcode: .*1 of 2 without a patch \(first: TTTA-1\)"):
            patches.rows_of(["AAAC-1", "TTTA-1"])


@pytest.mark.parametrize(
    "stored",
    [
        np.array([[b.encode()] for b in BARCODES]),
        np.array([b.encode() for b in BARCODES]),
        np.array([[f"[b'{b}']".encode()] for b in BARCODES]),
        np.array([f"['{b}']".encode() for b in BARCODES]),
        np.array([f"b'{b}'".encode() for b in BARCODES]),
        np.array([[b] for b in BARCODES], dtype=h5py.string_dtype()),
    ],
)
@pytest.mark.parametrize("key", ["barcode", "barcodes"])
def test_barcodes_are_read_in_every_form_under_both_names(patch_file, stored, key):
    with h5py.File(patch_file, "a") as file:
        del file["barcode"]
        file[key] = stored
    with PatchFile(patch_file) as patches:
        assert list(patches.barcodes) == BARCODES


def test_a_file_of_coordinates_only_has_no_images_and_no_attributes(tmp_path):
    path = tmp_path / "coords.h5"
    write_patches(path, barcodes=BARCODES, coords=COORDS)
    with PatchFile(path) as patches:
        assert (patches.width_px, patches.attributes, len(patches)) == (None, {}, 3)
        with pytest.raises(DataContractError, match="img: expected images; found coordinates only"):
            next(patches.blocks([0], size=1))


@pytest.mark.parametrize(
    ("name", "values", "parts"),
    [
        ("coords", None, ["data sets", "found barcode, img"]),
        ("barcode", None, ["data sets", "found coords, img"]),
        ("coords", COORDS[:2], ["shapes", "coords (2, 2)"]),
        ("coords", np.zeros((3, 4)), ["shapes", "coords (3, 4)"]),
        ("img", coded(2), ["shapes", "img (2, 4, 4, 3)"]),
        ("img", coded()[..., 0], ["shapes", "img (3, 4, 4)"]),
        ("img", coded().astype(np.float32), ["img", "expected uint8; found float32"]),
        ("barcode", np.array([[b"A", b"B"]] * 3), ["barcode", "2 barcodes for each patch"]),
        ("barcode", np.array([b"A", b"B", b"A"]), ["barcode", "'A' more than once"]),
    ],
)
def test_files_of_another_form_name_the_field(patch_file, name, values, parts):
    replace(patch_file, name, values)
    with pytest.raises(DataContractError) as caught:
        PatchFile(patch_file)
    for part in (str(patch_file), *parts, "Remedy:"):
        assert part in str(caught.value)


def test_missing_empty_truncated_and_patchless_files_are_each_one_error(patch_file, tmp_path):
    with pytest.raises(DataContractError, match="found no such file"):
        PatchFile(tmp_path / "absent.h5")
    whole = patch_file.read_bytes()
    for content in (b"", whole[: len(whole) // 2]):
        patch_file.write_bytes(content)
        with pytest.raises(DataContractError, match="a complete HDF5 file"):
            PatchFile(patch_file)
    write_patches(patch_file, barcodes=[], coords=np.zeros((0, 2)))
    with pytest.raises(DataContractError, match="at least one patch"):
        PatchFile(patch_file)


def test_metadata_survive_writing_and_reading_and_the_pixel_size_must_be_a_number(tmp_path):
    path = tmp_path / "T1.json"
    path.write_text('{"a": NaN, "b": Infinity, "pixel_size_um_estimated": 0.25, "c": ["x", 1.5]}')
    first = hest_release.read_metadata(path)
    assert first == {"a": None, "b": None, "pixel_size_um_estimated": 0.25, "c": ["x", 1.5]}
    write_json(path, first)
    assert hest_release.read_metadata(path) == first
    assert hest_release.pixel_size(first, path=path) == 0.25
    for wrong in (True, "0.25", None, -1, 100):
        with pytest.raises(DataContractError, match=r"T1\.json: pixel_size_um_estimated: "):
            hest_release.pixel_size({"pixel_size_um_estimated": wrong}, path=path)
    with pytest.raises(DataContractError, match=r"absent\.json: metadata: expected a JSON file; found no such file"):
        hest_release.read_metadata(tmp_path / "absent.json")


TABLE = [  # id, title, organ, state, oncotree, species, patient, technology
    ["X1", "Study one, with a comma", "Breast", "Cancer", "IDC", "Homo sapiens", "Patient 1", "Visium"],
    ["X2", "Study one, with a comma", "Breast", "Cancer", "IDC", "Homo sapiens", "patient1", "Visium"],
    ["X3", "Study two", "Skin", "Healthy", "", "Homo sapiens", "Patient 1", "Xenium"],
    ["X4", "Study two", "Skin", "Healthy", "", "Homo sapiens", "", "Xenium"],
    ["X5", "Study two", "Brain", "Healthy", "", "Mus musculus", "", "Visium"],
]
COLUMNS = ["id", "dataset_title", "organ", "disease_state", "oncotree_code", "species", "patient", "st_technology"]


@pytest.fixture
def release(tmp_path):
    def write(rows=TABLE, columns=COLUMNS):
        path = tmp_path / "HEST_v1_1_0.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as handle:
            csv.writer(handle).writerows([columns, *rows])
        return path

    return write


def test_a_sheet_is_made_from_the_release_table_with_its_byte_order_mark(release, tmp_path):
    rows = hest_release.sheet_from_release(release(), where=lambda row: row["species"] == "Homo sapiens")
    assert [row["slide"] for row in rows] == ["X1", "X2", "X3", "X4"] == [row["hest_id"] for row in rows]
    patients = [row["patient"] for row in rows]
    assert patients[0] == patients[1]  # "Patient 1" and "patient1" of one study
    assert len(set(patients[1:])) == 2  # another study's patient 1 is another; no patient counts as patient 1
    assert patients[2] == patients[3]
    assert [row["condition"] for row in rows] == ["IDC", "IDC", "Healthy", "Healthy"]
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("\n".join("\t".join(cells) for cells in [list(rows[0]), *(row.values() for row in rows)]))
    assert [row["platform"] for row in base.read_sheet(sheet)] == ["Visium", "Visium", "Xenium", "Xenium"]


def test_the_patient_does_not_depend_on_what_else_is_chosen(release):
    every = hest_release.sheet_from_release(release(), where=lambda row: True)
    one = hest_release.sheet_from_release(release(), where=lambda row: row["id"] == "X3")
    assert one == [every[2]]


@pytest.mark.parametrize(
    ("rows", "columns", "part"),
    [
        (TABLE, [*COLUMNS[:-1], "technology"], "no column st_technology"),
        ([], COLUMNS, "no row"),
        ([*TABLE, TABLE[0]], COLUMNS, "'X1' more than once"),
        ([TABLE[0][:5]], COLUMNS, "row 1"),
        ([["", *TABLE[0][1:]]], COLUMNS, "row 1"),
    ],
)
def test_a_damaged_release_table_is_one_error(release, rows, columns, part):
    with pytest.raises(DataContractError, match=rf"HEST_v1_1_0\.csv.*{part}"):
        hest_release.sheet_from_release(release(rows, columns), where=lambda row: True)


def test_a_choice_that_no_slide_meets_and_an_absent_table_are_said(release, tmp_path):
    with pytest.raises(DataContractError, match="at least one slide that meets the condition; found none"):
        hest_release.sheet_from_release(release(), where=lambda row: row["organ"] == "Breats")
    with pytest.raises(DataContractError, match="found no such file"):
        hest_release.sheet_from_release(tmp_path / "absent.csv", where=lambda row: True)


def test_metadata_that_are_no_object_are_refused(tmp_path):
    path = tmp_path / "T1.json"
    path.write_text(json.dumps([1]))
    with pytest.raises(DataContractError, match="a JSON object; found list"):
        hest_release.read_metadata(path)
