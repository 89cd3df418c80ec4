"""ResNet18, supervised on ImageNet-1k: torchvision's IMAGENET1K_V1, in timm's copy (equal names and values).

Sources: timm's config of ``resnet18.tv_in1k``; torchvision's recipe resizes to 256 px and crops 224 px. GenAR and DKAN
use these weights, respectively Ciga's, as their weakest encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="resnet18",
    url="https://huggingface.co/timm/resnet18.tv_in1k",
    repository="timm/resnet18.tv_in1k",
    file="model.safetensors",
    width=512,
    input_px=224,
    resize_px=256,
    **IMAGENET,
    pooling="mean of the last feature map",
    licence="BSD-3-Clause",
    gated=False,
    parameters=11_176_512,
    gflops=3.63,
    citation="He et al. 2016, CVPR, arXiv:1512.03385",
)
LEFT_OUT = ("fc",)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network without its classifier; ``shrink`` are timm's arguments."""
    import timm

    return timm.create_model("resnet18", **{"num_classes": 0, **shrink})
