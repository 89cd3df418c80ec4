"""Manifests of published files: what they may say, and which rows a cohort needs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from stainscript.artifacts.files import file_sha256
from stainscript.datasets import base
from stainscript.downloads import sources
from stainscript.downloads.sources import Source
from stainscript.errors import DataContractError

HEADER = ("path", "slide", "url", "size", "sha256", "unpack", "members", "optional", "licence", "gate", "note")
GOOD = {"path": "data/A1.tsv.gz", "slide": "A1", "url": "https://host.org/A1?x=1&y=2", "licence": "CC BY 4.0"}
FOLDERS = "workflow/sheets/downloads"
NAMES = ["cscc", "dlpfc", "her2st", "hest", "hest_bench", "stnet"]


@pytest.fixture
def manifest(tmp_path):
    def write(*rows, header=HEADER):
        path = tmp_path / "toy.tsv"
        lines = ["\t".join(header), *("\t".join(row.get(name, "") for name in header) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_a_row_is_read_as_it_is_written(manifest):
    row = GOOD | {"size": "12", "sha256": "ab" * 32, "optional": "true", "gate": "ask", "note": 'said "so"'}
    assert sources.read(manifest(row)) == [
        Source(
            path="data/A1.tsv.gz",
            slide="A1",
            url="https://host.org/A1?x=1&y=2",
            size=12,
            sha256="ab" * 32,
            licence="CC BY 4.0",
            optional=True,
            gate="ask",
            note='said "so"',
        )
    ]


def test_what_nobody_published_stays_open(manifest):
    (row,) = sources.read(manifest(GOOD, header=("path", "slide", "url", "licence")))
    assert (row.size, row.sha256, row.unpack, row.gate, row.optional) == (None, "", "", "", False)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../A1", "a/../../A1", "a//b", "", "~/A1", "a\\b", "C:/A1", "a/./b", ".", ".downloads/x", "a\x01b"],
)
def test_a_path_that_may_leave_the_root_is_refused(path, manifest):
    with pytest.raises(DataContractError, match="a relative path inside the dataset's root") as caught:
        sources.read(manifest(GOOD | {"path": path}))
    assert caught.value.field == "path, line 2"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", "1.5"),
        ("size", "-3"),
        ("size", "1e6"),
        ("sha256", "ab" * 31),
        ("sha256", "AB" * 32),
        ("url", "ftp://host/A1"),
        ("url", "host/A1"),
        ("url", "https:///A1"),
        ("url", "https://user:secret@host/A1"),
        ("url", "https://host/A 1"),
        ("url", "https://[host/A1"),
        ("url", ""),
        ("unpack", "rar"),
        ("members", "*.tsv"),
        ("licence", ""),
        ("optional", "yes"),
        ("slide", "*"),
        ("path", "{slide}.tsv"),
    ],
)
def test_a_malformed_cell_is_named_with_its_line(column, value, manifest):
    path = manifest(GOOD | {"path": "other", "slide": ""}, GOOD | {column: value})
    with pytest.raises(DataContractError) as caught:
        sources.read(path)
    assert caught.value.path == str(path)
    assert caught.value.field == f"{'slide' if '{' in value else column}, line 3"
    assert "secret" not in caught.value.remedy


def test_a_misspelt_placeholder_is_guessed(manifest):
    with pytest.raises(DataContractError, match="did you mean 'hest_id'"):
        sources.read(manifest(GOOD | {"slide": "*", "path": "st/{hestid}.h5ad"}))


def test_a_file_without_an_address_needs_the_manual_steps(manifest):
    (row,) = sources.read(manifest(GOOD | {"url": "", "gate": "write to the authors"}))
    assert row.gate == "write to the authors"


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (("path", "url", "licence", "sha265"), "sha265"),
        (("path", "url"), "no licence"),
        ((*HEADER, "url"), "url twice"),
    ],
)
def test_the_header_is_checked(header, found, manifest):
    with pytest.raises(DataContractError) as caught:
        sources.read(manifest(GOOD, header=header))
    assert found in caught.value.found


def test_a_file_listed_twice_names_both_lines(manifest):
    with pytest.raises(DataContractError, match="lines 2 and 4"):
        sources.read(manifest(GOOD, GOOD | {"path": "b"}, GOOD | {"url": "https://elsewhere.org/A1"}))


def test_two_archives_may_unpack_in_one_folder(manifest):
    first = GOOD | {"path": ".", "slide": "", "unpack": "zip"}
    rows = sources.read(manifest(first, first | {"url": "https://host.org/B.zip"}))
    assert len({row.key for row in rows}) == 2
    assert all(row.key.startswith("archive-") for row in rows)


def test_cells_that_do_not_match_the_header_are_counted(tmp_path):
    path = tmp_path / "toy.tsv"
    path.write_text("path\turl\tlicence\nA1\thttps://host.org/A1\n")
    with pytest.raises(DataContractError, match="expected 3 cells; found 2 cells"):
        sources.read(path)


@pytest.mark.parametrize("text", ["", "path\turl\tlicence\n"])
def test_an_empty_manifest_is_refused(text, tmp_path):
    path = tmp_path / "toy.tsv"
    path.write_text(text)
    with pytest.raises(DataContractError):
        sources.read(path)


def test_an_absent_manifest_is_one_error(tmp_path):
    with pytest.raises(DataContractError, match="no such file"):
        sources.read(tmp_path / "toy.tsv")


def test_only_the_files_of_the_sheets_slides_are_wanted():
    shared, a, b = (Source(path=p, slide=s, url="u", licence="l") for p, s in (("x", ""), ("a", "A"), ("b", "B")))
    assert sources.wanted([shared, a, b], slides=[{"slide": "B"}]) == [shared, b]
    assert sources.wanted([shared, a, b], slides=[]) == [shared]


def test_a_template_is_filled_for_each_slide_with_its_hest_id():
    rows = [Source(path="st/{hest_id}.h5ad", slide="*", url="https://h/{slide}/{hest_id}", licence="l")]
    found = sources.wanted(rows, slides=[{"slide": "A1", "hest_id": "SPA154"}, {"slide": "TENX99", "hest_id": ""}])
    assert [(f.path, f.url, f.slide) for f in found] == [
        ("st/SPA154.h5ad", "https://h/A1/SPA154", "A1"),
        ("st/TENX99.h5ad", "https://h/TENX99/TENX99", "TENX99"),
    ]


def test_a_hest_id_cannot_lead_out_of_the_root():
    rows = [Source(path="{hest_id}/a", slide="*", url="https://h/{hest_id}", licence="l")]
    with pytest.raises(DataContractError, match="inside the dataset's root"):
        sources.wanted(rows, slides=[{"slide": "A1", "hest_id": ".."}])


def test_reading_manifests_loads_no_network_library():
    code = "import stainscript.downloads.sources, sys; assert 'requests' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_manifests_here_are_well_formed_and_secure(name, repository):
    rows = sources.read(repository / FOLDERS / f"{name}.tsv")
    assert all(row.url.startswith("https://") for row in rows)
    assert all(row.sha256 or row.note for row in rows)  # a missing hash is said
    assert all(row.gate for row in rows if "huggingface.co" in row.url)


def test_every_manifest_is_named_here(repository):
    assert sorted(path.stem for path in (repository / FOLDERS).glob("*.tsv")) == NAMES


def test_her2st_brings_what_its_reader_wants_of_every_section(repository):
    sheet = base.read_sheet(repository / "workflow/sheets/her2st.tsv")
    rows = sources.read(repository / FOLDERS / "her2st.tsv")
    for slide in sheet:
        paths = {row.path for row in sources.wanted(rows, slides=[slide])}
        name = slide["slide"]
        assert {f"data/ST-cnts/{name}.tsv.gz", f"data/ST-spotfiles/{name}_selection.tsv"} <= paths
        assert sum(path.startswith(f"data/ST-imgs/{name[0]}/{name}/") for path in paths) == 1
    assert len(rows) == 36 * 4 + 8  # counts, spots, image, clusters; pathologist's labels of eight sections


@pytest.mark.parametrize(
    ("name", "slide"),
    [
        ("dlpfc", {"slide": "151507"}),
        ("dlpfc", {"slide": "151676"}),
        ("hest", {"slide": "A1", "hest_id": "SPA154"}),
        ("hest_bench", {"slide": "TENX99", "condition": "IDC"}),
        ("hest_bench", {"slide": "MEND162", "condition": "PRAD"}),
    ],
)
def test_the_manifest_puts_files_where_the_layout_expects_them(name, slide, repository):
    rows = sources.read(repository / FOLDERS / f"{name}.tsv")
    paths = {row.path for row in sources.wanted(rows, slides=[slide])}
    layout = importlib.import_module(f"stainscript.datasets.{name}")
    expected = layout.expected_files({"layout": name, "has_expression": "", "image": ""} | slide, Path("root"))
    assert {path.relative_to("root").as_posix() for path in expected.values()} <= paths
    assert all("{" not in path for path in paths)


def test_hest_bench_lists_every_slide_of_its_sheet(repository):
    rows = sources.read(repository / FOLDERS / "hest_bench.tsv")
    sheet = base.read_sheet(repository / "workflow/sheets/hest_bench.tsv")
    assert {row.slide for row in rows} - {""} == {row["slide"] for row in sheet}


def test_her2sts_hashes_are_those_of_the_real_files(repository, shared_data):
    rows = {row.path: row for row in sources.read(repository / FOLDERS / "her2st.tsv")}
    here = [path for path in sorted((shared_data / "her2st").rglob("*")) if path.is_file()]
    compared = 0
    for path in here:
        row = rows.get(path.relative_to(shared_data / "her2st").as_posix())
        if row is not None:
            assert (row.size, row.sha256) == (path.stat().st_size, file_sha256(path)), row.path
            compared += 1
    assert compared == 120
