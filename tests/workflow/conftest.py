"""One run of the tiny phantom for all workflow tests, and the means to ask Snakemake what it would do next."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
TARGETS = {"all", "everything", "tables", "features", "genes", "download"}  # names for files that other rules make
SOURCES = ("Snakefile", "workflow", "src", "envs", "profiles", "config.yaml")


@dataclass(frozen=True)
class Job:
    """One job of a dry run, as Snakemake prints it."""

    rule: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    wildcards: dict[str, str] = field(default_factory=dict)


def parse_jobs(text: str) -> list[Job]:
    """The jobs of ``snakemake -n`` output."""
    jobs = []
    for block in re.split(r"\n(?=(?:local)?rule \w+:)", "\n" + text):
        head = re.match(r"\n?(?:local)?rule (\w+):", block)
        if head is None:
            continue
        fields = dict(re.findall(r"^    (input|output|wildcards): (.*)$", block, flags=re.M))
        split = {key: tuple(value.split(", ")) for key, value in fields.items()}
        pairs = dict(item.split("=", 1) for item in split.get("wildcards", ()))
        clean = tuple(re.sub(r" \(.*\)$", "", name) for name in split.get("output", ()))
        jobs.append(Job(head.group(1), split.get("input", ()), clean, pairs))
    return jobs


@dataclass(frozen=True)
class Workspace:
    """A working folder with its own config, run by the sources in ``repository``."""

    folder: Path
    repository: Path = REPOSITORY

    def snakemake(self, *arguments: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*self.command(*arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-12000:]}")
        return done

    def command(self, *arguments: str) -> list[str]:
        program = str(Path(sys.executable).with_name("snakemake"))
        return [program, "--snakefile", str(self.repository / "Snakefile"), "--cores", "2", *arguments]

    def plan(self, *arguments: str) -> list[Job]:
        """The jobs that would run now."""
        done = self.snakemake("--dry-run", *arguments)
        return [job for job in parse_jobs(done.stdout + done.stderr) if job.rule not in TARGETS]

    def messages(self, *arguments: str) -> set[str]:
        """What a run that must fail says of broken contracts: each message once, wherever it was printed; no traceback.

        Snakemake prints a failed job's log, so that the same message comes a second time, as a line of the log.
        """
        done = self.snakemake(*arguments, check=False)
        text = done.stdout + done.stderr
        assert done.returncode != 0, text[-6000:]
        assert "Traceback" not in text, text[-6000:]
        lines = (re.sub(r"^\d{4}-\S+ \S+ ERROR \S+: ", "", line.strip()) for line in text.splitlines())
        return {line for line in lines if ": expected " in line and "; found " in line and "Remedy: " in line}

    def counts(self, *arguments: str) -> Counter[str]:
        return Counter(job.rule for job in self.plan(*arguments))

    def configure(self, change: Callable[[dict], object]) -> None:
        path = self.folder / "config.yaml"
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config, sort_keys=False))

    def compare_only(self, *methods: str, unmeasured: bool = False) -> None:
        """Bring an experiment set of this folder's own, in place of the repository's: these methods and no others."""
        chosen = yaml.safe_load((self.repository / "workflow/experiments/phantom.yaml").read_text())
        chosen["grids"] = [{**chosen["grids"][0], "methods": list(methods), "unmeasured": unmeasured}]
        own = self.folder / "workflow/experiments"
        own.mkdir(parents=True)
        (own / "phantom.yaml").write_text(yaml.safe_dump(chosen))

    def metrics(self) -> dict[str, bytes]:
        base = self.folder / "results"
        files = [*base.glob("metrics/**/*.parquet"), *base.glob("tables/**/*"), base / "report.html"]
        return {str(path.relative_to(base)): path.read_bytes() for path in sorted(files) if path.is_file()}


def tiny_config(change: Callable[[dict], object] | None = None) -> str:
    """The repository's own config on the tiny phantom."""
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    config["datasets"]["phantom"]["options"]["spots"] = "tiny"
    config["methods"]["mlp"]["options"] = {"epochs": 6, "patience": 6}
    config["bootstrap"] = 50
    if change is not None:
        change(config)
    return yaml.safe_dump(config, sort_keys=False)


@pytest.fixture(scope="session")
def phantom_run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny phantom, run once to the end. Do not change it: take a ``phantom_copy``."""
    folder = tmp_path_factory.mktemp("phantom")
    (folder / "config.yaml").write_text(tiny_config())
    space = Workspace(folder)
    space.snakemake()
    return space


@pytest.fixture(scope="session")
def fresh(phantom_run: Workspace) -> Callable[[Path], Workspace]:
    """Makes a folder with the finished run's config, in which nothing was run."""

    def make(folder: Path) -> Workspace:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(phantom_run.folder / "config.yaml", folder)
        return Workspace(folder, phantom_run.repository)

    return make


@pytest.fixture
def phantom_copy(phantom_run: Workspace, tmp_path: Path) -> Workspace:
    """The finished run in a folder of its own, modification times kept."""
    folder = tmp_path / "copy"
    shutil.copytree(phantom_run.folder, folder, symlinks=True)
    return Workspace(folder)


@pytest.fixture
def edited_copy(phantom_copy: Workspace, tmp_path: Path) -> Workspace:
    """The finished run, with a copy of the sources that a test may edit."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in SOURCES:
        path = REPOSITORY / name
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, sources / name)
    return Workspace(phantom_copy.folder, sources)


@pytest.fixture(autouse=True)
def _one_thread_and_no_user_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
