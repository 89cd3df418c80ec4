"""CONCH: the image tower of a CoCa model, ViT-B/16, trained on 1.17 million pairs of pathology images and captions.

Sources: github.com/mahmoodlab/CONCH (README; open_clip_custom: model_configs/conch_ViT-B-16.json, vision_tower.py,
transform.py, constants.py). The input is 448 px, so a 224 px patch is enlarged. ``conch`` is what HEST, DKAN and HINGE
take: attention pooling over all tokens with one query and a norm, neither projected nor normalised
(``encode_image(proj_contrast=False, normalize=False)``); ``conch:projected`` adds the contrastive projection and unit
length, the space shared with text. The file also holds the text tower, the decoder and the caption pooling.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import CLIP, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="conch",
    url="https://huggingface.co/MahmoodLab/CONCH",
    repository="MahmoodLab/CONCH",
    file="pytorch_model.bin",
    width=512,
    input_px=448,
    resize_px=448,
    interpolation="bicubic",
    **CLIP,
    pooling="attention pooling with one query, then a norm; not projected",
    licence="CC-BY-NC-ND-4.0, non-commercial research",
    gated=True,
    parameters=87_567_104,
    gflops=158.2,
    citation="Lu et al. 2024, Nat. Med. 30:863-874, doi:10.1038/s41591-024-02856-4",
)
VARIANTS = {
    "projected": replace(
        CARD,
        name="conch:projected",
        pooling="attention pooling with one query, a norm, the contrastive projection, unit length",
        parameters=CARD.parameters + 512 * 512,
    )
}


def left_out(variant: str) -> tuple[str, ...]:
    """What the file holds beside the encoder."""
    unused = ("text", "text_decoder", "logit_scale", "visual.attn_pool_caption", "visual.ln_caption")
    return unused if variant == "projected" else (*unused, "visual.proj_contrast")


def network(variant: str = "", **shrink: Any) -> torch.nn.Module:
    """The published image tower, or with ``shrink`` (timm's arguments, e.g. ``depth=1``) a smaller one."""
    import timm

    from stainscript.encoders.attention_pool import PooledTower

    options = {"img_size": 448, "num_classes": 0, "dynamic_img_size": True}
    trunk = timm.create_model("vit_base_patch16_224", **options | shrink)
    return PooledTower(trunk, width=512, heads=8, projected=variant == "projected")
