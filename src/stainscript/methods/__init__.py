"""The registry of methods: a folder with ``config.py`` and ``method.py`` is a method. Imports no torch."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from stainscript.errors import unknown_name

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """All methods, by folder."""
    return sorted(p.parent.name for p in _FOLDER.glob("*/method.py"))


def config_of(name: str) -> type:
    """The method's ``Config`` class: a frozen pydantic dataclass with a ``needs`` property."""
    return importlib.import_module(f"stainscript.methods.{_checked(name)}.config").Config


def load(name: str) -> Any:
    """The method itself, an object that keeps ``methods.base.Method``; imports what the method imports."""
    return importlib.import_module(f"stainscript.methods.{_checked(name)}.method").METHOD


def _checked(name: str) -> str:
    if name not in names():
        raise unknown_name("config.yaml", "methods", name, names())
    return name
