"""BioBERT-Base v1.2: BERT-base, trained on PubMed abstracts with the vocabulary of BERT's cased release.

Sources: github.com/dmis-lab/biobert and biobert-pytorch (README, issue 141: 28,996 rows), BERT's paper for the sizes.
"""

from __future__ import annotations

from stainscript.encoders.text.base import TextCard
from stainscript.encoders.text.bert import BASE, CLOSING, LEFT_OUT, PAD, embed, network, rename, tokens

__all__ = ["CARD", "CLOSING", "LEFT_OUT", "PAD", "SHAPE", "embed", "network", "rename", "tokens"]

CARD = TextCard(
    name="biobert_base",
    url="https://huggingface.co/dmis-lab/biobert-base-cased-v1.2",
    repository="dmis-lab/biobert-base-cased-v1.2",
    file="pytorch_model.bin",
    others=("config.json", "vocab.txt"),
    width=768,
    layers=12,
    heads=12,
    context=512,
    poolings=("mean", "cls"),
    licence="Apache-2.0, that of the authors' repository; terms of use of PubMed",
    parameters=107_719_680,
    citation="Lee et al. 2020, Bioinformatics 36:1234-1240, doi:10.1093/bioinformatics/btz682",
)
SHAPE = BASE
