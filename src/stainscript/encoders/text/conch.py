"""CONCH's text tower: the encoder of captions of a CoCa model, trained on 1.17 million pairs of pathology and text.

Sources: github.com/mahmoodlab/CONCH (open_clip_custom: model_configs/conch_ViT-B-16.json for the sizes, transformer.py
and coca_model.py for network and names, custom_tokenizer.py and its vocabulary file). ``projection`` is what
``encode_text(normalize=False)`` gives; the released function takes unit length by default: set ``normalise``. ``cls``
is the same before the projection, ``mean`` the mean of the tokens' states after the last norm (ours: the release gives
the tokens to its decoder only). The file also holds the image tower and the decoder. Its vocabulary is published with
the code and not with the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.encoders.text.base import TextCard
from stainscript.encoders.text.tokens import Tokens, of_library, read_library

if TYPE_CHECKING:
    import torch

VOCABULARY = "conch_byte_level_bpe_uncased.json"
COMMIT = "141cc09c7d4ff33d8eda562bd75169b457f71a62"  # of the code, with which the vocabulary comes
CARD = TextCard(
    name="conch",
    url="https://huggingface.co/MahmoodLab/CONCH",
    repository="MahmoodLab/CONCH",
    file="pytorch_model.bin",
    others=(VOCABULARY,),
    elsewhere=(
        f"https://raw.githubusercontent.com/mahmoodlab/CONCH/{COMMIT}/conch/open_clip_custom/tokenizers/{VOCABULARY}",
        "a3861e67c64d32670eb6725a8e52d7dbdd2a06646a4a3c7463052ae7110760fb",
    ),
    width=512,
    layers=12,
    heads=12,
    context=127,
    poolings=("projection", "cls", "mean"),
    licence="CC-BY-NC-ND-4.0, non-commercial research",
    gated=True,
    parameters=110_129_664,
    citation="Lu et al. 2024, Nat. Med. 30:863-874, doi:10.1038/s41591-024-02856-4",
)
SHAPE = {
    "vocab_size": 32_007,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 128,
    "projection_dim": 512,
}
PAD, CLOSING = 0, 1
RESERVED = 1  # of the places, for the class embedding
LEFT_OUT = ("visual", "text_decoder", "logit_scale")


def network(shape: dict[str, Any]) -> torch.nn.Module:
    """The text tower with its projection."""
    from stainscript.encoders.text.coca import TextTower

    return TextTower(
        rows=shape["vocab_size"],
        places=shape["max_position_embeddings"],
        width=shape["hidden_size"],
        depth=shape["num_hidden_layers"],
        heads=shape["num_attention_heads"],
        inner=shape["intermediate_size"],
        projected=shape["projection_dim"],
        pad=PAD,
    )


def rename(name: str) -> str:
    """A name in the file of the whole model, saved from several GPUs or not → the name in the tower."""
    return name.removeprefix("module.").removeprefix("text.")


def embed(network: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(B, L) ids and bool mask → (B, D)."""
    from stainscript.encoders.text.pooling import mean

    states, last = network(ids, mask)
    if pooling == "mean":
        return mean(states, mask)
    return last @ network.text_projection if pooling == "projection" else last


def tokens(folder: Path) -> Tokens:
    """The published byte-level tokeniser, small letters, between ``<start_of_text>`` and ``<end_of_text>``."""
    path = folder / VOCABULARY
    made = read_library(path)
    return of_library(made, pad="<pad>", closing=CLOSING, rows=made.get_vocab_size(), source=path)
