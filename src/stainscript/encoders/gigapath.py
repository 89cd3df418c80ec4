"""Prov-GigaPath's tile encoder: ViT-g, DINOv2 on 1.3 billion tiles of 171,189 slides.

Sources: github.com/prov-gigapath/prov-gigapath (README and gigapath/pipeline.py: transform; demo/run_gigapath.ipynb:
1,134,953,984 parameters); the model's config on the hub: a patch of 16 px although timm's name says 14, 40 blocks of
width 1536. The resize to 256 px and the crop to 224 px drop an eighth of the patch's side: published so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import IMAGENET, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="gigapath",
    url="https://huggingface.co/prov-gigapath/prov-gigapath",
    repository="prov-gigapath/prov-gigapath",
    file="pytorch_model.bin",
    width=1536,
    input_px=224,
    resize_px=256,
    interpolation="bicubic",
    **IMAGENET,
    pooling="class token",
    licence="Apache-2.0 with the gate's conditions: research only, not clinical use",
    gated=True,
    parameters=1_134_953_984,
    gflops=456.2,
    citation="Xu et al. 2024, Nature 630:181-188, doi:10.1038/s41586-024-07441-w",
)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network, or with ``shrink`` (timm's arguments, e.g. ``depth=1``) a smaller one."""
    import timm

    shape = {"img_size": 224, "patch_size": 16, "embed_dim": 1536, "depth": 40, "num_heads": 24, "mlp_ratio": 5.33334}
    options = {"init_values": 1e-5, "num_classes": 0}
    return timm.create_model("vit_giant_patch14_dinov2", **shape | options | shrink)
