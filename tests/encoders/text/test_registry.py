"""Names, cards and the checks that run while jobs are planned, without torch; sizes of the published networks."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys

import pytest
import torch

from stainscript import encoders
from stainscript.artifacts.provenance import import_closure
from stainscript.encoders import text
from stainscript.encoders.text.base import TextCard, TextEncoder
from stainscript.errors import DataContractError

PUBLISHED = ["biobert_base", "biobert_large", "biogpt", "conch", "plip"]


def test_the_encoders_of_the_paper_and_the_offline_default_are_there():
    assert text.names() == sorted([*PUBLISHED, "tfidf"])
    assert all(isinstance(text.card(name), TextCard) and text.card(name).name == name for name in text.names())
    assert [text.card(name).published for name in [*PUBLISHED, "tfidf"]] == [True] * 5 + [False]
    assert [text.needs_gpu(name) for name in [*PUBLISHED, "tfidf"]] == [True] * 5 + [False]


def test_a_text_encoder_is_no_image_encoder():
    assert not {"biobert_base", "biobert_large", "biogpt", "tfidf", "text"} & set(encoders.names())


def test_planning_needs_neither_torch_nor_transformers_nor_sklearn():
    code = (
        "import sys\n"
        "from stainscript.encoders import text\n"
        "for name in text.names():\n"
        "    text.card(name), text.code_modules(name), text.needs_gpu(name), text.longest_text(name)\n"
        "    text.check_weights(name, 'folder' if text.card(name).published else None)\n"
        "    text.check_settings(name, pooling=text.card(name).poolings[0], options={})\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'sklearn', 'scipy', 'pandas', 'regex', 'requests'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_modules_of_the_code_digest_exist():
    for name in text.names():
        for module in text.code_modules(name):
            assert importlib.import_module(module)
    assert "stainscript.encoders.text.engine" in text.code_modules("plip")
    assert text.code_modules("tfidf") == ("stainscript.encoders.text.tfidf",)


def block(width: int) -> int:
    """Four maps of attention, two of an MLP four times as wide, two norms, biases throughout."""
    return 4 * (width * width + width) + 2 * width * 4 * width + 4 * width + width + 4 * width


def bert(rows: int, width: int, layers: int) -> int:
    """Words, 512 places, two segments, a norm; blocks; no pooler."""
    return (rows + 512 + 2) * width + 2 * width + layers * block(width)


PARAMETERS = {
    "biobert_large": bert(58_996, 1024, 24),
    "biobert_base": bert(28_996, 768, 12),
    "biogpt": (42_384 + 1024 + 2) * 1024 + 24 * block(1024) + 2 * 1024,
    "plip": (49_408 + 77) * 512 + 12 * block(512) + 2 * 512 + 512 * 512,
    "conch": (32_007 + 128 + 1) * 768 + 12 * block(768) + 2 * 768 + 768 * 512,
}
SIZES = {  # layers, heads, width of the default, context
    "biobert_large": (24, 16, 1024, 512),
    "biobert_base": (12, 12, 768, 512),
    "biogpt": (24, 16, 1024, 1024),
    "plip": (12, 8, 512, 77),
    "conch": (12, 12, 512, 127),
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_published_network_has_its_published_size(kind):
    source = importlib.import_module(f"stainscript.encoders.text.{kind}")
    with torch.device("meta"):
        network = source.network(source.SHAPE)
    counted = sum(value.numel() for value in network.parameters())
    card = text.card(kind)
    assert counted == card.parameters == PARAMETERS[kind]
    assert (card.layers, card.heads, card.width, card.context) == SIZES[kind]
    assert (source.SHAPE["num_hidden_layers"], source.SHAPE["num_attention_heads"]) == SIZES[kind][:2]
    assert text.longest_text(kind) == card.context
    width = source.SHAPE["projection_dim" if card.poolings[0] == "projection" else "hidden_size"]
    assert width == card.width
    layers = {name for name, _ in network.named_modules() if name.rpartition(".")[2].isdigit() and name.count(".") <= 3}
    assert len(layers) == card.layers


def test_whole_models_have_their_well_known_sizes():
    """BERT-base cased with its pooler has 108,310,272 parameters; CLIP ViT-B/32 has 151,277,313."""
    pooler = 768 * 768 + 768
    assert text.card("biobert_base").parameters + pooler == 108_310_272
    assert text.card("plip").parameters + encoders.card("plip").parameters + 1 == 151_277_313


# Bad input


def refusal(call, *given, **settings) -> DataContractError:
    with pytest.raises(DataContractError) as error:
        call(*given, **settings)
    return error.value


def test_a_misspelt_encoder_is_guessed():
    error = refusal(text.check, "biobert_larg", path="my.yaml", field="text_encoders.b.kind")
    assert (error.path, error.field, error.found) == ("my.yaml", "text_encoders.b.kind", "'biobert_larg'")
    assert "did you mean 'biobert_large'" in error.remedy
    assert "tfidf" in error.expected
    with pytest.raises(DataContractError, match="one of biobert_base"):
        text.load("bert")


def test_the_gated_encoder_without_weights_says_where_to_ask():
    error = refusal(text.check_weights, "conch", None, field="text_encoders.c")
    assert error.field == "text_encoders.c.weights"
    for part in (
        "ask for access at https://huggingface.co/MahmoodLab/CONCH",
        "CC-BY-NC-ND-4.0",
        "pytorch_model.bin, conch_byte_level_bpe_uncased.json",
        "HF_TOKEN",
        "tfidf needs no weights",
    ):
        assert part in error.remedy
    assert refusal(text.load, "conch").expected == error.expected


@pytest.mark.parametrize("kind", PUBLISHED)
def test_every_published_encoder_wants_weights_or_a_word(kind):
    for weights in ("hub", "random", "some/folder"):
        text.check_weights(kind, weights)
    assert text.card(kind).url in refusal(text.check_weights, kind, None).remedy


def test_tfidf_has_no_weights():
    text.check_weights("tfidf", None)
    assert refusal(text.check_weights, "tfidf", "hub").expected == "null, for tfidf has none"


@pytest.mark.parametrize(
    ("kind", "settings", "field", "words"),
    [
        ("biogpt", {"pooling": "cls"}, "pooling", "one of last, mean"),
        ("biobert_base", {"pooling": "men"}, "pooling", "did you mean 'mean'"),
        ("tfidf", {"pooling": "mean"}, "pooling", "one of svd"),
        ("plip", {"dimension": 513}, "dimension", "at most 512, the width of plip"),
        ("conch", {"dimension": 769, "pooling": "cls"}, "dimension", "at most 768, the width of conch"),
        ("plip", {"max_length": 78}, "max_length", "3 to 77 tokens"),
        ("conch", {"max_length": 128}, "max_length", "3 to 127 tokens"),
        ("biobert_base", {"max_length": 2}, "max_length", "3 to 512 tokens"),
        ("biobert_base", {"max_length": 40, "options": {"max_position_embeddings": 32}}, "max_length", "3 to 32"),
        ("tfidf", {"max_length": 10}, "max_length", "null: it has no limit"),
        ("tfidf", {"options": {"ngram": 2}}, "options", "did you mean 'ngrams'"),
        ("plip", {"options": {"depth": 2}}, "options", "num_hidden_layers"),
    ],
)
def test_a_setting_that_an_encoder_does_not_have_is_refused(kind, settings, field, words):
    error = refusal(text.check_settings, kind, **settings, path="c.yaml", field="text_encoders.x")
    assert (error.path, error.field) == ("c.yaml", f"text_encoders.x.{field}")
    assert words in f"{error.expected} {error.remedy}"
    with pytest.raises(DataContractError):
        text.load(kind, weights="random" if text.card(kind).published else None, **settings)


def test_what_is_loaded_is_a_text_encoder():
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    small |= {"vocab_size": 20, "max_position_embeddings": 8}
    made = [text.load("tfidf"), text.load("biobert_base", weights="random", options=small)]
    for one in made:
        assert isinstance(one, TextEncoder)
        assert {"licence", "weights", "citation"} <= set(one.card)
    assert [one.weights_sha256 for one in made] == ["none", "random:0"]


def test_half_precision_on_a_cpu_is_float32_and_says_so(caplog):
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    options = small | {"vocab_size": 20, "max_position_embeddings": 8}
    with caplog.at_level("INFO"):
        made = text.load(
            "biobert_base", weights="random", options=options, precision="bfloat16", hardware={"accelerator": "cpu"}
        )
    assert made.precision == "float32"
    assert "computing in float32, not bfloat16" in caplog.text


def test_cards_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        text.card("plip").width = 3


def test_what_decides_the_vectors_is_in_the_digest_of_the_code_and_how_files_come_is_not():
    closures = {name: import_closure(text.code_modules(name)) for name in text.names()}
    own = {"conch": "coca", "biogpt": "moses", "biobert_large": "bert", "plip": "tokens", "tfidf": "reduction"}
    for name, module in own.items():
        assert f"stainscript.encoders.text.{module}" in closures[name]
    for closure in closures.values():
        assert not {"stainscript.encoders.text.hub", "stainscript.downloads.fetch"} & closure
    assert "stainscript.encoders.text.pooling" in closures["biobert_base"] - closures["tfidf"]
