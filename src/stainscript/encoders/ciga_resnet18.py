"""Ciga's ResNet18: SimCLR on 57 histopathology datasets without labels ("tenpercent", epoch 1000).

Sources: github.com/ozanciga/self-supervised-histopathology (README: torchvision's resnet18 without fc, how keys are
renamed; release ``tenpercent``; MIT). The file named here is the release's copy without Lightning objects, which is
read without running foreign code; the other needs Lightning to be unpickled. README and starter code state no
normalisation and feed values of 0 to 1; TRIPLEX and DKAN normalise with ImageNet's mean and sd, which is the default,
``ciga_resnet18:unit`` leaves it out. Patches are taken at 224 px. Tensors outside ``model.resnet`` (SimCLR's
projection head) are left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="ciga_resnet18",
    url="https://github.com/ozanciga/self-supervised-histopathology/releases/tag/tenpercent",
    repository=None,
    file="pytorchnative_tenpercent_resnet18.ckpt",
    width=512,
    input_px=224,
    resize_px=224,
    **IMAGENET,
    pooling="mean of the last feature map",
    licence="MIT",
    gated=False,
    parameters=11_176_512,
    gflops=3.63,
    citation="Ciga, Xu and Martel 2022, Mach. Learn. Appl. 7:100198, doi:10.1016/j.mlwa.2021.100198",
)
VARIANTS = {"unit": replace(CARD, name="ciga_resnet18:unit", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))}
LEFT_OUT = ("fc", "model")


def rename(name: str) -> str:
    """A tensor's name in the file → its name in the network."""
    return name.removeprefix("model.resnet.")


def network(variant: str = "", **shrink: Any) -> torch.nn.Module:
    """The published network; ``shrink`` are timm's arguments."""
    import timm

    return timm.create_model("resnet18", **{"num_classes": 0, **shrink})
