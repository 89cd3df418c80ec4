"""Any timm model as a frozen encoder: its pooled features, behind the transform that its own data config states."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from timm.data import resolve_model_data_config
from torch.nn import functional

from stainscript.encoders.weights import load_strictly, read_weights
from stainscript.errors import DataContractError, unknown_name
from stainscript.seeds import stream_seed

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Transform:
    """Patches to network input: resize, centre crop, normalise. Patches are square, so every crop mode is the same."""

    def __init__(self, data_config: dict[str, Any]) -> None:
        self.size = tuple(data_config["input_size"][1:])  # (y, x)
        self.resized = math.floor(max(self.size) / data_config["crop_pct"])
        self.mode = data_config["interpolation"]
        self.mean = torch.tensor(data_config["mean"]).view(3, 1, 1)
        self.std = torch.tensor(data_config["std"]).view(3, 1, 1)

    def __str__(self) -> str:
        """What is stored beside the features."""
        mean, std = ([round(v, 6) for v in t.flatten().tolist()] for t in (self.mean, self.std))
        return (
            f"resize to {self.resized}x{self.resized} px ({self.mode}, antialiased), "
            f"centre crop {self.size[0]}x{self.size[1]} px, / 255, mean {mean}, sd {std}"
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(S, y, x, 3) uint8 → (S, 3, y, x) float32 on the same device."""
        planes = images.permute(0, 3, 1, 2).float() / 255
        if planes.shape[-2:] != (self.resized, self.resized):
            size = (self.resized, self.resized)
            planes = functional.interpolate(planes, size=size, mode=self.mode, antialias=True).clamp(0, 1)
        top, left = ((self.resized - n) // 2 for n in self.size)
        planes = planes[..., top : top + self.size[0], left : left + self.size[1]]
        return (planes - self.mean.to(planes.device)) / self.std.to(planes.device)


class TimmEncoder:
    """A timm model in eval mode on one device."""

    def __init__(
        self, model: torch.nn.Module, *, name: str, transform: Transform, facts: dict[str, Any], card: dict[str, str]
    ) -> None:
        self.name, self.card, self.transform = name, card, str(transform)
        self.weights_sha256, self.precision = facts["weights_sha256"], facts["precision"]
        self.width = facts["width"]
        self._model, self._transform = model, transform
        self._device, self._threads, self._batch_size = facts["device"], facts["threads"], facts["batch_size"]

    @torch.inference_mode()
    def encode(self, images: np.ndarray) -> np.ndarray:
        """(S, y, x, 3) uint8 RGB → (S, D) float32, ``batch_size`` patches a forward pass."""
        features = np.empty((len(images), self.width), dtype=np.float32)
        reduced = self.precision != "float32"
        with _repeatable(self._threads), torch.autocast(self._device.type, DTYPES[self.precision], enabled=reduced):
            for start in range(0, len(images), self._batch_size):
                batch = torch.from_numpy(np.ascontiguousarray(images[start : start + self._batch_size]))
                output = self._model(self._transform(batch.to(self._device)))
                features[start : start + len(batch)] = output.float().cpu().numpy()
        return features


def load(
    variant: str,
    *,
    weights: str | Path | None,
    weights_sha256: str | None,
    seed: int,
    precision: str,
    batch_size: int,
    hardware: dict[str, Any],
) -> TimmEncoder:
    """The model ``variant`` (with or without a tag) without its classifier, weights from a file or random by seed.

    Random weights leave the global generators untouched. Half precisions run on a GPU; a CPU computes in float32 and
    the encoder says so. Raises ``DataContractError`` for wrong weights, an absent GPU, and models whose output is not
    one vector an image.
    """
    device = _device(hardware.get("accelerator", "auto"), gpu=hardware.get("gpu"))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, "encoder", variant))
        model = _create(variant)
    config = resolve_model_data_config(model)
    identity, origin = f"random:{seed}", f"random, from seed {seed}"
    if weights is not None:
        tensors, identity = read_weights(weights, sha256=weights_sha256)
        classifier = model.pretrained_cfg.get("classifier") or ()
        load_strictly(
            model, tensors, path=weights, without=(classifier,) if isinstance(classifier, str) else classifier
        )
        origin = f"file {Path(weights).name}"
    if device.type == "cpu" and precision != "float32":
        logger.info("no GPU: computing in float32, not %s", precision)
        precision = "float32"
    transform = Transform(config)
    model = model.eval().requires_grad_(requires_grad=False)
    facts = {
        "weights_sha256": identity,
        "precision": precision,
        "width": _pooled_width(model, config["input_size"], variant),
        "device": device,
        "threads": hardware.get("threads"),
        "batch_size": batch_size,
    }
    card = {
        "licence": str(model.pretrained_cfg.get("license") or "not stated by timm") + " (published weights)",
        "weights": origin,
        "transform": str(transform),
    }
    return TimmEncoder(model.to(device), name=f"timm:{variant}", transform=transform, facts=facts, card=card)


def _create(variant: str) -> torch.nn.Module:
    architecture, _, tag = variant.partition(".")
    if tag:
        tagged = timm.list_models(f"{architecture}.*", include_tags=True)
        if variant not in tagged:
            raise unknown_name("config.yaml", "encoder kind", variant, tagged or [architecture])
    return timm.create_model(variant, pretrained=False, num_classes=0)


def _pooled_width(model: torch.nn.Module, input_size: tuple[int, int, int], variant: str) -> int:
    """D, from a forward pass of one black image."""
    with torch.inference_mode():
        output = model(torch.zeros(1, *input_size))
    if not isinstance(output, torch.Tensor) or output.ndim != 2:
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise DataContractError(
            "config.yaml",
            "encoder kind",
            expected="a model with pooled features: output (1, D)",
            found=f"timm:{variant} with output {found}",
            remedy="choose a classification model of timm",
        )
    return int(output.shape[1])


def _device(accelerator: str, *, gpu: int | None) -> torch.device:
    present = torch.cuda.is_available()
    if accelerator == "gpu" and not present:
        raise DataContractError(
            "config.yaml",
            "hardware.accelerator",
            expected="a GPU that PyTorch can use",
            found="none",
            remedy="set it to auto or cpu",
        )
    return torch.device("cuda", gpu or 0) if present and accelerator in ("auto", "gpu") else torch.device("cpu")


@contextlib.contextmanager
def _repeatable(threads: int | None) -> Iterator[None]:
    """Convolutions that repeat exactly, in full float32; threads as told, restored afterwards."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)
