"""BioGPT: a GPT-2 of medium size, trained from scratch on 15 million PubMed abstracts.

Sources: github.com/microsoft/BioGPT (README), the paper (section 3: 24 layers, 16 heads, width 1024, 347 M parameters,
42,384 tokens by byte-pair encoding after Moses' tokeniser), transformers' BioGptModel for the names in the file. A text
is preceded by one ``</s>`` and followed by nothing. The first token sees itself alone, so there is no class token to
take; ``last`` is the state of the last token, the only one that has read the whole text. Padding stands on the right.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stainscript.encoders.text.base import TextCard
from stainscript.encoders.text.tokens import Tokens, read_merges, read_vocabulary
from stainscript.errors import DataContractError

if TYPE_CHECKING:
    import torch

CARD = TextCard(
    name="biogpt",
    url="https://huggingface.co/microsoft/biogpt",
    repository="microsoft/biogpt",
    file="pytorch_model.bin",
    others=("config.json", "vocab.json", "merges.txt"),
    width=1024,
    layers=24,
    heads=16,
    context=1024,
    poolings=("mean", "last"),
    licence="MIT",
    parameters=346_763_264,
    citation="Luo et al. 2022, Brief. Bioinform. 23:bbac409, doi:10.1093/bib/bbac409",
)
SHAPE = {
    "vocab_size": 42_384,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 1024,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "scale_embedding": True,
}
PAD, CLOSING = 1, 0
OPENING, UNKNOWN, PADDING = "</s>", "<unk>", "<pad>"
END = "</w>"  # marks the last piece of a word
LEFT_OUT = ("output_projection",)


def network(shape: dict[str, Any]) -> torch.nn.Module:
    """The decoder without the head that predicts words."""
    from transformers import BioGptConfig, BioGptModel

    return BioGptModel(BioGptConfig(**shape, pad_token_id=PAD))


def rename(name: str) -> str:
    """A name in the file of the model with its head → the name in the decoder alone."""
    return name.removeprefix("biogpt.")


def embed(network: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(B, L) ids and bool mask → (B, 1024). Places are counted from a text's first token, wherever that stands."""
    from stainscript.encoders.text.pooling import POOLINGS

    places = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
    found = network(input_ids=ids, attention_mask=mask.long(), position_ids=places, use_cache=False)
    return POOLINGS[pooling](found.last_hidden_state, mask)


def tokens(folder: Path) -> Tokens:
    """Moses' words, each in the pieces of ``merges.txt``, by their numbers in ``vocab.json``."""
    from stainscript.encoders.text.moses import words

    source = folder / "vocab.json"
    vocabulary = read_vocabulary(source)
    ranks = {pair: rank for rank, pair in enumerate(read_merges(folder / "merges.txt"))}
    absent = [token for token in (OPENING, UNKNOWN, PADDING) if token not in vocabulary]
    if absent:
        raise DataContractError(
            source,
            "vocabulary",
            expected=f"the tokens {OPENING}, {UNKNOWN} and {PADDING}",
            found=f"no {', '.join(absent)} in {len(vocabulary)} rows",
            remedy="fetch the published file again",
        )
    cached = functools.cache(functools.partial(pieces, ranks=ranks))

    def ids(texts: Sequence[str]) -> list[list[int]]:
        unknown = vocabulary[UNKNOWN]
        return [
            [vocabulary[OPENING], *(vocabulary.get(p, unknown) for word in words(text) for p in cached(word))]
            for text in texts
        ]

    return Tokens(ids=ids, pad=vocabulary[PADDING], closing=CLOSING, rows=len(vocabulary), source=source)


def pieces(word: str, ranks: dict[tuple[str, str], int]) -> tuple[str, ...]:
    """A word in pieces: the adjacent pair of the lowest rank is joined, wherever it stands, until none is left."""
    found = [*word[:-1], word[-1] + END]
    while len(found) > 1:
        best = min(pairwise(found), key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        joined: list[str] = []
        rest = iter(range(len(found)))
        for place in rest:
            if tuple(found[place : place + 2]) == best:
                joined.append("".join(best))
                next(rest)
            else:
                joined.append(found[place])
        found = joined
    return tuple(found)
