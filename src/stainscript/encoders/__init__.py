"""The registry of image encoders: a module beside this file is an encoder, ``timm`` one for each of its models.

Imports neither torch nor timm, so that misspelt names fail while the jobs are planned.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.errors import DataContractError, unknown_name

if TYPE_CHECKING:
    from stainscript.encoders.base import Encoder

_FOLDER = Path(__file__).parent
_MACHINERY = {"__init__", "base", "weights"}
_REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


def names() -> list[str]:
    """All encoders, by module; ``timm`` stands for ``timm:<model>``."""
    return sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem not in _MACHINERY)


def check(kind: str, *, path: str | Path = "config.yaml", field: str = "encoders") -> None:
    """Raise ``DataContractError``, naming the alternatives, unless ``kind`` is an encoder.

    path, field: where the name was read. Models of timm are checked where timm is installed.
    """
    module, _, variant = kind.partition(":")
    spelt = [f"{name}:<model>" if name == "timm" else name for name in names()]
    if module not in names() or (module != "timm" and variant):
        raise unknown_name(path, field, kind, spelt)
    if module == "timm":
        _check_timm_model(variant, path=path, field=field)


def load(
    kind: str,
    *,
    weights: str | Path | None = None,
    weights_sha256: str | None = None,
    seed: int = 0,
    precision: str = "float32",
    batch_size: int = 64,
    hardware: dict[str, Any] | None = None,
) -> Encoder:
    """The encoder ``kind``: ``morphology``, or ``timm:<model>`` with weights from a file or random by ``seed``.

    weights: local file; weights_sha256: what it must hash to; precision: float32, bfloat16 or float16, the latter two
    on a GPU only; batch_size: patches a forward pass; hardware: ``accelerator`` (auto, cpu, gpu) and ``threads``.
    Raises ``DataContractError`` for a misspelt kind and for weights that are not what they should be.
    """
    check(kind, field="encoder kind")
    module, _, variant = kind.partition(":")
    return importlib.import_module(f"stainscript.encoders.{module}").load(
        variant,
        weights=weights,
        weights_sha256=weights_sha256,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
        hardware=hardware or {},
    )


def needs_gpu(kind: str) -> bool:
    """Whether this encoder runs a network, which a GPU would speed up."""
    return kind.partition(":")[0] != "morphology"


def code_modules(kind: str) -> tuple[str, ...]:
    """Dotted names of the modules whose code decides this encoder's features."""
    check(kind, field="encoder kind")
    return (f"stainscript.encoders.{kind.partition(':')[0]}",)


@functools.cache
def timm_models() -> frozenset[str]:
    """Names of timm's models, read from its sources without importing it; empty where timm is not installed."""
    found = find_spec("timm")
    if found is None or not found.submodule_search_locations:
        return frozenset()
    sources = (Path(found.submodule_search_locations[0]) / "models").glob("*.py")
    return frozenset(name for source in sources for name in _REGISTERED.findall(source.read_text(encoding="utf-8")))


def _check_timm_model(variant: str, *, path: str | Path, field: str) -> None:
    known = timm_models()
    model = variant.partition(".")[0]  # what follows the point is the tag of a set of weights
    if model in known or (variant and not known):
        return
    near = difflib.get_close_matches(model, known, n=5, cutoff=0.5)
    raise DataContractError(
        path,
        field,
        expected=f"timm:<model>, a model of the installed timm ({len(known)} of them)",
        found=repr(f"timm:{variant}"),
        remedy=f"did you mean {', '.join(f'timm:{n}' for n in near)}?" if near else "see timm.list_models()",
    )
