"""PLIP's text tower: CLIP ViT-B/32's, fine-tuned on 208,414 pairs of pathology images and text from Twitter (OpenPath).

Sources: github.com/PathologyFoundation/plip (plip.py: transformers' CLIPModel, text features after the projection, not
normalised), the hub's file list, CLIP's paper and configuration for the sizes. ``projection`` is the state of the
closing token after the last norm, projected; ``last`` is the same without the projection.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.encoders.text.base import TextCard
from stainscript.encoders.text.tokens import Tokens, of_library, read_merges, read_vocabulary

if TYPE_CHECKING:
    import torch

CARD = TextCard(
    name="plip",
    url="https://huggingface.co/vinid/plip",
    repository="vinid/plip",
    file="pytorch_model.bin",
    others=("config.json", "vocab.json", "merges.txt"),
    width=512,
    layers=12,
    heads=8,
    context=77,
    poolings=("projection", "mean", "last"),
    licence="none stated: ask the authors before any use beyond research",
    parameters=63_428_096,
    citation="Huang et al. 2023, Nat. Med. 29:2307-2316, doi:10.1038/s41591-023-02504-3",
)
SHAPE = {
    "vocab_size": 49_408,
    "hidden_size": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "max_position_embeddings": 77,
    "projection_dim": 512,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
PAD, CLOSING = 0, 1
LEFT_OUT = ("vision_model", "visual_projection", "logit_scale", "text_model.embeddings.position_ids")
CONFIG_PART = "text_config"  # of config.json


def network(shape: dict[str, Any]) -> torch.nn.Module:
    """CLIP's text tower with its projection."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    special = {"pad_token_id": PAD, "bos_token_id": shape["vocab_size"] - 2, "eos_token_id": shape["vocab_size"] - 1}
    made = CLIPTextModelWithProjection(CLIPTextConfig(**shape, **special))
    places = torch.arange(shape["max_position_embeddings"], device="cpu")[None]
    made.text_model.embeddings.position_ids = places  # real even where the rest is not yet
    return made


def embed(network: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(B, L) ids and bool mask → (B, D)."""
    from stainscript.encoders.text.pooling import POOLINGS, last

    states = network.text_model(input_ids=ids, attention_mask=mask.long()).last_hidden_state  # after the last norm
    return network.text_projection(last(states, mask)) if pooling == "projection" else POOLINGS[pooling](states, mask)


def tokens(folder: Path) -> Tokens:
    """CLIP's byte-pair encoding over ``vocab.json`` and ``merges.txt``, small letters."""
    from transformers import CLIPTokenizer

    vocabulary, merges = read_vocabulary(folder / "vocab.json"), read_merges(folder / "merges.txt")
    made = CLIPTokenizer(vocab=vocabulary, merges=merges).backend_tokenizer
    return of_library(made, pad="<|endoftext|>", closing=CLOSING, rows=len(vocabulary), source=folder / "vocab.json")
