"""Which slides of a sheet are used here: chosen rows, exclusions with their reason, raw files that exist."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stainscript import config
from stainscript.errors import DataContractError
from stainscript.plan.cohorts import Row, locate, read_cohorts, with_task

SHEET = "slide\tpatient\tlayout\tcondition\nA1\tA\twsi\tlean\nA2\tA\twsi\tfat\nB1\tB\twsi\tlean\nB2\tB\twsi\tfat\n"


@pytest.fixture
def read(repository: Path, tmp_path: Path) -> Callable[..., dict[str, Row]]:
    """The rows of a dataset whose slides A1, A2 and B1 have an image; B2 has none."""
    (tmp_path / "toy.tsv").write_text(SHEET)
    for slide in ("A1", "A2", "B1"):
        (tmp_path / f"{slide}.png").touch()

    def run(**toy: object) -> dict[str, Row]:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        raw["datasets"]["toy"] = {"sheet": str(tmp_path / "toy.tsv"), "root": str(tmp_path), **toy}
        made = config.load(raw, folders=[repository / "workflow"])
        return read_cohorts(made, datasets=["toy"], repository=repository)["toy"]

    return run


def test_slides_come_in_sheet_order_and_one_without_files_is_left_out_aloud(read, caplog) -> None:
    rows = read()
    assert list(rows) == ["A1", "A2", "B1"]
    assert "toy B2 is left out: no image" in caplog.text
    assert (rows["B1"].patient, rows["B1"].measured, rows["B1"].generated) == ("B", False, False)
    assert Path(rows["B1"].files["image"]).name == "B1.png"


def test_an_excluded_slide_is_left_out_with_its_reason(read, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(read(exclude={"A2": "spots of another section"})) == ["A1", "B1"]
    assert "toy A2 is excluded: spots of another section" in caplog.text


def test_an_excluded_slide_that_the_sheet_lacks_is_a_misspelling(read) -> None:
    with pytest.raises(DataContractError, match=r"datasets\.toy\.exclude: .*'A22'.*did you mean 'A2'"):
        read(exclude={"A22": "misaligned"})


def test_only_the_rows_that_hold_the_given_cells_are_used(read) -> None:
    assert list(read(only={"condition": "lean"})) == ["A1", "B1"]
    assert list(read(only={"condition": "lean", "patient": "B"})) == ["B1"]


def test_a_slide_that_only_leaves_out_cannot_be_excluded_too(read) -> None:
    with pytest.raises(DataContractError, match=r"datasets\.toy\.exclude: .*'A2'"):
        read(only={"condition": "lean"}, exclude={"A2": "misaligned"})


def test_only_by_an_unknown_column_names_the_near_one(read) -> None:
    with pytest.raises(DataContractError, match=r"datasets\.toy\.only: .*'conditon'.*did you mean 'condition'"):
        read(only={"conditon": "lean"})


def test_no_slide_at_all_says_where_they_were_looked_for(read, tmp_path: Path) -> None:
    for chosen in ({"only": {"condition": "none such"}}, {"exclude": dict.fromkeys(("A1", "A2", "B1"), "why")}):
        with pytest.raises(DataContractError, match=r"toy\.tsv: slide: expected at least one slide .*found none"):
            read(**chosen)
    with pytest.raises(DataContractError, match=r"datasets\.toy\.root: .*which is no folder"):
        read(root=str(tmp_path / "nowhere"))


@pytest.fixture
def outs(repository: Path, tmp_path: Path) -> Callable[..., dict[str, Row]]:
    """A Space Ranger output without its full-resolution image; only names matter here."""
    folder = tmp_path / "V1" / "outs"
    (folder / "spatial").mkdir(parents=True)
    (folder / "filtered_feature_bc_matrix.h5").touch()
    (folder / "spatial/tissue_hires_image.png").touch()
    (folder / "spatial/scalefactors_json.json").write_text('{"tissue_hires_scalef": 0.25}')
    (folder / "spatial/tissue_positions_list.csv").write_text("AAAC-1,1,0,0,100,100\nAAAG-1,1,0,2,100,300\n")
    (tmp_path / "toy.tsv").write_text("slide\tpatient\tlayout\nV1\tV\tvisium\n")

    def run(**options: object) -> dict[str, Row]:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        raw["datasets"]["toy"] = {"sheet": str(tmp_path / "toy.tsv"), "root": str(tmp_path), "options": options}
        made = config.load(raw, folders=[repository / "workflow"])
        return read_cohorts(made, datasets=["toy"], repository=repository)["toy"]

    return run


def test_options_that_choose_files_are_handed_to_the_layout(outs, caplog) -> None:
    row = outs(image="hires")["V1"]
    assert Path(row.files["image"]).name == "tissue_hires_image.png"
    with pytest.raises(DataContractError, match="at least one slide"):
        outs()
    assert "toy V1 is left out" in caplog.text
    assert "hires" in caplog.text  # and what it would cost


@pytest.mark.parametrize(
    ("options", "words"), [({"image": "hirez"}, "did you mean 'hires'"), ({"imag": "hires"}, "did you mean 'image'")]
)
def test_a_misspelt_option_stops_the_plan(outs, options: dict, words: str) -> None:
    with pytest.raises(DataContractError, match=words):
        outs(**options)


def test_a_path_is_looked_for_in_the_working_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, repository = tmp_path / "own", tmp_path / "repository"
    for folder in (own, repository):
        folder.mkdir()
    (repository / "a.tsv").touch()
    monkeypatch.chdir(own)
    assert locate("a.tsv", repository) == repository / "a.tsv"
    (own / "a.tsv").touch()
    assert locate("a.tsv", repository).resolve() == (own / "a.tsv").resolve()
    with pytest.raises(DataContractError, match=r"b\.tsv: path: expected an existing file"):
        locate("b.tsv", repository)


def test_a_datasets_task_stands_for_the_braces() -> None:
    assert with_task("{task}/var_50genes.json", "hest_LYMPH_IDC") == "LYMPH_IDC/var_50genes.json"
    assert with_task("genes.txt", "phantom") == "genes.txt"
    with pytest.raises(DataContractError, match=r"datasets\.phantom"):
        with_task("{task}/genes.txt", "phantom")
