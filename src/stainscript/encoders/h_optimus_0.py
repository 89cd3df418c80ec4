"""H-optimus-0: ViT-g/14 with 4 registers, self-supervised on several hundred million tiles of over 500,000 slides.

Sources: the model's config on the hub (architecture, own mean and sd, Apache 2.0); HEST's and TRIDENT's encoder
factories. The published transform expects 224 px at 0.5 µm/px and resizes nothing; other sizes are resized here,
bicubically as timm's default for this architecture has it [inferred].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="h_optimus_0",
    url="https://huggingface.co/bioptimus/H-optimus-0",
    repository="bioptimus/H-optimus-0",
    file="pytorch_model.bin",
    width=1536,
    input_px=224,
    resize_px=224,
    interpolation="bicubic",
    mean=(0.707223, 0.578729, 0.703617),
    std=(0.211883, 0.230117, 0.177517),
    pooling="class token",
    licence="Apache-2.0; the gate asks for contact details",
    gated=True,
    parameters=1_134_774_272,
    gflops=608.3,
    citation="Saillard et al. 2024, H-optimus-0, github.com/bioptimus/releases",
)


def network(**shrink: Any) -> torch.nn.Module:
    """The published network, or with ``shrink`` (timm's arguments, e.g. ``depth=1``) a smaller one."""
    import timm

    options = {"img_size": 224, "init_values": 1e-5, "num_classes": 0, "dynamic_img_size": False}
    return timm.create_model("vit_giant_patch14_reg4_dinov2", **options | shrink)
