"""Each published text encoder, from a folder in its own names and formats, against a direct forward pass."""

from __future__ import annotations

import importlib
import json
import logging
import math

import numpy as np
import pytest
import torch

from stainscript.artifacts.files import file_sha256
from stainscript.encoders import text
from stainscript.encoders.text.pooling import first, last, mean
from stainscript.errors import DataContractError

KINDS = ["biobert_large", "biobert_base", "biogpt", "plip", "conch"]
POOLED = [(kind, pooling) for kind in KINDS for pooling in text.card(kind).poolings]
TEXTS = ["the kinase", "receptors, tumour kinase binds the cell", "erb", "the kin erb gene, cell"]


def ids_of(kind: str, folder) -> list[list[int]]:
    """The tokens of ``TEXTS`` by the folder's vocabulary, special ones included."""
    return importlib.import_module(f"stainscript.encoders.text.{kind}").tokens(folder).ids(TEXTS)


def of_bert(model, ids, pooling):
    states = model.bert(torch.tensor([ids])).last_hidden_state[0]
    return states[0] if pooling == "cls" else states.mean(dim=0)


def of_biogpt(model, ids, pooling):
    states = model.biogpt(torch.tensor([ids])).last_hidden_state[0]
    return states[-1] if pooling == "last" else states.mean(dim=0)


def of_clip(model, ids, pooling):
    found = model.text_model(torch.tensor([ids]))  # pools at the token of the configuration, by its number
    if pooling == "projection":
        return model.text_projection(found.pooler_output)[0]
    return found.pooler_output[0] if pooling == "last" else found.last_hidden_state[0].mean(dim=0)


def of_coca(model, ids, pooling):
    """As released: the text padded to all places but one, the class embedding behind, attention head by head."""
    tower, heads = model.text, 2
    room = len(tower.positional_embedding) - 1
    padded = ids + [0] * (room - len(ids))
    x = torch.cat([tower.token_embedding(torch.tensor(padded)), tower.cls_emb[None]]) + tower.positional_embedding
    seen = torch.tril(torch.ones(room + 1, room + 1, dtype=torch.bool))
    seen[-1, 1:] = torch.tensor(padded) != 0  # one to the right of where the tokens are
    for block in tower.transformer.resblocks:
        normed = block.ln_1(x)
        q, k, v = (normed @ block.attn.in_proj_weight.T + block.attn.in_proj_bias).chunk(3, dim=1)
        mixed = []
        for part in torch.arange(x.shape[1]).chunk(heads):
            scores = q[:, part] @ k[:, part].T / math.sqrt(len(part))
            mixed.append(scores.masked_fill(~seen, -math.inf).softmax(dim=1) @ v[:, part])
        x = x + torch.cat(mixed, dim=1) @ block.attn.out_proj.weight.T + block.attn.out_proj.bias
        x = x + block.mlp.c_proj(torch.nn.functional.gelu(block.mlp.c_fc(block.ln_2(x))))
    x = tower.ln_final(x)
    if pooling == "mean":
        return x[: len(ids)].mean(dim=0)
    return x[-1] @ tower.text_projection if pooling == "projection" else x[-1]


DIRECT = {"biobert_large": of_bert, "biobert_base": of_bert, "biogpt": of_biogpt, "plip": of_clip, "conch": of_coca}


def test_every_text_encoder_with_weights_has_a_case():
    assert sorted([*KINDS, "tfidf"]) == text.names()


@pytest.mark.parametrize(("kind", "pooling"), POOLED)
def test_a_text_has_the_vector_of_a_direct_pass_without_padding(published, kind, pooling):
    folder = published(kind)
    made = folder.load(pooling=pooling, batch_size=3)
    found = made.encode(TEXTS)
    assert found.dtype == np.float32
    with torch.inference_mode():
        direct = [DIRECT[kind](folder.model, ids, pooling) for ids in ids_of(kind, folder.folder)]
    np.testing.assert_allclose(found, torch.stack(direct).numpy(), rtol=0, atol=2e-5)
    assert made.truncated == 0
    assert made.weights_sha256 == file_sha256(folder.file)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_the_batch_nor_a_longer_neighbour_changes_a_vector(published, kind):
    folder = published(kind)
    alone = folder.load(batch_size=1).encode(TEXTS)
    together = folder.load(batch_size=8).encode([*TEXTS, "the kinase binds the cell, the erb"])
    np.testing.assert_allclose(together[: len(TEXTS)], alone, rtol=0, atol=2e-6)
    assert np.abs(alone[0] - alone[1]).max() > 0.01  # the vectors do differ by text


@pytest.mark.parametrize(("kind", "pooling"), POOLED)
def test_the_pooling_changes_the_vector_and_the_first_is_the_default(published, kind, pooling):
    folder = published(kind)
    default = folder.load().encode(TEXTS)
    chosen = folder.load(pooling=pooling).encode(TEXTS)
    same = chosen.shape == default.shape and bool(np.allclose(chosen, default))
    assert same == (pooling == text.card(kind).poolings[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_longer_than_the_limit_is_cut_and_counted(published, kind, caplog):
    folder = published(kind)
    longest = text.longest_text(kind, folder.options)
    made = folder.load()
    assert made.max_length == longest == (47 if kind == "conch" else 48)
    with caplog.at_level(logging.WARNING):
        found = made.encode(["the " * 60, "kinase"])
    assert made.truncated == 1
    assert f"1 of 2 texts are longer than {longest} tokens and were cut" in caplog.text
    short = folder.load(max_length=6)
    vectors = short.encode(["the " * 60, "the " * 40, "kinase"])
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=0, atol=1e-6)  # both are the same six tokens
    assert short.truncated == (3 if kind == "conch" else 2)  # its bytes of " kinase" and two special ones are nine
    assert np.abs(vectors[0] - found[0]).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_keeps_the_closing_token(published, kind):
    source = importlib.import_module(f"stainscript.encoders.text.{kind}")
    tokens = source.tokens(published(kind).folder)
    whole = tokens.ids(["the " * 9])[0]
    (kept,), cut = tokens.cut(["the " * 9], 7)
    assert cut == 1
    assert kept == (whole[:7] if kind == "biogpt" else [*whole[:6], whole[-1]])
    assert tokens.cut(["the"], 10) == (tokens.ids(["the"]), 0)


def test_capitals_count_for_biobert_whatever_its_configuration_says(published):
    folder = published("biobert_base")
    (folder.folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    upper, lower = folder.load().encode(["Gene", "gene"])
    assert np.abs(upper - lower).max() > 0.01


def test_safetensors_are_preferred_and_give_the_same_vectors(published):
    folder = published("biobert_base")
    pickled = folder.load().encode(TEXTS)
    path = folder.folder / "model.safetensors"
    torch_state = torch.load(folder.file, weights_only=True)
    from safetensors.torch import save_file

    save_file(torch_state, path)
    folder.file.write_bytes(b"never read")
    made = folder.load(weights_sha256=file_sha256(path))
    assert made.weights_sha256 == file_sha256(path)
    np.testing.assert_array_equal(made.encode(TEXTS), pickled)


def test_names_of_2019_are_understood(published):
    folder = published("biobert_base")
    expected = folder.load().encode(TEXTS)

    def old(state):
        for name in [name for name in state if "LayerNorm." in name]:
            new = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            state[new] = state.pop(name)

    folder.rewrite(old)
    np.testing.assert_array_equal(folder.load().encode(TEXTS), expected)


# Padding


STATES = torch.arange(24.0).reshape(2, 4, 3)  # state of text t, token n: 12 t + 3 n + (0, 1, 2)
RIGHT = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
LEFT = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]], dtype=torch.bool)


def test_pooling_by_hand_with_padding_on_either_side():
    assert mean(STATES, RIGHT)[:, 0].tolist() == [1.5, 16.5]  # (0 + 3) / 2, (12 + 15 + 18 + 21) / 4
    assert mean(STATES, LEFT)[:, 0].tolist() == [7.5, 18.0]  # (6 + 9) / 2, (15 + 18 + 21) / 3
    assert first(STATES, RIGHT)[:, 0].tolist() == [0.0, 12.0]
    assert first(STATES, LEFT)[:, 0].tolist() == [6.0, 15.0]
    assert last(STATES, RIGHT)[:, 0].tolist() == [3.0, 21.0]
    assert last(STATES, LEFT)[:, 0].tolist() == [9.0, 21.0]


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_biogpt_reads_the_same_with_padding_on_either_side(published, pooling):
    from stainscript.encoders.text import biogpt

    network = published("biogpt").model.biogpt
    ids = torch.tensor([5, 9, 20, 7])
    right, left = torch.ones(1, 7, dtype=torch.long), torch.ones(1, 7, dtype=torch.long)  # 1: padding
    right[0, :4], left[0, 3:] = ids, ids
    with torch.inference_mode():
        alone = biogpt.embed(network, ids[None], torch.ones(1, 4, dtype=torch.bool), pooling)
        for padded in (right, left):
            mask = torch.zeros(1, 7, dtype=torch.bool)
            mask[padded != 1] = True
            found = biogpt.embed(network, padded, mask, pooling)
            torch.testing.assert_close(found, alone, rtol=0, atol=2e-6)


# Files that are not what they should be


def refused(folder, **given) -> DataContractError:
    with pytest.raises(DataContractError) as error:
        folder.load(**given)
    return error.value


BIAS = dict.fromkeys(["biobert_large", "biobert_base"], "bert.embeddings.LayerNorm.bias")
BIAS |= {"biogpt": "biogpt.layer_norm.bias", "plip": "text_model.final_layer_norm.bias", "conch": "text.ln_final.bias"}


@pytest.mark.parametrize("kind", KINDS)
def test_missing_unexpected_and_misshapen_tensors_are_named_with_the_file(published, kind):
    folder = published(kind)
    whole = torch.load(folder.file, weights_only=True)
    ours = importlib.import_module(f"stainscript.encoders.text.{kind}")
    name = BIAS[kind]
    inner = getattr(ours, "rename", str)(name)
    folder.rewrite(lambda state: state.pop(name))
    error = refused(folder)
    assert (error.path, error.field) == (str(folder.file), "tensors")
    assert f"1 missing: {inner} (" in error.found
    stray = name.rpartition(".")[0] + ".stray"
    folder.rewrite(lambda state: state.update({name: whole[name][:-1], stray: torch.zeros(2)}))
    error = refused(folder)
    assert f"1 unexpected: {getattr(ours, 'rename', str)(stray)} (2,)" in error.found
    assert f"1 of another shape: {inner} ({len(whole[name]) - 1},)" in error.found
    assert text.card(kind).url in error.remedy


def test_a_wrong_checksum_is_named(published):
    folder = published("plip")
    error = refused(folder, weights_sha256="0" * 64)
    assert (error.path, error.field, error.expected) == (str(folder.file), "weights_sha256", "0" * 64)
    assert error.found == file_sha256(folder.file)


VOCABULARIES = {"biobert_base": "vocab.txt", "biogpt": "merges.txt", "plip": "vocab.json", "conch": None}


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_a_folder_without_its_tokeniser_is_refused(published, kind):
    folder, name = published(kind), VOCABULARIES[kind] or text.card(kind).others[0]
    (folder.folder / name).unlink()
    error = refused(folder)
    assert (error.path, error.field, error.found) == (str(folder.folder), "tokeniser", f"no {name}")
    assert name in error.expected
    if kind == "conch":
        assert "raw.githubusercontent.com/mahmoodlab/CONCH" in error.remedy


def test_a_vocabulary_of_another_model_is_refused(published):
    folder = published("biobert_base")
    path = folder.folder / "vocab.txt"
    path.write_text(path.read_text() + "extra\n")
    error = refused(folder)
    assert (error.path, error.field) == (str(path), "vocabulary")
    assert error.expected.startswith("18 rows, as the weights of biobert_base have")
    assert error.found == "19 rows"


@pytest.mark.parametrize(
    ("kind", "name", "content", "words"),
    [
        ("biobert_base", "vocab.txt", "a\nb\n", r"no \[PAD\], \[UNK\], \[CLS\], \[SEP\] in 2 rows"),
        ("biogpt", "vocab.json", '{"a": 0}', "no </s>, <unk>, <pad> in 1 rows"),
        ("biogpt", "vocab.json", "[]", "a JSON object of tokens and their numbers"),
        ("biogpt", "merges.txt", "alone\n", "expected two tokens a line; found 'alone'"),
        ("plip", "vocab.json", "{", "a JSON object of tokens and their numbers"),
        ("conch", "conch_byte_level_bpe_uncased.json", "{}", "a tokeniser of the tokenizers library"),
        ("biobert_base", "config.json", "{", "format: expected JSON"),
    ],
)
def test_a_damaged_vocabulary_is_named(published, kind, name, content, words):
    folder = published(kind)
    (folder.folder / name).write_text(content)
    with pytest.raises(DataContractError, match=words) as error:
        folder.load()
    assert error.value.path == str(folder.folder / name)


@pytest.mark.parametrize("kind", ["biobert_base", "biogpt", "plip"])
def test_a_configuration_that_says_otherwise_is_refused(published, kind):
    folder = published(kind)
    path = folder.folder / "config.json"
    said = json.loads(path.read_text())
    (said["text_config"] if kind == "plip" else said)["num_attention_heads"] = 4  # no tensor shows it
    path.write_text(json.dumps(said))
    error = refused(folder)
    assert (error.path, error.field, error.found) == (str(path), "num_attention_heads", "4")
    path.unlink()
    assert folder.load().encode(["the"]).shape[0] == 1  # a folder without a configuration is judged by its tensors


def test_the_other_size_of_biobert_is_refused_by_its_configuration(published):
    folder = published("biobert_base")
    with pytest.raises(DataContractError, match=r"vocab\.txt: vocabulary: expected 28996 rows"):
        folder.load(options={})


@pytest.mark.parametrize("weights", ["absent", "file", "empty"])
def test_a_place_without_weights_says_where_to_get_them(published, tmp_path, weights):
    folder = published("conch")
    if weights == "empty":
        folder.file.unlink()
        error = refused(folder)
        assert error.found == "neither model.safetensors nor pytorch_model.bin"
    else:
        place = folder.file if weights == "file" else tmp_path / "nowhere"
        error = refused(folder, weights=place)
        assert error.found == ("a file, not its folder" if weights == "file" else "no such folder")
    assert "ask for access at https://huggingface.co/MahmoodLab/CONCH" in error.remedy
    assert "CC-BY-NC-ND-4.0" in error.remedy


# Random weights, dimensions, length


SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SMALL |= {"vocab_size": 90, "max_position_embeddings": 12}


@pytest.mark.parametrize("kind", KINDS)
def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone(kind):
    before = torch.random.get_rng_state()
    made = [text.load(kind, weights="random", seed=seed, options=SMALL) for seed in (0, 0, 1)]
    one, two, other = (m.encode(TEXTS) for m in made)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-3
    assert [m.weights_sha256 for m in made] == ["random:0", "random:0", "random:1"]
    assert np.abs(one[0] - one[2]).max() > 1e-4
    assert one.shape[1] == (512 if text.card(kind).poolings[0] == "projection" else 16)


def test_fewer_dimensions_and_unit_length(published):
    folder = published("biobert_base")
    whole = folder.load().encode(TEXTS)
    assert whole.shape == (4, 16)
    part = folder.load(dimension=3).encode(TEXTS)
    centred = whole - whole.mean(axis=0)
    np.testing.assert_allclose(part @ part.T, centred @ centred.T, atol=1e-4)  # 4 texts span 3 dimensions
    unit = folder.load(normalise=True).encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(unit, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("dimension", [0, 4, 15])
def test_more_dimensions_than_there_are_is_refused(published, dimension):
    with pytest.raises(DataContractError, match="text encoder dimension: expected 1 to 3, for there are 4 genes"):
        published("biobert_base").load(dimension=dimension).encode(TEXTS)


def test_vectors_that_are_not_finite_are_refused(published):
    folder = published("biobert_base")
    folder.rewrite(lambda state: state["bert.embeddings.word_embeddings.weight"].fill_(math.nan))
    with pytest.raises(DataContractError, match="embeddings of biobert_base: expected finite numbers; found nan"):
        folder.load().encode(TEXTS)
