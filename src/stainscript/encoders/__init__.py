"""The registry of image encoders: a module beside this file with a ``CARD`` is an encoder, ``timm`` one a model.

Imports neither torch nor timm, so that misspelt names and absent weights fail while the jobs are planned.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import HUB, Card, weights_wanted
from stainscript.errors import DataContractError, unknown_name

if TYPE_CHECKING:
    from stainscript.encoders.base import Encoder

OWN_LOADER = ("morphology", "timm")  # everything else is published: a card, a network, and the loader they share
_FOLDER = Path(__file__).parent
_CARD = re.compile(r"^CARD = ", re.MULTILINE)
_REGISTERED = re.compile(r"^@register_model\s+def (\w+)\(", re.MULTILINE)


@functools.cache
def names() -> list[str]:
    """All encoders, by module; ``timm`` stands for ``timm:<model>``."""
    found = {path.stem for path in _FOLDER.glob("*.py") if _CARD.search(path.read_text(encoding="utf-8"))}
    return sorted(found | set(OWN_LOADER))


def published() -> list[str]:
    """Kinds of the published encoders, variants beside what they vary: ``resnet50``, ``resnet50:stage3``."""
    modules = [name for name in names() if name not in OWN_LOADER]
    return [kind for name in modules for kind in (name, *(f"{name}:{v}" for v in _variants(name)))]


def check(kind: str, *, path: str | Path = "config.yaml", field: str = "encoders") -> None:
    """Raise ``DataContractError``, naming the alternatives, unless ``kind`` is an encoder.

    path, field: where the name was read. Models of timm are checked where timm is installed.
    """
    module, _, variant = kind.partition(":")
    if module == "timm":
        _check_timm_model(variant, path=path, field=field)
    elif kind not in ("morphology", *published()):
        raise unknown_name(path, field, kind, ["morphology", *published(), "timm:<model>"])


def check_weights(
    kind: str, weights: str | Path | None, *, path: str | Path = "config.yaml", field: str = "encoders"
) -> None:
    """Raise ``DataContractError`` where a published encoder is given no weights, or ``hub`` where it is not there.

    field: ``encoders.<name>``. Whether a file exists is not looked at.
    """
    if kind.partition(":")[0] in OWN_LOADER and weights != HUB:
        return
    found = card(kind)
    if weights is None or (weights == HUB and found.repository is None):
        raise weights_wanted(found, path=path, field=f"{field}.weights", found=weights)


def card(kind: str) -> Card:
    """The facts of a published encoder. Raises ``DataContractError`` for others: they have no file of weights."""
    check(kind, field="encoder kind")
    module, _, variant = kind.partition(":")
    if module in OWN_LOADER:
        raise unknown_name("config.yaml", "published encoder", kind, published())
    source = importlib.import_module(f"stainscript.encoders.{module}")
    return source.VARIANTS[variant] if variant else source.CARD


def load(
    kind: str,
    *,
    weights: str | Path | None = None,
    weights_sha256: str | None = None,
    seed: int = 0,
    precision: str = "float32",
    batch_size: int = 64,
    hardware: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    compile: bool = False,
) -> Encoder:
    """The encoder ``kind``: ``morphology``, a published one (``published()``), or ``timm:<model>``.

    weights: a local file, for a published encoder also its folder; ``random``: drawn by ``seed``, which for ``timm`` is
    also what ``None`` means. weights_sha256: what the file must hash to; precision: float32, bfloat16 or float16, the
    latter two on a GPU only; batch_size: patches a forward pass; hardware: ``accelerator`` (auto, cpu, gpu), ``gpu``
    (its place) and ``threads``; options: arguments of a timm model's constructor; compile: ``torch.compile``.
    Raises ``DataContractError`` for a misspelt kind and for weights that are not what they should be.
    """
    check(kind, field="encoder kind")
    module, _, variant = kind.partition(":")
    given = {
        "weights": weights,
        "weights_sha256": weights_sha256,
        "seed": seed,
        "precision": precision,
        "batch_size": batch_size,
        "hardware": hardware or {},
        "options": dict(options or {}),
        "compile": compile,
    }
    if module in OWN_LOADER:
        return importlib.import_module(f"stainscript.encoders.{module}").load(variant, **given)
    return importlib.import_module("stainscript.encoders.network").load(module, variant, **given)


def needs_gpu(kind: str) -> bool:
    """Whether this encoder runs a network, which a GPU would speed up."""
    return kind.partition(":")[0] != "morphology"


def code_modules(kind: str) -> tuple[str, ...]:
    """Dotted names of the modules whose code decides this encoder's features."""
    check(kind, field="encoder kind")
    module = kind.partition(":")[0]
    own = f"stainscript.encoders.{module}"
    return (own,) if module in OWN_LOADER else (own, "stainscript.encoders.network")


@functools.cache
def timm_models() -> frozenset[str]:
    """Names of timm's models, read from its sources without importing it; empty where timm is not installed."""
    found = find_spec("timm")
    if found is None or not found.submodule_search_locations:
        return frozenset()
    sources = (Path(found.submodule_search_locations[0]) / "models").glob("*.py")
    return frozenset(name for source in sources for name in _REGISTERED.findall(source.read_text(encoding="utf-8")))


def _variants(module: str) -> list[str]:
    return list(getattr(importlib.import_module(f"stainscript.encoders.{module}"), "VARIANTS", {}))


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
