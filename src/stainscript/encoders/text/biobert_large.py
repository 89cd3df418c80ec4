"""BioBERT-Large v1.1: BERT-large, trained on PubMed abstracts with 30,000 biomedical words beside BERT's 28,996.

Sources: github.com/dmis-lab/biobert and biobert-pytorch (which release is which), BERT's paper for the sizes. The DKAN
paper names BioBERT and a width of 1024, which only this size has; its pooling is not published (see the spec), so mean
and class token are both offered. Inferred: 58,996 rows, from the release's own file names (a configuration of "58k",
30k new words) and BERT's 28,996; where a file has others, ``options: {vocab_size: …}`` says so.
"""

from __future__ import annotations

from stainscript.encoders.text.base import TextCard
from stainscript.encoders.text.bert import BASE, CLOSING, LEFT_OUT, PAD, embed, network, rename, tokens

__all__ = ["CARD", "CLOSING", "LEFT_OUT", "PAD", "SHAPE", "embed", "network", "rename", "tokens"]

CARD = TextCard(
    name="biobert_large",
    url="https://huggingface.co/dmis-lab/biobert-large-cased-v1.1",
    repository="dmis-lab/biobert-large-cased-v1.1",
    file="pytorch_model.bin",
    others=("config.json", "vocab.txt"),
    width=1024,
    layers=24,
    heads=16,
    context=512,
    poolings=("mean", "cls"),
    licence="Apache-2.0, that of the authors' repository; terms of use of PubMed",
    parameters=363_249_664,
    citation="Lee et al. 2020, Bioinformatics 36:1234-1240, doi:10.1093/bioinformatics/btz682",
)
SHAPE = BASE | {
    "vocab_size": 58_996,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
