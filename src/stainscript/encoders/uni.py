"""UNI: ViT-L/16, DINOv2 on 100 million patches of 100,000 slides (Mass-100K).

Sources: github.com/mahmoodlab/UNI (README, uni/get_encoder: constructor, file, strict load, transform), the gate's
text on the hub's card. The class token after the last norm is the feature; 303,350,784 parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="uni",
    url="https://huggingface.co/MahmoodLab/UNI",
    repository="MahmoodLab/UNI",
    file="pytorch_model.bin",
    width=1024,
    input_px=224,
    resize_px=224,
    **IMAGENET,
    pooling="class token",
    licence="CC-BY-NC-ND-4.0, non-commercial research",
    gated=True,
    parameters=303_350_784,
    gflops=123.1,
    citation="Chen et al. 2024, Nat. Med. 30:850-862, doi:10.1038/s41591-024-02857-3",
)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network, or with ``shrink`` (timm's arguments, e.g. ``depth=1``) a smaller one."""
    import timm

    options = {"img_size": 224, "init_values": 1e-5, "num_classes": 0, "dynamic_img_size": True}
    return timm.create_model("vit_large_patch16_224", **options | shrink)
