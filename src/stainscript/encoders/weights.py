"""Local weight files: located, hashed, read without running foreign code, and loaded strictly."""

from __future__ import annotations

import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from stainscript.artifacts.files import file_sha256
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

PICKLED = (".pt", ".pth", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys under which training code likes to hide the tensors
_SHOWN = 5
_CONVERT = "convert it to .safetensors where you trust the file; tensors alone are read, pickled code never runs"


def read_weights(path: str | Path, *, sha256: str | None = None) -> tuple[dict[str, torch.Tensor], str]:
    """Tensors of a weights file by name, on the CPU, and the file's SHA-256.

    ``.safetensors`` is preferred; ``.pt``, ``.pth``, ``.bin`` and ``.ckpt`` are read as tensors only. Raises
    ``DataContractError`` for a missing file, another hash than ``sha256``, a pickle that holds more than tensors, and a
    damaged file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataContractError(
            path, "weights", expected="a weights file", found="no such file", remedy="correct the encoder's weights"
        )
    found = file_sha256(path)
    if sha256 is not None and found != sha256:
        raise DataContractError(
            path,
            "weights_sha256",
            expected=sha256,
            found=found,
            remedy="fetch the file again, or correct weights_sha256 if another version is meant",
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path), found
    if path.suffix in PICKLED:
        return _unwrapped(_read_pickled(path), path), found
    raise DataContractError(
        path,
        "suffix",
        expected=f".safetensors or one of {', '.join(PICKLED)}",
        found=path.suffix or "none",
        remedy="convert the weights to .safetensors",
    )


def load_strictly(
    model: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    path: str | Path,
    without: Iterable[str] = (),
    rename: Callable[[str], str] | None = None,
    remedy: str = "give the weights of this very model, as timm names",
    assign: bool = False,
) -> None:
    """Load ``tensors`` into ``model``: every parameter and buffer given, none left over, all shapes equal.

    without: what the published file holds and the encoder does not have (classifier, text tower), as full names or as
    their first parts; it is left out and named in the log. rename: a name in the file → the name in the model. assign:
    the tensors take the places of the model's, which may be on the meta device, instead of being copied into them.
    Raises ``DataContractError`` that lists the first missing, unexpected and misshapen tensors.
    """
    wanted = model.state_dict()
    given = {rename(name) if rename else name: tensor for name, tensor in tensors.items()}
    unused = [name for name in given if name not in wanted]
    left_out = {name: top for name in unused for top in without if name == top or name.startswith(f"{top}.")}
    given = {name: tensor for name, tensor in given.items() if name not in left_out}
    missing = [f"{name} {tuple(wanted[name].shape)}" for name in wanted if name not in given]
    unexpected = [f"{name} {tuple(given[name].shape)}" for name in given if name not in wanted]
    misshapen = [
        (f"{name} {tuple(wanted[name].shape)}", f"{name} {tuple(t.shape)}")
        for name, t in given.items()
        if name in wanted and wanted[name].shape != t.shape
    ]
    if missing or unexpected or misshapen:
        kinds = {
            "missing": missing,
            "unexpected": unexpected,
            "of another shape": [found for _, found in misshapen],
        }
        found = "; ".join(f"{len(v)} {kind}: {_first(v)}" for kind, v in kinds.items() if v)
        expected = f"the {len(wanted)} tensors of the model"
        if misshapen:
            expected += f", with {_first([shape for shape, _ in misshapen])}"
        raise DataContractError(path, "tensors", expected=expected, found=found, remedy=remedy)
    if left_out:
        counts = Counter(left_out.values())
        logger.info("left out of %s: %s", path, ", ".join(f"{top} ({n} tensors)" for top, n in counts.items()))
    converted = {name: tensor.to(wanted[name].dtype) for name, tensor in given.items()}
    model.load_state_dict(converted, strict=True, assign=assign)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise DataContractError(
            path, "format", expected="a safetensors file", found=error, remedy="fetch the file again"
        ) from error


def _read_pickled(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        first = str(error).partition("\n")[0]
        raise DataContractError(
            path, "pickle", expected="tensors and nothing else", found=first, remedy=_CONVERT
        ) from error
    except (EOFError, RuntimeError, ValueError, KeyError, IndexError, AttributeError, UnicodeDecodeError) as error:
        raise DataContractError(
            path, "format", expected="a PyTorch weights file", found=f"{type(error).__name__}: {error}", remedy=_CONVERT
        ) from error


def _unwrapped(content: object, path: Path) -> dict[str, torch.Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        kinds = sorted({type(v).__name__ for v in content.values()}) if isinstance(content, Mapping) else []
        raise DataContractError(
            path,
            "content",
            expected="a mapping from names to tensors",
            found=f"{type(content).__name__} of {', '.join(kinds)}" if kinds else type(content).__name__,
            remedy="save the model's state dict alone, best as .safetensors",
        )
    return dict(content)


def _first(texts: list[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
