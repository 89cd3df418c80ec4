"""The registry of methods: a folder with ``config.py`` and ``method.py`` is a method. Imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stainscript.errors import DataContractError, unknown_name

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """All methods, by folder."""
    return sorted(p.parent.name for p in _FOLDER.glob("*/method.py"))


def config_of(name: str) -> type:
    """The method's ``Config`` class: a frozen pydantic dataclass with a ``needs`` property."""
    return importlib.import_module(f"stainscript.methods.{_checked(name)}.config").Config


def configure(
    name: str, options: Mapping[str, Any], *, path: str | Path = "config.yaml", field: str = "options"
) -> Any:
    """The method's config with ``options`` in place of its defaults.

    Raises ``DataContractError`` for an unknown option, naming the alternatives, or a value of the wrong kind.
    """
    config = config_of(name)
    known = [entry.name for entry in fields(config)]
    for option in options:
        if option not in known:
            raise unknown_name(path, field, str(option), known)
    try:
        return config(**options)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataContractError(
            path,
            ".".join([field, *map(str, first["loc"])]),
            expected=first["msg"],
            found=repr(first["input"])[:80],
            remedy=f"see src/stainscript/methods/{name}/config.py",
        ) from error


def load(name: str) -> Any:
    """The method itself, an object that keeps ``methods.base.Method``; imports what the method imports."""
    return importlib.import_module(f"stainscript.methods.{_checked(name)}.method").METHOD


def _checked(name: str) -> str:
    if name not in names():
        raise unknown_name("config.yaml", "methods", name, names())
    return name
