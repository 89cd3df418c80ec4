"""ResNet50, supervised on ImageNet-1k: torchvision's IMAGENET1K_V1, in timm's copy (equal names and values).

Sources: timm's config of ``resnet50.tv_in1k``; torchvision's recipe resizes to 256 px and crops 224 px: ``resnet50``,
2048 features. ``resnet50:stage3`` is what HEST, CLAM and DKAN call ResNet50: cut after the third stage, averaged, 1024
features, and as in HEST a patch is normalised at the size that it has (HEST's inference_models.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="resnet50",
    url="https://huggingface.co/timm/resnet50.tv_in1k",
    repository="timm/resnet50.tv_in1k",
    file="model.safetensors",
    width=2048,
    input_px=224,
    resize_px=256,
    **IMAGENET,
    pooling="mean of the last feature map",
    licence="BSD-3-Clause",
    gated=False,
    parameters=23_508_032,
    gflops=8.17,
    citation="He et al. 2016, CVPR, arXiv:1512.03385",
)
VARIANTS = {
    "stage3": replace(
        CARD,
        name="resnet50:stage3",
        width=1024,
        resize_px=None,
        pooling="mean of the third stage's feature map",
        parameters=8_543_296,
        gflops=6.56,
    )
}


def left_out(variant: str) -> tuple[str, ...]:
    """What the file holds beside the encoder: the classifier, and behind the cut the fourth stage."""
    return ("fc", "layer4") if variant == "stage3" else ("fc",)


def network(variant: str = "", **shrink: Any) -> torch.nn.Module:
    """The published network without its classifier, whole or cut; ``shrink`` are timm's arguments."""
    import timm
    import torch

    made = timm.create_model("resnet50", **{"num_classes": 0, **shrink})
    if variant == "stage3":
        made.layer4 = torch.nn.Identity()
    return made
