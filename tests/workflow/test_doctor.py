"""The doctor as a user calls it: on a run that lacks nothing, and on one that lacks much."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow

REPOSITORY = Path(__file__).resolve().parents[2]
TOKEN = "hf_neverToBeShown"
SHEET = "slide\tpatient\tlayout\tmpp\na\tP1\twsi\t0.5\nb\tP2\twsi\t0.5\nc\tP3\twsi\t\nd\tP4\twsi\t0.5\n"


def doctor(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "workflow/doctor.smk")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE"))}
    kept |= {"HF_HOME": str(folder / "no-token-here")} | environment
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder, env=kept)


def test_a_run_that_lacks_nothing_is_told_its_jobs_and_exits_with_0(fresh, tmp_path: Path) -> None:
    space = fresh(tmp_path)
    done = doctor(tmp_path, "--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Datasets\n  ok      phantom: 7 slides (6 with expression), drawn by phantom\n")
    assert re.search(r"^0 missing, \d+ notes?, \d+ ok$", done.stdout.splitlines()[-1])
    table = space.snakemake("--dry-run", "--quiet", "rules").stdout.partition("Job stats:\n")[2].partition("\n\n")[0]
    counts = dict(line.split() for line in table.splitlines()[2:])
    total = counts.pop("total")
    (jobs,) = re.findall(r"ok      jobs: (\d+) to run: (.*)", done.stdout)
    assert jobs[0] == total
    assert {tuple(part.split()[::-1]) for part in jobs[1].split(", ")} == set(counts.items())
    assert not list(tmp_path.glob("results/**/*.*")), "a job was run"


def test_a_finished_run_has_nothing_left_and_its_slides_are_told_by_their_records(phantom_run) -> None:
    done = doctor(phantom_run.folder, "--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "jobs: 0 to run\n" in done.stdout
    assert "phantom: 7 slides: 0.8 to 1 µm/px, from " in done.stdout
    assert "phantom: 7 of 7 slides checked: 7 pass" in done.stdout
    assert "patches: 0 to encode of " in done.stdout
    assert "(counted; 7 of 7 slides are ingested)" in done.stdout


@pytest.fixture
def much_amiss(tmp_path: Path) -> Path:
    """Four slides without expression, two of them one image, one excluded, one without scale; a gated encoder; two
    datasets without their files."""
    raw = tmp_path / "raw"
    raw.mkdir()
    from PIL import Image

    for number, slide in enumerate("acd"):
        Image.new("RGB", (40 + number, 30), (10 * number, 0, 0)).save(raw / f"{slide}.png")
    shutil.copy(raw / "a.png", raw / "b.png")
    (tmp_path / "sheet.tsv").write_text(SHEET)
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    config["experiments"] = ["amiss"]
    own = {"sheet": "sheet.tsv", "root": str(raw), "exclude": {"d": "blurred beyond use"}}
    config["datasets"]["own"] = own
    config["datasets"]["stnet"] = {"sheet": "workflow/sheets/stnet.tsv", "root": "/no/such/folder"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    chosen = yaml.safe_load((REPOSITORY / "workflow/experiments/phantom.yaml").read_text())
    chosen["grids"] = [
        {
            "datasets": ["own", "her2st", "stnet"],
            "protocols": ["hmhvg"],
            "methods": ["ridge"],
            "encoders": ["uni", "ciga_resnet18"],
        }
    ]
    folder = tmp_path / "workflow" / "experiments"
    folder.mkdir(parents=True)
    (folder / "amiss.yaml").write_text(yaml.safe_dump(chosen))
    return tmp_path


def remedies(text: str) -> dict[str, tuple[str, str]]:
    """Line of a finding → its mark and the remedy below it."""
    lines = text.splitlines()
    return {
        line.strip().split(None, 1)[1]: (line.split()[0], below.partition("-> ")[2])
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("  ") and "-> " not in line
    }


def test_everything_amiss_is_named_at_once_each_with_its_remedy(much_amiss: Path) -> None:
    done = doctor(much_amiss, "--quiet", "all")
    assert done.returncode == 1, done.stdout + done.stderr
    found = remedies(done.stdout)
    for start, mark, remedy in (
        ("her2st: no root", "MISSING", "set datasets.her2st.root in config.yaml"),
        ("stnet: config.yaml: datasets.stnet.root", "MISSING", "set it in config.yaml"),
        ("own d: excluded: blurred beyond use", "note", ""),
        ("own c: no µm/px in sheet or metadata", "MISSING", "fill the sheet's column mpp for slide c"),
        ("own a, own b: the same image", "MISSING", "datasets.own.exclude: {b: copy of a}"),
        ("own, leave_one_patient_out: config.yaml", "MISSING", "list slides"),
        ("uni: gated, and no token here", "MISSING", "ask for access at https://huggingface.co/MahmoodLab/UNI"),
        ("ciga_resnet18: no file weights/", "MISSING", "set encoders.ciga_resnet18.weights to its path"),
        ("jobs, GPU-hours and disk: not known until", "note", ""),
    ):
        (line,) = [line for line in found if line.startswith(start)] or [f"nothing starts with {start}: {done.stdout}"]
        assert line.startswith(start), line
        assert found[line][0] == mark
        assert remedy in found[line][1]
    missing = sum(mark == "MISSING" for mark, _ in found.values())
    assert done.stdout.splitlines()[-1].startswith(f"{missing} missing, ")
    assert missing == 7
    assert "Traceback" not in done.stdout + done.stderr


def test_a_token_is_used_as_a_fact_and_never_printed(much_amiss: Path) -> None:
    done = doctor(much_amiss, HF_TOKEN=TOKEN)
    assert "with the token found here" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    written = [path for path in much_amiss.rglob("*") if path.is_file() and TOKEN in path.read_text(errors="replace")]
    assert written == []


def test_jobs_and_hours_are_told_although_weights_are_absent(fresh, tmp_path: Path) -> None:
    space = fresh(tmp_path)
    space.configure(lambda c: c["encoders"].update(morphology={"kind": "uni", "weights": "nowhere.bin"}))
    done = doctor(tmp_path, "--quiet", "all")
    assert done.returncode == 1
    assert "MISSING morphology (uni): no file nowhere.bin" in done.stdout
    assert "note    counted: as if the weights of morphology were here" in done.stdout
    assert re.search(r"ok      jobs: \d+ to run: ", done.stdout)
    assert "morphology 123 GFLOP a patch at 15 TFLOP/s" in done.stdout


def test_a_config_that_cannot_be_read_is_the_one_thing_missing(fresh, tmp_path: Path) -> None:
    space = fresh(tmp_path)
    space.configure(lambda c: c.update(bootstrp=3))
    done = doctor(tmp_path, "--quiet", "all")
    assert done.returncode == 1
    assert done.stdout.startswith("Config\n  MISSING config: config.yaml: bootstrp: ")
    assert "did you mean" in done.stdout
    assert "bootstrap" in done.stdout


def test_the_command_line_changes_the_config_as_it_does_in_a_run(fresh, tmp_path: Path) -> None:
    fresh(tmp_path)
    done = doctor(tmp_path, "--quiet", "all", "--config", "experiments=[her2st]")
    assert done.returncode == 1
    assert "MISSING her2st: no root" in done.stdout
    assert "phantom" not in done.stdout
