"""Published folders at a few dimensions: the whole model's file under its own names, a vocabulary, a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from stainscript.encoders import text
from stainscript.encoders.text.conch import VOCABULARY

CPU = {"accelerator": "cpu", "threads": 1}
WORDS = ["Gene", "gene", "kinase", "receptor", "binds", "the", "cell", "tumour", "##s", "##ly", "ERB", "##B2", ","]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz@-,.;&"
MERGES = [("e", "r"), ("t", "h"), ("k", "i"), ("ki", "n"), ("th", "e</w>"), ("er", "b</w>")]
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 48,
}


@dataclass(frozen=True)
class Published:
    """A folder as it is published, the options that fit it, and the model it was saved from."""

    kind: str
    folder: Path
    options: dict[str, Any]
    model: torch.nn.Module

    def load(self, **given: Any) -> text.TextEncoder:
        defaults = {"weights": self.folder, "options": self.options, "hardware": CPU}
        return text.load(self.kind, **defaults | given)

    @property
    def file(self) -> Path:
        return self.folder / "pytorch_model.bin"

    def rewrite(self, change: Callable[[dict[str, Any]], object]) -> None:
        state = torch.load(self.file, weights_only=True)
        change(state)
        torch.save(state, self.file)


def bert(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import BertConfig, BertForPreTraining

    rows = [*SPECIAL, *WORDS]
    (folder / "vocab.txt").write_text("\n".join(rows) + "\n")
    options = TINY | {"vocab_size": len(rows)}
    return BertForPreTraining(BertConfig(**options)), options


def biogpt(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import BioGptConfig, BioGptForCausalLM

    rows = ["<s>", "<pad>", "</s>", "<unk>", *LETTERS, *(f"{c}</w>" for c in LETTERS), *("".join(m) for m in MERGES)]
    (folder / "vocab.json").write_text(json.dumps({row: n for n, row in enumerate(rows)}))
    (folder / "merges.txt").write_text("".join(f"{a} {b} {90 - n}\n" for n, (a, b) in enumerate(MERGES)))
    options = TINY | {"vocab_size": len(rows)}
    return BioGptForCausalLM(BioGptConfig(**options)), options


def clip(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import CLIPConfig, CLIPModel

    rows = [*LETTERS, *(f"{c}</w>" for c in LETTERS), *("".join(m) for m in MERGES)]
    rows += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({row: n for n, row in enumerate(rows)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES))
    options = TINY | {"vocab_size": len(rows), "projection_dim": 8}
    special = {"bos_token_id": len(rows) - 2, "eos_token_id": len(rows) - 1}
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision |= {"image_size": 32, "patch_size": 16}
    return CLIPModel(CLIPConfig(text_config=options | special, vision_config=vision, projection_dim=8)), options


class Coca(torch.nn.Module):
    """CONCH's text tower by its published names, built of PyTorch's own layers, and something of all else in it."""

    def __init__(self, shape: dict[str, int]) -> None:
        super().__init__()
        width, self.text = shape["hidden_size"], torch.nn.Module()
        self.text.token_embedding = torch.nn.Embedding(shape["vocab_size"], width)
        self.text.positional_embedding = torch.nn.Parameter(torch.empty(shape["max_position_embeddings"], width))
        self.text.cls_emb = torch.nn.Parameter(torch.empty(width))
        self.text.transformer = torch.nn.Module()
        self.text.transformer.resblocks = torch.nn.ModuleList()
        for _ in range(shape["num_hidden_layers"]):
            block = torch.nn.Module()
            block.ln_1, block.ln_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
            block.attn = torch.nn.MultiheadAttention(width, shape["num_attention_heads"])
            block.mlp = torch.nn.Module()
            block.mlp.c_fc = torch.nn.Linear(width, shape["intermediate_size"])
            block.mlp.c_proj = torch.nn.Linear(shape["intermediate_size"], width)
            self.text.transformer.resblocks.append(block)
        self.text.ln_final = torch.nn.LayerNorm(width)
        self.text.text_projection = torch.nn.Parameter(torch.empty(width, shape["projection_dim"]))
        self.visual, self.text_decoder = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        self.logit_scale = torch.nn.Parameter(torch.ones([]))


def coca(folder: Path) -> tuple[torch.nn.Module, dict[str, Any]]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    rows = ["<pad>", "<start_of_text>", "<end_of_text>", *signs, "er", "th"]
    made = Tokenizer(models.BPE(vocab={row: n for n, row in enumerate(rows)}, merges=[("e", "r"), ("t", "h")]))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.post_processor = processors.TemplateProcessing(
        single="<start_of_text> $A <end_of_text>", special_tokens=[("<start_of_text>", 1), ("<end_of_text>", 2)]
    )
    made.save(str(folder / VOCABULARY))
    options = TINY | {"vocab_size": len(rows), "projection_dim": 8}
    return Coca(options), options


MODELS = {"biobert_base": bert, "biobert_large": bert, "biogpt": biogpt, "plip": clip, "conch": coca}
OLD = {"plip": "text_model.embeddings.position_ids", "biobert_base": "bert.embeddings.position_ids"}


@pytest.fixture
def published(tmp_path: Path) -> Callable[..., Published]:
    """Write the folder of a kind and return it; weights are drawn so that every part of the network counts."""

    def write(kind: str, *, safetensors: bool = False) -> Published:
        folder = tmp_path / kind
        folder.mkdir()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model, options = MODELS[kind](folder)
            with torch.no_grad():
                for value in model.parameters():
                    value.normal_(std=0.3)
        model.eval()
        if hasattr(model, "config"):
            (folder / "config.json").write_text(json.dumps(model.config.to_dict()))
        state = {name: value.clone() for name, value in model.state_dict().items()}
        if kind in OLD:  # a buffer that files of 2019 to 2023 hold
            state[OLD[kind]] = torch.arange(48)[None]
        if safetensors:
            save_file(state, folder / "model.safetensors")
        else:
            torch.save(state, folder / "pytorch_model.bin")
        return Published(kind, folder, options, model)

    return write


@pytest.fixture(autouse=True)
def one_thread():
    """The direct forward passes share the processor as the encoder does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
