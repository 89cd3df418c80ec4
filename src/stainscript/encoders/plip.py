"""PLIP: OpenAI's CLIP ViT-B/32, fine-tuned on 208,414 pairs of pathology images and text from Twitter (OpenPath).

Sources: github.com/PathologyFoundation/plip (plip.py: transformers' CLIPModel, image features after the projection, not
normalised) and the hub's file list. The processor is CLIP's: resize 224 px bicubic, centre crop, CLIP's mean and sd.
The file is that of the whole CLIP model, written when transformers still saved ``position_ids``. The card states no
licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stainscript.encoders.base import CLIP, Card

if TYPE_CHECKING:
    import torch

CARD = Card(
    name="plip",
    url="https://huggingface.co/vinid/plip",
    repository="vinid/plip",
    file="pytorch_model.bin",
    width=512,
    input_px=224,
    resize_px=224,
    interpolation="bicubic",
    **CLIP,
    pooling="class token after its norm, projected to 512; not normalised",
    licence="none stated: ask the authors before any use beyond research",
    gated=False,
    parameters=87_849_216,
    gflops=8.82,
    citation="Huang et al. 2023, Nat. Med. 29:2307-2316, doi:10.1038/s41591-023-02504-3",
)
LEFT_OUT = ("text_model", "text_projection", "logit_scale", "vision_model.embeddings.position_ids")


def network(**shrink: Any) -> torch.nn.Module:
    """CLIP's image tower with its projection, or with ``shrink`` (e.g. ``num_hidden_layers=1``) a smaller one."""
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    shape = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    config = CLIPVisionConfig(**{**shape, "image_size": 224, "patch_size": 32, "projection_dim": 512, **shrink})
    made = CLIPVisionModelWithProjection(config)
    places = made.vision_model.embeddings
    places.position_ids = torch.arange(places.num_positions, device="cpu")[None]  # real even where the rest is not yet
    return made


def pool(output: Any) -> torch.Tensor:
    """The model's output → (B, 512)."""
    return output.image_embeds
