"""Who made an artifact, from what: digests of code, environment and config, and the record of a run."""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from stainscript.types import canonical_json

PACKAGE = "stainscript"
ROOT = Path(__file__).resolve().parents[1]


def digest_of(value: object) -> str:
    """Short digest of any JSON value, independent of the order of its keys."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def code_digest(modules: Iterable[str]) -> str:
    """Digest of the syntax trees of ``modules`` and of every module of this package that they import.

    Comments, docstrings, formatting and modification times do not count; a changed constant does. Names are
    dotted, e.g. ``stainscript.stages.score``. Imports inside functions count too, so a lazily imported module
    cannot hide.
    """
    closure = sorted(import_closure(tuple(modules)))
    return digest_of({name: _tree_digest(_module_file(name)) for name in closure})


def environment_digest(path: str | Path) -> str:
    """Digest of an environment file as parsed: comments and order of keys do not count, pins do."""
    import yaml

    return digest_of(yaml.safe_load(Path(path).read_text()))


def folder_digest(folder: str | Path) -> str:
    """Digest of the contents of a folder's files, by relative name: for templates and tables that code reads."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return digest_of({str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files})


def import_closure(modules: tuple[str, ...]) -> frozenset[str]:
    """``modules`` and all modules of this package they import, directly or through others."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports_of(_module_file(name)))
    return frozenset(seen)


def git_hash(folder: str | Path = ROOT) -> str:
    """Commit of the checkout, with ``+changes`` when the tree differs; ``unknown`` outside git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def versions(
    packages: Iterable[str] = ("numpy", "torch", "lightning-fabric", "scikit-learn", "zarr"),
) -> dict[str, str]:
    """Installed versions, for a run's record."""
    found = {
        "python": platform.python_version(),
        PACKAGE: metadata.version(PACKAGE) if _installed(PACKAGE) else "source",
    }
    return found | {name: metadata.version(name) for name in packages if _installed(name)}


def run_record(**facts: Any) -> dict[str, Any]:
    """The body of ``run.json``: given facts beside versions, commit and host platform."""
    return {"versions": versions(), "git": git_hash(), "platform": platform.platform(), **facts}


def _git(folder: str | Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _module_file(name: str) -> Path:
    parts = name.split(".")[1:]
    folder = ROOT.joinpath(*parts)
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    if name.split(".")[0] != PACKAGE or not path.is_file():
        raise ModuleNotFoundError(f"no module {name} in {PACKAGE}")
    return path


def _is_module(name: str) -> bool:
    folder = ROOT.joinpath(*name.split(".")[1:])
    return (folder / "__init__.py").is_file() or folder.with_suffix(".py").is_file()


@functools.cache
def _parsed(path: Path) -> ast.Module:
    tree = ast.parse(path.read_text(), filename=str(path))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del body[0]
    return tree


@functools.cache
def _tree_digest(path: Path) -> str:
    return hashlib.sha256(ast.dump(_parsed(path)).encode()).hexdigest()


@functools.cache
def _imports_of(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise ImportError(f"{path}: relative import; write the full name, so that digests and layers can follow it")
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    ours = {name for name in found if name.split(".")[0] == PACKAGE and _is_module(name)}
    parents = {".".join(name.split(".")[:n]) for name in ours for n in range(2, name.count(".") + 1)}
    return frozenset((ours | parents) - {PACKAGE})
