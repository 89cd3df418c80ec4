"""DenseNet121, supervised on ImageNet-1k: torchvision's IMAGENET1K_V1, in timm's copy with today's tensor names.

Sources: timm's config of ``densenet121.tv_in1k`` (256 px bicubic, crop 224 px; torchvision's own recipe is bilinear).
ST-Net's backbone. torchvision's own file names tensors otherwise (``norm.1`` for ``norm1``) and is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="densenet121",
    url="https://huggingface.co/timm/densenet121.tv_in1k",
    repository="timm/densenet121.tv_in1k",
    file="model.safetensors",
    width=1024,
    input_px=224,
    resize_px=256,
    interpolation="bicubic",
    **IMAGENET,
    pooling="mean of the last feature map",
    licence="Apache-2.0 as timm states; torchvision's original is BSD-3-Clause",
    gated=False,
    parameters=6_953_856,
    gflops=5.67,
    citation="Huang et al. 2017, CVPR, arXiv:1608.06993",
)
LEFT_OUT = ("classifier",)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network without its classifier; ``shrink`` are timm's arguments."""
    import timm

    return timm.create_model("densenet121", **{"num_classes": 0, **shrink})
