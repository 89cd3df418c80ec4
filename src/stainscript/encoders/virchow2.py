"""Virchow2: ViT-H/14 with 4 registers, DINOv2 on 3.1 million H&E and IHC slides at four magnifications.

Sources: the model's card and config on the hub (SwiGLU, mlp ratio 5.3375, bicubic, crop 1.0); HEST's and TRIDENT's
encoder factories agree. The feature is the class token beside the mean of the 256 patch tokens, which follow the
class token and the 4 registers: 2 × 1280 = 2560.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="virchow2",
    url="https://huggingface.co/paige-ai/Virchow2",
    repository="paige-ai/Virchow2",
    file="pytorch_model.bin",
    width=2560,
    input_px=224,
    resize_px=224,
    interpolation="bicubic",
    **IMAGENET,
    pooling="class token, then the mean of the patch tokens after 4 registers",
    licence="CC-BY-NC-ND-4.0, non-commercial research",
    gated=True,
    parameters=631_239_424,
    gflops=340.1,
    citation="Zimmermann et al. 2024, arXiv:2408.00738",
)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network, or with ``shrink`` (timm's arguments, e.g. ``depth=1``) a smaller one."""
    import timm
    import torch

    shape = {"img_size": 224, "reg_tokens": 4, "mlp_ratio": 5.3375}
    options = {"init_values": 1e-5, "num_classes": 0, "global_pool": "", "dynamic_img_size": True}
    layers = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU}
    return timm.create_model("vit_huge_patch14_224", **shape | options | layers | shrink)


def pool(tokens: torch.Tensor) -> torch.Tensor:
    """(B, 1 + 4 + L, 1280) → (B, 2560)."""
    import torch

    return torch.cat([tokens[:, 0], tokens[:, 5:].mean(dim=1)], dim=1)
