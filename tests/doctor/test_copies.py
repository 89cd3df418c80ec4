"""One slide under two names."""

from __future__ import annotations

import pytest

from stainscript.doctor import copies


@pytest.fixture
def cohorts(row, tmp_path):
    """Slides of datasets with images of these contents."""

    def make(**contents: dict[str, bytes]):
        made: dict[str, dict] = {}
        for dataset, slides in contents.items():
            for slide, content in slides.items():
                path = tmp_path / f"{dataset}.{slide}.jpg"
                path.write_bytes(content)
                made.setdefault(dataset, {})[slide] = row(dataset, slide, files={"image": str(path)})
        return made

    return make


def test_different_slides_are_no_copies(cohorts):
    (finding,) = copies.copies(cohorts(own={"a": b"one", "b": b"two", "c": b"three"}))
    assert (finding.level, finding.found) == ("ok", "none among 3 images, patch files and counts")


def test_equal_images_in_one_dataset_are_missing_an_exclusion(cohorts):
    (finding,) = copies.copies(cohorts(own={"a": b"one", "b": b"two", "c": b"one"}))
    assert (finding.level, finding.subject, finding.found) == ("missing", "own a, own c", "the same image")
    assert "datasets.own.exclude: {c: copy of a}" in finding.remedy


def test_equal_images_in_two_datasets_are_a_note(cohorts):
    (finding,) = copies.copies(cohorts(own={"a": b"one"}, other={"x": b"one"}))
    assert (finding.level, finding.subject) == ("note", "own a, other x")
    assert "never train on one" in finding.remedy


def test_files_that_differ_in_the_middle_alone_are_no_copies(cohorts):
    ends = b"x" * copies.PROBE_BYTES
    (finding,) = copies.copies(cohorts(own={"a": ends + b"1" + ends, "b": ends + b"2" + ends}))
    assert finding.level == "ok"


def test_whole_files_are_read_where_sizes_and_ends_agree_alone(cohorts, monkeypatch):
    read = []
    monkeypatch.setattr(copies, "file_sha256", lambda path: read.append(path.name) or "same")
    ends = b"x" * copies.PROBE_BYTES
    slides = {"a": ends + b"1" + ends, "b": ends + b"2" + ends, "c": b"short", "d": b"y" * len(ends) + b"1" + ends}
    copies.copies(cohorts(own=slides))
    assert sorted(read) == ["own.a.jpg", "own.b.jpg"]


def test_one_file_that_two_slides_name_is_found_without_reading_it(cohorts, row, monkeypatch):
    monkeypatch.setattr(copies, "file_sha256", lambda path: pytest.fail(f"{path} was read"))
    made = cohorts(own={"a": b"one"})
    made["own"]["b"] = row("own", "b", files=dict(made["own"]["a"].files))
    assert copies.copies(made)[0].level == "missing"


def test_patches_and_counts_are_compared_too_and_drawn_slides_are_not_there_yet(row, tmp_path):
    (tmp_path / "p.h5").write_bytes(b"patches")
    rows = {name: row("own", name, files={"patches": str(tmp_path / "p.h5")}) for name in ("a", "b")}
    assert copies.copies({"own": rows})[0].found == "the same patches"
    drawn = {name: row("own", name, generated=True, files={"image": f"{name}.tif"}) for name in ("a", "b")}
    assert copies.copies({"own": drawn})[0].found == "none among 0 images, patch files and counts; 2 slides are drawn"
