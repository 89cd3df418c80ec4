"""A slide whose spots are off its tissue stops at the check: one message, a picture that stays, and two ways on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.workflow

BAD, GOOD = "P2L", ("P1V", "P3L")
LOG = Path(f"results/logs/check_slide/phantom.{BAD}.log")


@pytest.fixture
def space(phantom_run, fresh, tmp_path: Path):
    """Three slides of the phantom as a cohort of a user; of one, the spots' pixel positions shrink into a corner."""
    made = fresh(tmp_path)
    for slide in (*GOOD, BAD):
        shutil.copytree(phantom_run.folder / "results/raw/phantom" / slide, tmp_path / "raw" / slide)
    rows = ["slide\tpatient\tlayout", "P1V\tP1\tvisium", "P2L\tP2\tlegacy_st", "P3L\tP3\tlegacy_st"]
    (tmp_path / "sheet.tsv").write_text("\n".join(rows) + "\n")
    made.configure(lambda c: c.update(datasets={"phantom": {"sheet": "sheet.tsv", "root": "raw"}}))
    made.compare_only("ridge")
    path = tmp_path / f"raw/{BAD}/data/ST-spotfiles/{BAD}_selection.tsv"
    head, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    for cells in lines:
        for name in ("pixel_x", "pixel_y"):
            cells[head.index(name)] = str(0.2 * float(cells[head.index(name)]))
    path.write_text("".join("\t".join(cells) + "\n" for cells in (head, *lines)))
    return made


def features(slide: str) -> str:
    return f"results/features/phantom/patch/morphology/{slide}"


def test_the_run_stops_before_the_slide_is_encoded_and_both_remedies_work(space) -> None:
    (message,) = space.messages("--keep-going", features(BAD), features(GOOD[0]))
    picture = LOG.with_suffix("") / f"{BAD}.quality.jpg"
    for word in (
        f"{BAD}.spots.parquet",
        "at least 50% of the spots on tissue",
        str(picture),
        "exclude list",
        "quality.min_on_tissue",
    ):
        assert word in message
    results = space.folder / "results"
    with Image.open(space.folder / picture) as kept:
        assert kept.width == 1400
    assert not (results / f"slides/phantom/{BAD}.quality.json").exists()
    assert [path.name for path in results.glob("features/*/*/*/*")] == [GOOD[0]]  # what does not need it goes on
    assert [path.name for path in (results / "logs/encode_slide").iterdir()] == [
        f"phantom.patch.morphology.{GOOD[0]}.log"
    ]

    space.configure(lambda c: c["datasets"]["phantom"].update(exclude={BAD: "positions of another image"}))
    excluded = space.snakemake("--dry-run")
    assert f"phantom {BAD} is excluded: positions of another image" in excluded.stdout + excluded.stderr
    jobs = space.plan()
    assert [job.wildcards["slide"] for job in jobs if job.rule == "check_slide"] == [GOOD[1]]  # the other one is done
    assert BAD not in str(jobs)

    space.configure(lambda c: (c["datasets"]["phantom"].pop("exclude"), c["quality"].update(on_fail="warn")))
    space.snakemake(features(BAD))
    assert (space.folder / features(BAD) / "manifest.json").is_file()
    assert (results / f"slides/phantom/{BAD}.quality.jpg").is_file()
    assert not (space.folder / picture).exists()  # the failure's copy, now that the picture itself is there
    numbers = json.loads((results / f"slides/phantom/{BAD}.quality.json").read_text())
    assert numbers["verdict"] == "fail"
    assert len(numbers["reasons"]) == 2  # few spots on tissue, and a better place for them
    warned = [line for line in (space.folder / LOG).read_text().splitlines() if " WARNING " in line]
    assert [line.split(f"{BAD}: ", 1)[1] for line in warned] == numbers["reasons"]
