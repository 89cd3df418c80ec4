"""Sheets against files."""

from __future__ import annotations

from pathlib import Path

import pytest

from stainscript.doctor import cohorts
from stainscript.doctor.findings import Finding

SHEET = "slide\tpatient\tlayout\n"


@pytest.fixture
def found(config, repository, tmp_path):
    """What is said of a dataset of plain slides S0, S1, … of which some have an image."""

    def ask(n_slides: int, *, here: list[int], **keys: object) -> tuple[dict, list[Finding]]:
        (tmp_path / "sheet.tsv").write_text(SHEET + "".join(f"S{n}\tP{n}\twsi\n" for n in range(n_slides)))
        (tmp_path / "raw").mkdir(exist_ok=True)
        for n in here:
            (tmp_path / "raw" / f"S{n}.tif").touch()
        entry = {"sheet": str(tmp_path / "sheet.tsv"), "root": str(tmp_path / "raw")} | keys
        made = config(lambda c: c["datasets"].update(own=entry))
        survey = cohorts.survey(made, "own", repository=repository)
        return survey.rows, cohorts.findings({"own": survey}, fetched=())

    return ask


def test_slides_without_files_are_left_out_in_one_line_with_reasons(found):
    rows, (summary, left_out) = found(9, here=[0, 1])
    assert list(rows) == ["S0", "S1"]
    assert (summary.level, summary.found) == (
        "ok",
        "2 of 9 slides are used and have all their files (0 with expression)",
    )
    assert left_out.level == "note"
    assert left_out.found.startswith("7 left out for want of files: S2 (no image")
    assert left_out.found.endswith("and 2 more")
    assert "goes on without" in left_out.remedy


def test_excluded_slides_are_noted_with_their_reasons(found):
    rows, (_, excluded) = found(3, here=[0, 1, 2], exclude={"S1": "misaligned"})
    assert list(rows) == ["S0", "S2"]
    assert (excluded.level, excluded.subject, excluded.found) == ("note", "own S1", "excluded: misaligned")


def test_many_excluded_slides_are_counted(found):
    _, findings = found(8, here=list(range(8)), exclude={f"S{n}": "blurred" for n in range(7)})
    assert [f.subject for f in findings[1:]] == ["own S0", "own S1", "own S2", "own S3", "own S4", "own"]
    assert findings[-1].found == "2 more excluded: S5, S6"


def test_only_the_chosen_rows_of_a_sheet_count(found):
    rows, findings = found(3, here=[0, 1, 2], only={"patient": "P1"})
    assert list(rows) == ["S1"]
    assert findings[0].found.startswith("1 of 1 slides")


def test_no_slide_with_its_files_is_missing_and_the_reasons_are_given(found):
    rows, (missing, left_out) = found(2, here=[])
    assert not rows
    assert missing.level == "missing"
    assert "at least one slide with its files" in missing.found
    assert left_out.found.startswith("2 left out for want of files: S0 (no image")
    assert "goes on" not in left_out.remedy


def test_an_option_that_the_layout_does_not_have_is_found_before_ingest(found):
    _, findings = found(1, here=[0], options={"pich_um": 112.0})
    assert findings[1].level == "missing"
    assert "pitch_um" in findings[1].remedy


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"root": "/nowhere"}, "which is no folder"),
        ({"exclude": {"S9": "typo"}}, "S9"),
        ({"only": {"patients": "P1"}}, "patients"),
    ],
)
def test_what_would_stop_the_run_is_missing(found, keys, words):
    rows, findings = found(2, here=[0], **keys)
    assert not rows
    assert findings[0].level == "missing"
    assert words in findings[0].found


def test_a_damaged_sheet_is_missing_with_its_line(config, repository, tmp_path):
    (tmp_path / "sheet.tsv").write_text(SHEET + "S0\t\twsi\n")
    made = config(lambda c: c["datasets"].update(own={"sheet": str(tmp_path / "sheet.tsv")}))
    finding = cohorts.survey(made, "own", repository=repository).findings[0]
    assert finding.level == "missing"
    assert "patient, line 2" in finding.found


def test_datasets_without_a_root_share_one_line_that_says_how_to_fetch(config, repository):
    made = config()
    names = ["hest_IDC", "hest_PRAD"]
    surveys = {name: cohorts.survey(made, name, repository=repository) for name in names}
    fetched = cohorts.fetched(made, ["phantom", *names], repository=repository)
    (finding,) = cohorts.findings(surveys, fetched=fetched)
    assert (finding.level, finding.subject) == ("missing", "hest_IDC, hest_PRAD")
    assert "datasets.hest_IDC.root" in finding.remedy
    assert "snakemake download --config 'download=[hest_IDC]'" in finding.remedy
    assert fetched == set(names)


def test_without_a_root_the_rest_of_the_dataset_is_looked_at_all_the_same(found):
    _, findings = found(2, here=[], root=None, exclude={"S0": "blurred"})
    assert [(f.level, f.subject) for f in findings] == [("note", "own S0"), ("missing", "own")]
    _, findings = found(2, here=[], root=None, only={"patients": "P1"})
    assert [f.level for f in findings] == ["missing", "missing"]
    assert "patients" in findings[0].found
    assert findings[1].found.startswith("no root")


def test_a_drawn_dataset_needs_no_files(config, repository):
    survey = cohorts.survey(config(), "phantom", repository=repository)
    assert [f.found for f in survey.findings] == ["7 slides (6 with expression), drawn by phantom"]
    assert not Path("results").exists()
