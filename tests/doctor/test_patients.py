"""Who stands on both sides."""

from __future__ import annotations

import pytest

from stainscript.doctor import patients


@pytest.fixture
def her2st(row):
    """Slides of the dataset ``her2st``; the first letter is the patient."""

    def make(*slides: str, dataset: str = "her2st", **cells: str):
        return {dataset: {slide: row(dataset, slide, layout="her2st", cells=cells) for slide in slides}}

    return make


def said(config, cohorts, split: str):
    (finding,) = patients.splits(config, cohorts, {("her2st", split)})
    return finding


def test_patients_on_both_sides_are_named(config, her2st):
    cohorts = her2st("B1", "C1", "C2", "D1", "D2")
    shared = said(config(), cohorts, "leave_one_slide_out")
    assert shared.level == "note"
    assert shared.found == "5 folds; patients in both train and test: C, D (allow_shared_patients is set)"
    apart = said(config(), cohorts, "leave_one_patient_out")
    assert (apart.level, apart.found) == ("ok", "3 folds of 5 slides and 3 patients, none of them on both sides")


def test_a_split_that_shares_patients_without_saying_so_is_missing(config, her2st):
    made = config(lambda c: c["splits"]["leave_one_slide_out"].pop("allow_shared_patients"))
    finding = said(made, her2st("B1", "C1", "C2"), "leave_one_slide_out")
    assert finding.level == "missing"
    assert "patient C in train (C2) and in test (C1)" in finding.found
    assert "leave_one_patient_out" in finding.remedy


def test_every_split_is_looked_at_although_one_cannot_be_made(config, her2st):
    made = config(lambda c: c["splits"].update(five={"scheme": "kfold_by_patient", "n_folds": 5}))
    pairs = {("her2st", "five"), ("her2st", "leave_one_patient_out")}
    assert [f.level for f in patients.splits(made, her2st("B1", "C1"), pairs)] == ["missing", "ok"]


def test_slides_without_expression_are_in_no_fold(config, her2st, row):
    cohorts = her2st("B1", "C1")
    cohorts["her2st"]["C2"] = row("her2st", "C2", measured=False)
    assert said(config(), cohorts, "leave_one_slide_out").level == "ok"


def test_donors_of_two_cohorts_are_named_with_the_remedy(her2st, row):
    stnet = {"BC23567_D2": row("stnet", "BC23567_D2", patient="BC23567", layout="stnet")}
    (finding,) = patients.between({**her2st("E1", "F1"), "stnet": stnet})
    assert (finding.level, finding.subject) == ("note", "her2st and stnet")
    assert finding.found == "the same donors: her2st E = stnet BC23567"
    assert "never train on one and test on the other" in finding.remedy


def test_a_donor_under_two_names_within_one_dataset_is_named_once(row):
    rows = {
        "x": row("hest", "x", patient="1", layout="hest", cells={"hest_id": "SPA130"}),
        "y": row("hest", "y", patient="2", layout="hest", cells={"hest_id": "SPA104"}),
    }
    (finding,) = patients.between({"hest": rows})
    assert (finding.level, finding.subject) == ("note", "hest")
    assert finding.found == "one donor, two names: her2st E = stnet BC23567"
    assert "column patient" in finding.remedy


def test_slides_of_one_hest_id_are_found_between_and_within_datasets(row):
    def slide(dataset: str, name: str, hest_id: str):
        return row(dataset, name, cells={"hest_id": hest_id})

    first = {"a": slide("first", "a", "TENX1"), "b": slide("first", "b", ""), "c": slide("first", "c", "TENX2")}
    second = {"x": slide("second", "x", "TENX1"), "y": slide("second", "y", "")}
    (finding,) = patients.between({"first": first, "second": second})
    assert finding.found == "the same by HEST id: 1 slide: a = x (TENX1)"
    first["d"] = slide("first", "d", "TENX2")
    assert patients.between({"first": first})[0].found == "one HEST id, several slides: TENX2 (c, d)"


def test_datasets_that_share_nobody_are_ok(her2st):
    (finding,) = patients.between({**her2st("A1"), **her2st("B1", dataset="other")})
    assert (finding.level, finding.found) == ("ok", "her2st, other: no known donor or slide in two of them")
    assert patients.between({}) == []
