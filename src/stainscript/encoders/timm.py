"""Any timm model as a frozen encoder: its pooled features, behind the transform that its own data config states."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config

from stainscript.encoders.base import RANDOM
from stainscript.encoders.execution import Execution, choose_device
from stainscript.encoders.network import TorchEncoder, build_random
from stainscript.encoders.transform import Transform
from stainscript.encoders.weights import load_strictly, read_weights
from stainscript.errors import DataContractError, unknown_name


def load(
    variant: str,
    *,
    weights: str | Path | None,
    weights_sha256: str | None,
    seed: int,
    precision: str,
    batch_size: int,
    hardware: dict[str, Any],
    options: dict[str, Any],
    compile: bool,
) -> TorchEncoder:
    """The model ``variant`` (with or without a tag) without its classifier, weights from a file or random by seed.

    weights: a file, or ``None`` or ``random``; options: arguments of the model's constructor, such as ``img_size``,
    ``init_values`` or ``dynamic_img_size``. Random weights leave the global generators untouched. Half precisions run
    on a GPU; a CPU computes in float32 and the encoder says so. Raises ``DataContractError`` for wrong weights, an
    absent GPU, arguments that the model does not take, and models whose output is not one vector an image.
    """
    execution = Execution.on(
        choose_device(hardware), threads=hardware.get("threads"), precision=precision, compile=compile
    )
    model = build_random(variant, seed, lambda: _create(variant, options))
    given_size = {"img_size": options["img_size"]} if isinstance(options.get("img_size"), int) else {}
    config = resolve_model_data_config(model, args=given_size)
    identity, origin = f"random:{seed}", f"random, from seed {seed}"
    if weights not in (None, RANDOM):
        tensors, identity = read_weights(weights, sha256=weights_sha256)
        classifier = model.pretrained_cfg.get("classifier") or ()
        load_strictly(
            model, tensors, path=weights, without=(classifier,) if isinstance(classifier, str) else classifier
        )
        origin = f"file {Path(weights).name}"
    transform = as_published(config)
    model = model.eval()
    card = {
        "licence": str(model.pretrained_cfg.get("license") or "not stated by timm") + " (published weights)",
        "weights": origin,
        "transform": describe(transform),
    }
    return TorchEncoder(
        execution.prepare(model),
        name=f"timm:{variant}",
        width=_pooled_width(model, config["input_size"], variant, execution.device),
        transform=transform,
        execution=execution,
        weights_sha256=identity,
        card=card,
        input_px=tuple(config["input_size"][1:]),
        batch_size=batch_size,
    )


def as_published(config: dict[str, Any]) -> Transform:
    """timm's data config as a transform. Patches are square, so every crop mode is the same."""
    size = tuple(config["input_size"][1:])  # (y, x)
    return Transform(
        resize_px=math.floor(max(size) / config["crop_pct"]),
        crop_px=size,
        mode=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def describe(transform: Transform) -> str:
    """What is stored beside the features."""
    mean, std = ([round(v, 6) for v in values] for values in (transform.mean, transform.std))
    return (
        f"resize to {transform.resize_px}x{transform.resize_px} px ({transform.mode}, antialiased, 8 bits), "
        f"centre crop {transform.crop_px[0]}x{transform.crop_px[1]} px, / 255, mean {mean}, sd {std}"
    )


def _create(variant: str, options: dict[str, Any]) -> torch.nn.Module:
    architecture, _, tag = variant.partition(".")
    if tag:
        tagged = timm.list_models(f"{architecture}.*", include_tags=True)
        if variant not in tagged:
            raise unknown_name("config.yaml", "encoder kind", variant, tagged or [architecture])
    try:
        return timm.create_model(variant, pretrained=False, **{"num_classes": 0, **options})
    except (TypeError, ValueError, AssertionError) as error:
        if not options:
            raise
        raise DataContractError(
            "config.yaml",
            "encoder options",
            expected=f"arguments of timm's {architecture}",
            found=f"{options}: {error}",
            remedy="see the model's constructor in timm",
        ) from error


def _pooled_width(model: torch.nn.Module, input_size: tuple[int, int, int], variant: str, device: torch.device) -> int:
    """D, from a forward pass of one black image."""
    with torch.inference_mode():
        output = model(torch.zeros(1, *input_size, device=device))
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
