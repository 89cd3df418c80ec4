"""What both sizes of BioBERT share: BERT's network, its vocabulary and its names in the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.encoders.text.tokens import Tokens, of_library, read_lines
from stainscript.errors import DataContractError

if TYPE_CHECKING:
    import torch

PAD, CLOSING = 0, 1
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
# A file of pretraining holds both of its heads, one of 2019 also a buffer that is no longer saved.
LEFT_OUT = ("cls", "pooler", "embeddings.position_ids")
BASE = {
    "vocab_size": 28_996,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}


def network(shape: dict[str, Any]) -> torch.nn.Module:
    """BERT without its pooler, which no pooling here uses."""
    import torch
    from transformers import BertConfig, BertModel

    made = BertModel(BertConfig(**shape, pad_token_id=PAD), add_pooling_layer=False)
    places = made.embeddings  # its buffers are real even where the rest is not yet
    places.position_ids = torch.arange(shape["max_position_embeddings"], device="cpu")[None]
    places.token_type_ids = torch.zeros_like(places.position_ids)
    return made


def rename(name: str) -> str:
    """A name in the file, with or without the prefix of a model with heads, in TensorFlow's words or PyTorch's."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def embed(network: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(B, L) ids and bool mask → (B, D): the last layer's states, pooled."""
    from stainscript.encoders.text.pooling import POOLINGS

    return POOLINGS[pooling](network(input_ids=ids, attention_mask=mask.long()).last_hidden_state, mask)


def tokens(folder: Path) -> Tokens:
    """WordPiece over ``vocab.txt``, capitals kept: BioBERT is cased, whatever a configuration beside it says."""
    from transformers import BertTokenizer

    path = folder / "vocab.txt"
    rows = read_lines(path)
    absent = [token for token in SPECIAL if token not in rows]
    if absent:
        raise DataContractError(
            path,
            "vocabulary",
            expected=f"the tokens {', '.join(SPECIAL)}",
            found=f"no {', '.join(absent)} in {len(rows)} rows",
            remedy="fetch the published file again",
        )
    made = BertTokenizer(vocab={token: n for n, token in enumerate(rows)}, do_lower_case=False)
    return of_library(made.backend_tokenizer, pad="[PAD]", closing=CLOSING, rows=len(rows), source=path)
