"""The environments: one set of versions for pip and conda, and each environment holds what its jobs import."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from stainscript.artifacts.provenance import ROOT, import_closure

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = sorted((REPOSITORY / "envs").glob("*.yaml"))
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9_-]*)==(?P<version>[0-9][a-z0-9.]*)")
JOBS = ("ingest", "encode", "genes", "text", "train", "report")
# The family of modules that a name in the config may bring into an environment's jobs.
CHOSEN_BY_NAME = {
    "ingest": "stainscript.datasets",
    "encode": "stainscript.encoders",
    "text": "stainscript.encoders.text",
    "train": "stainscript.methods",
}
# Packages that a job uses without an import of ours.
SILENT = {"imagecodecs": "tifffile", "pyarrow": "pandas", "torchvision": "timm"}
BIOCONDA = ["conda-forge", "bioconda", "nodefaults"]
CHANNELS = {"driver": BIOCONDA, "genes": BIOCONDA}  # for Snakemake, and for GSEApy
each_environment = pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)


@functools.cache
def constraints() -> dict[str, str]:
    lines = (REPOSITORY / "envs/constraints.txt").read_text().splitlines()
    matches = [PIN.fullmatch(line) for line in lines if not line.startswith("#")]
    assert None not in matches
    return {match["name"]: match["version"] for match in matches}


@functools.cache
def standin():
    """The conda stand-in as a module: its table of names is the only one."""
    loader = SourceFileLoader("conda_standin", str(REPOSITORY / "tests/standin/conda"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def pins(path: Path) -> dict[str, str]:
    """Distribution → version of an environment file."""
    return standin().distributions(path)


def installed_closure(root: str, extra: str) -> dict[str, str]:
    """Every installed distribution that ``root[extra]`` asks for, directly or through others."""
    found, waiting = {}, [Requirement(f"{root}[{extra}]")]
    done = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (key := (name, *sorted(wanted.extras))) in done:
            continue
        done.add(key)
        found[name] = Version(metadata.version(name)).public
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            extras = {"", *wanted.extras}
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(requirement)
    return found


# one set of versions


def test_constraints_are_sorted_canonical_and_free_of_places() -> None:
    text = (REPOSITORY / "envs/constraints.txt").read_text()
    names = list(constraints())
    assert names == sorted(names)
    assert names == [canonicalize_name(name) for name in names]
    for place in ("://", "file:", "/opt", "/home", "@", "+c", "--"):
        assert place not in text


def test_constraints_are_the_installed_versions_of_all_that_the_project_needs() -> None:
    needed = installed_closure("stainscript", "test")
    del needed["stainscript"]
    assert {name: version for name, version in needed.items() if constraints().get(name) != version} == {}


def test_constraints_hold_nothing_that_the_project_does_not_need() -> None:
    needed = installed_closure("stainscript", "test")
    installed = {canonicalize_name(d.metadata["Name"]) for d in metadata.distributions()}
    assert [name for name in constraints() if name in installed and name not in needed] == []


def test_torch_torchvision_and_timm_are_one_family() -> None:
    assert {name: constraints()[name] for name in ("torch", "torchvision", "timm")} == {
        "torch": "2.14.1",
        "torchvision": "0.29.1",
        "timm": "1.0.31",
    }


@each_environment
def test_pins_equal_the_constraints(path: Path) -> None:
    assert pins(path)
    assert {name: v for name, v in pins(path).items() if constraints().get(name) != v} == {}


@each_environment
def test_an_environment_is_channels_python_and_sorted_pins(path: Path) -> None:
    body = yaml.safe_load(path.read_text())
    assert list(body) == ["channels", "dependencies"]
    assert body["channels"] == CHANNELS.get(path.stem, ["conda-forge", "nodefaults"])
    python, *rest = body["dependencies"]
    assert python == "python>=3.11,<3.14"
    names = [PIN.fullmatch(spec)["name"] for spec in rest]
    assert names == sorted(names)
    assert standin().read_environment(path) == (body["channels"], body["dependencies"])


# each environment holds what its jobs import


def rules() -> dict[str, tuple[str, str]]:
    """rule → (environment, script)."""
    found = {}
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        for block in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            name = block.split(":", 1)[0]
            conda = re.search(r'conda:\s*"\.\./\.\./envs/(\w+)\.yaml"', block)
            script = re.search(r'script:\s*"\.\./scripts/(\w+)\.py"', block)
            if "output:" not in block and script is None:
                continue  # a target: a name for files that other rules make
            assert conda, f"rule {name} names no environment"
            assert script, f"rule {name} names no script"
            found[name] = (conda[1], script[1])
    return found


def test_every_environment_but_the_drivers_serves_a_rule() -> None:
    assert {environment for environment, _ in rules().values()} == {p.stem for p in ENVIRONMENTS} - {"driver"}


def modules_of(environment: str) -> frozenset[str]:
    """Our modules that the jobs of an environment may import, those chosen by a name in the config included."""
    scripts = [REPOSITORY / f"workflow/scripts/{script}.py" for env, script in rules().values() if env == environment]
    named = {name for script in scripts for name in imports(script) if name.startswith("stainscript.")}
    return import_closure((*filter(is_module, named), *members(CHOSEN_BY_NAME.get(environment))))


def members(family: str | None) -> list[str]:
    """Every module of one of our packages."""
    if family is None:
        return []
    folder = path_of(family).parent
    others = [path_of(name).parent for name in CHOSEN_BY_NAME.values() if name.startswith(f"{family}.")]
    files = [path for path in folder.rglob("*.py") if not any(path.is_relative_to(other) for other in others)]
    paths = [path.relative_to(ROOT).with_suffix("").parts for path in files]
    return [".".join(["stainscript", *parts]).removesuffix(".__init__") for parts in paths]


def is_module(name: str) -> bool:
    base = ROOT.joinpath(*name.split(".")[1:])
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()


def path_of(name: str) -> Path:
    base = ROOT.joinpath(*name.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def imports(path: Path) -> set[str]:
    """Absolute names of everything that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def third_party(modules: frozenset[str]) -> dict[str, set[str]]:
    """Distribution → our modules that import it."""
    providers = metadata.packages_distributions()
    found: dict[str, set[str]] = {}
    for module in modules:
        for top in {name.split(".")[0] for name in imports(path_of(module))}:
            if top not in sys.stdlib_module_names | {"stainscript"}:
                found.setdefault(canonicalize_name(providers[top][0]), set()).add(module)
    return found


@pytest.mark.parametrize("environment", JOBS)
def test_an_environment_pins_every_package_that_its_jobs_import(environment: str) -> None:
    needed = third_party(modules_of(environment))
    held = set(pins(REPOSITORY / f"envs/{environment}.yaml"))
    assert {name: sorted(modules) for name, modules in needed.items() if name not in held} == {}


@pytest.mark.parametrize("environment", JOBS)
def test_an_environment_pins_nothing_else(environment: str) -> None:
    needed = set(third_party(modules_of(environment)))
    held = set(pins(REPOSITORY / f"envs/{environment}.yaml"))
    assert [name for name in sorted(held - needed) if SILENT.get(name) not in needed] == []


@pytest.mark.parametrize("environment", JOBS)
def test_its_jobs_modules_import_where_there_is_nothing_else(environment: str, tmp_path: Path) -> None:
    standin().create(REPOSITORY / f"envs/{environment}.yaml", tmp_path / "env")
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    python = [str(tmp_path / "env/bin/python"), "-c", code, *sorted(modules_of(environment))]
    done = subprocess.run(python, env={"PYTHONPATH": str(REPOSITORY / "src")}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_driver_plans_a_run_where_there_is_nothing_else(tmp_path: Path) -> None:
    standin().create(REPOSITORY / "envs/driver.yaml", tmp_path / "env")
    python = [str(tmp_path / "env/bin/python"), "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command = [*python, "--cores", "1", "--dry-run", "--quiet"]
    keep = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=keep, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
