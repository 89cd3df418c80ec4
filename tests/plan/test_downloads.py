"""What the target ``download`` fetches: the files of the sheet's slides, each once, into the dataset's root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from stainscript.errors import DataContractError
from stainscript.plan.jobs import Plan

SHEET = "slide\tpatient\tlayout\tcondition\nA1\tA\tlegacy_st\tlean\nB1\tB\tlegacy_st\tfat\n"
MANIFEST = (
    "path\tslide\turl\tlicence\n"
    "README.md\t\thttps://example.org/readme\tCC0\n"
    "counts/A1.tsv\tA1\thttps://example.org/a1\tCC0\n"
    "counts/B1.tsv\tB1\thttps://example.org/b1\tCC0\n"
    "counts/Z9.tsv\tZ9\thttps://example.org/z9\tCC0\n"  # of no slide of the sheet
    "images/{slide}.jpg\t*\thttps://example.org/images/{slide}\tCC BY 4.0\n"
)


@pytest.fixture
def plan(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """A working folder with a dataset ``toy``: its own sheet, and a manifest of that name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.tsv").write_text(SHEET)
    manifests = tmp_path / "workflow/sheets/downloads"
    manifests.mkdir(parents=True)
    (manifests / "toy.tsv").write_text(MANIFEST)

    def make(change: Callable[[dict], object] = lambda c: None, **toy: object) -> Plan:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        raw["datasets"]["toy"] = {"sheet": "toy.tsv", "root": "data", **toy}
        raw["download"] = ["toy"]
        change(raw)
        return Plan(raw, repository=repository)

    return make


def records(made: Plan) -> list[str]:
    return [name.removeprefix("results/downloads/toy/") for name in made.download_records()]


def test_one_record_a_file_of_the_sheets_slides(plan: Callable[..., Plan]) -> None:
    every = ["README.md.json", "counts/A1.tsv.json", "counts/B1.tsv.json", "images/A1.jpg.json", "images/B1.jpg.json"]
    assert records(plan()) == every


def test_excluded_slides_and_rows_that_are_not_chosen_need_no_files(plan: Callable[..., Plan]) -> None:
    of_b1 = ["README.md.json", "counts/B1.tsv.json", "images/B1.jpg.json"]
    assert records(plan(exclude={"A1": "misaligned"})) == of_b1
    assert records(plan(only={"condition": "fat"})) == of_b1


def test_params_are_the_row_and_where_it_goes(plan: Callable[..., Plan]) -> None:
    params = plan(root="~/data").download_params(SimpleNamespace(dataset="toy", file="images/B1.jpg"))
    assert (params["dataset"], params["root"]) == ("toy", str(Path.home() / "data"))
    source = params["source"]
    assert (source["path"], source["url"]) == ("images/B1.jpg", "https://example.org/images/B1")
    assert (source["slide"], source["licence"]) == ("B1", "CC BY 4.0")
    assert "code" not in params  # gigabytes are not fetched again because a program changed


def test_the_slides_need_not_be_here_yet(plan: Callable[..., Plan], tmp_path: Path) -> None:
    assert "toy" not in plan().cohorts
    assert not (tmp_path / "data").exists()


def test_without_a_dataset_the_message_says_how_to_name_one(plan: Callable[..., Plan]) -> None:
    with pytest.raises(DataContractError, match=r"config\.yaml: download: expected the datasets to fetch; found none"):
        plan(lambda c: c.update(download=[])).download_records()


@pytest.mark.parametrize(
    ("toy", "found"),
    [({"root": None}, "found null"), ({"generator": "phantom"}, "found a dataset that phantom draws")],
)
def test_without_a_folder_to_fetch_into_nothing_is_fetched(plan: Callable[..., Plan], toy: dict, found: str) -> None:
    with pytest.raises(DataContractError, match=r"datasets\.toy\.root: expected the folder to fetch into; " + found):
        plan(**toy).download_records()


def test_a_dataset_without_a_manifest_names_the_file_that_is_missing(plan: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "workflow/sheets/downloads/toy.tsv").unlink()
    with pytest.raises(DataContractError, match=r"workflow/sheets/downloads/toy\.tsv: path: expected an existing file"):
        plan().download_records()


def test_the_working_folders_own_manifest_wins(plan: Callable[..., Plan], tmp_path: Path) -> None:
    made = plan(lambda c: (c.update(download=["her2st"]), c["datasets"]["her2st"].update(root="data")))
    shipped = made.download_records()
    assert len(shipped) > 36
    (tmp_path / "workflow/sheets/downloads/her2st.tsv").write_text(MANIFEST.replace("Z9", "C3"))
    assert made.download_records() != shipped
    assert "results/downloads/her2st/counts/C3.tsv.json" in made.download_records()


def test_a_manifest_of_another_name_is_named_by_the_dataset(plan: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "files.tsv").write_text(MANIFEST.replace("README.md", "LICENSE"))
    assert records(plan(downloads="files.tsv"))[0] == "LICENSE.json"
    with pytest.raises(DataContractError, match=r"nowhere\.tsv: path: expected an existing file"):
        records(plan(downloads="nowhere.tsv"))


def test_a_misspelt_dataset_is_named_with_the_near_one(plan: Callable[..., Plan]) -> None:
    with pytest.raises(DataContractError, match=r"download.*'toi'.*did you mean 'toy'"):
        plan(lambda c: c.update(download=["toi"]))
