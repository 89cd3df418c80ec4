"""A package imports only from layers above it in DESIGN section 3, and light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = [
    {"types", "errors", "seeds"},
    {"config", "artifacts", "devices"},
    {"slides", "datasets", "downloads"},
    {"patches", "genes"},
    {"encoders"},
    {"splits", "batches"},
    {"nn", "losses"},
    {"training"},
    {"methods"},
    {"probing"},
    {"evaluation"},
    {"report"},
    {"stages", "plan"},
    {"doctor"},
]
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
# Two packages of one layer do not import each other, but for these, which the design draws in one arrow.
SIDEWAYS = {("errors", "types"), ("datasets", "slides"), ("downloads", "datasets"), ("artifacts", "config")}
NETWORK_BANS = {"pathlib", "zarr", "anndata", "pandas", "h5py", "safetensors"}


def upward_imports(source: Path) -> list[str]:
    """Every import of a module from a layer below its own (or beside it), as ``file: import``."""
    found = []
    for path in sorted((source / "stainscript").rglob("*.py")):
        own = path.relative_to(source / "stainscript").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for name in imported(path):
            if name.split(".")[0] != "stainscript" or name == "stainscript":
                continue
            other = name.split(".")[1]
            if other not in LAYER_OF:
                found.append(f"{path}: {name} is in no layer")
            elif other != own and (own, other) not in SIDEWAYS and LAYER_OF[other] >= LAYER_OF[own]:
                found.append(f"{path}: {name}")
    return found


def imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "stainscript":
            names += [f"stainscript.{alias.name}" for alias in node.names if alias.name != "__version__"]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def test_no_package_imports_from_a_lower_layer(repository: Path) -> None:
    assert upward_imports(repository / "src") == []


def test_a_planted_upward_import_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "stainscript" / "genes"
    folder.mkdir(parents=True)
    (folder / "bad.py").write_text("from stainscript.training.loop import train\n")
    assert upward_imports(tmp_path) == [f"{folder / 'bad.py'}: stainscript.training.loop"]


def test_networks_and_losses_open_no_files(repository: Path) -> None:
    package = repository / "src" / "stainscript"
    files = [*package.glob("nn/*.py"), *package.glob("losses/*.py"), *package.glob("methods/*/network.py")]
    found = {f"{path.name}: {name}" for path in files for name in imported(path) if name.split(".")[0] in NETWORK_BANS}
    assert files
    assert found == set()


@pytest.mark.parametrize("package", ["evaluation", "report", "splits", "genes", "slides", "datasets", "patches"])
def test_cpu_only_packages_never_mention_torch(package: str, repository: Path) -> None:
    files = list((repository / "src" / "stainscript" / package).rglob("*.py"))
    found = [path for path in files for name in imported(path) if name.split(".")[0] in {"torch", "lightning_fabric"}]
    assert found == []


def test_evaluation_knows_no_method(repository: Path) -> None:
    files = (repository / "src" / "stainscript" / "evaluation").rglob("*.py")
    assert [p for p in files for name in imported(p) if name.startswith("stainscript.methods")] == []


@pytest.mark.parametrize(
    "modules",
    [
        "stainscript.config, stainscript.splits.schemes, stainscript.plan.jobs",
        "stainscript.stages.score, stainscript.stages.select_panel, stainscript.stages.tabulate",
        "stainscript.methods.ridge.method, stainscript.stages.predict",
    ],
)
def test_cpu_only_modules_start_without_torch(modules: str) -> None:
    code = f"import {modules}, sys; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_predicting_starts_without_the_library_that_reads_counts() -> None:
    code = (
        "import stainscript.stages.predict, stainscript.methods.ridge.method, sys; assert 'anndata' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_parsing_the_workflow_loads_no_heavy_library() -> None:
    heavy = ["torch", "pandas", "anndata", "sklearn", "skimage", "scipy", "zarr"]
    code = (
        f"import stainscript.plan.jobs, sys; found = [m for m in {heavy} if m in sys.modules]; assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
