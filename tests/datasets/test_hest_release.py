"""A sheet from a copy of HEST-1k's release table."""

from __future__ import annotations

import csv

import pytest

from stainscript.datasets.base import read_sheet
from stainscript.datasets.hest_release import TABLE_COLUMNS, write_sheet
from stainscript.errors import DataContractError

SLIDES = [
    {"id": "TENX1", "dataset_title": "A study", "organ": "Breast", "patient": "Patient 1", "st_technology": "Visium"},
    {"id": "TENX2", "dataset_title": "A study", "organ": "Breast", "patient": "patient 1", "st_technology": "Xenium"},
    {"id": "NCBI3", "dataset_title": "Another", "organ": "Lung", "patient": "", "st_technology": "Visium"},
    {"id": "TENX4", "dataset_title": "A study", "organ": "Breast", "patient": "Patient 2", "st_technology": "Visium"},
]


@pytest.fixture
def release(tmp_path):
    with (tmp_path / "release.csv").open("w", newline="", encoding="utf-8-sig") as handle:
        table = csv.DictWriter(handle, TABLE_COLUMNS)
        table.writeheader()
        table.writerows(dict.fromkeys(TABLE_COLUMNS, "") | row for row in SLIDES)
    return tmp_path / "release.csv"


def test_the_chosen_slides_make_a_sheet_that_reads(release, tmp_path):
    write_sheet(release, where="organ=Breast,st_technology=Visium", out=tmp_path / "breast.tsv")
    rows = read_sheet(tmp_path / "breast.tsv")
    assert [(row["slide"], row["layout"], row["platform"]) for row in rows] == [
        ("TENX1", "hest", "Visium"),
        ("TENX4", "hest", "Visium"),
    ]
    assert rows[0]["patient"] != rows[1]["patient"]


def test_without_a_condition_every_slide_is_listed_and_one_donor_keeps_one_name(release, tmp_path):
    write_sheet(release, where="", out=tmp_path / "all.tsv")
    rows = {row["slide"]: row for row in read_sheet(tmp_path / "all.tsv")}
    assert list(rows) == ["TENX1", "TENX2", "NCBI3", "TENX4"]
    assert rows["TENX1"]["patient"] == rows["TENX2"]["patient"]


def test_a_misspelt_column_and_an_empty_choice_are_named(release, tmp_path):
    with pytest.raises(DataContractError, match="did you mean 'organ'"):
        write_sheet(release, where="orgn=Breast", out=tmp_path / "s.tsv")
    with pytest.raises(DataContractError, match="at least one slide that meets the condition"):
        write_sheet(release, where="organ=Kidney", out=tmp_path / "s.tsv")
    assert not (tmp_path / "s.tsv").exists()
