"""The target ``download``: one job a file, data in the user's folder, and nothing there ever lost."""

from __future__ import annotations

import csv
import functools
import hashlib
import http.server
import json
import threading
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

COUNTS = b"\tERBB2\n1x1\t3\n"
README = b"read me\n"


def test_her2st_is_one_job_a_file_of_its_sheet_and_no_other_job(fresh, tmp_path: Path, repository: Path) -> None:
    """Nothing is there yet, not even the folder; and the config's experiments, which need slides, are not asked."""
    space, root = fresh(tmp_path / "run"), tmp_path / "data"
    jobs = space.plan("download", "--config", "download=[her2st]", f"datasets={{her2st: {{root: {root}}}}}")
    assert Counter(job.rule for job in jobs) == {"download_file": len(jobs)}
    sheets = repository / "workflow/sheets"
    with (sheets / "her2st.tsv").open() as handle:
        slides = {row["slide"] for row in csv.DictReader(handle, delimiter="\t")}
    with (sheets / "downloads/her2st.tsv").open() as handle:
        files = [row["path"] for row in csv.DictReader(handle, delimiter="\t") if row["slide"] in {"", *slides}]
    assert len(slides) == 36
    assert len(files) >= 3 * 36  # counts, spots and image of each
    assert sorted(job.outputs[0] for job in jobs) == sorted(f"results/downloads/her2st/{path}.json" for path in files)
    assert not root.exists()


def test_no_dataset_named_is_one_message_that_says_how(fresh, tmp_path: Path) -> None:
    done = fresh(tmp_path).snakemake("download", check=False)
    assert done.returncode != 0
    (message,) = [line for line in (done.stdout + done.stderr).splitlines() if "; found " in line]
    assert "config.yaml: download: expected the datasets to fetch" in message
    assert "--config 'download=[her2st]'" in message


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder served over loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "counts").write_bytes(COUNTS)
    (folder / "readme").write_bytes(README)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Quiet."""

    made = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def space(site: str, fresh, tmp_path: Path):
    """A user's dataset of one slide: a sheet, and a manifest of that name in the working folder's own workflow."""
    made = fresh(tmp_path / "run")
    (made.folder / "toy.tsv").write_text("slide\tpatient\tlayout\nA1\tA\tlegacy_st\n")
    manifests = made.folder / "workflow/sheets/downloads"
    manifests.mkdir(parents=True)
    rows = [
        ("path", "slide", "url", "size", "sha256", "licence"),
        ("counts/A1.tsv", "A1", f"{site}/counts", str(len(COUNTS)), hashlib.sha256(COUNTS).hexdigest(), "CC0"),
        ("README.md", "", f"{site}/readme", "", "", "CC0"),
    ]
    (manifests / "toy.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    toy = {"sheet": "toy.tsv", "root": str(tmp_path / "data")}
    made.configure(lambda c: (c["datasets"].update(toy=toy), c.update(download=["toy"])))
    return made


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_arrive_are_kept_and_are_never_taken_away(space, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "notes.txt").write_bytes(b"the user's own")
    space.snakemake("download")
    arrived = {"counts/A1.tsv": COUNTS, "README.md": README, "notes.txt": b"the user's own"}
    assert tree(data) == arrived
    record = json.loads((space.folder / "results/downloads/toy/counts/A1.tsv.json").read_text())
    assert (record["size"], record["checked"], record["kept"]) == (len(COUNTS), True, False)
    assert space.plan("download") == []

    (data / "README.md").write_bytes(b"the user's changes")
    space.snakemake("download", "--forceall", "--keep-going", check=False)
    assert tree(data) == arrived | {"README.md": b"the user's changes"}
    record = json.loads((space.folder / "results/downloads/toy/counts/A1.tsv.json").read_text())
    assert record["kept"]


def test_a_file_of_other_content_in_its_place_is_an_error_and_stays(space, tmp_path: Path) -> None:
    mine = tmp_path / "data/counts/A1.tsv"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    (message,) = space.messages("download", "--keep-going")
    assert message.startswith(f"{mine}: bytes: expected {len(COUNTS)}; found 4.")
    assert tree(tmp_path / "data") == {"counts/A1.tsv": b"mine", "README.md": README}
    assert not (space.folder / "results/downloads/toy/counts/A1.tsv.json").exists()
