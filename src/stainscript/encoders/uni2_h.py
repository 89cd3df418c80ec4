"""UNI2-h: ViT-H/14 with 8 registers, DINOv2 on more than 200 million patches of 350,000 H&E and IHC slides.

Sources: github.com/mahmoodlab/UNI (README: constructor, file, transform; uni/get_encoder: strict load). The class token
after the last norm is the feature; registers are not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="uni2_h",
    url="https://huggingface.co/MahmoodLab/UNI2-h",
    repository="MahmoodLab/UNI2-h",
    file="pytorch_model.bin",
    width=1536,
    input_px=224,
    resize_px=224,
    **IMAGENET,
    pooling="class token",
    licence="CC-BY-NC-ND-4.0, non-commercial research",
    gated=True,
    parameters=681_394_176,
    gflops=370.9,
    citation="Chen et al. 2024, Nat. Med. 30:850-862, doi:10.1038/s41591-024-02857-3; UNI 2, released January 2025",
)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network, or with ``shrink`` (timm's arguments, e.g. ``depth=1``) a smaller one."""
    import timm
    import torch

    shape = {"img_size": 224, "patch_size": 14, "depth": 24, "num_heads": 24, "embed_dim": 1536, "reg_tokens": 8}
    feed_forward = {"mlp_ratio": 2.66667 * 2, "mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}
    options = {"init_values": 1e-5, "num_classes": 0, "no_embed_class": True, "dynamic_img_size": True}
    return timm.create_model("vit_giant_patch14_224", **shape | feed_forward | options | shrink)
