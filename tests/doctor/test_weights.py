"""Encoders' weights: here, absent, gated, damaged, random."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stainscript.doctor import weights
from stainscript.doctor.findings import Finding
from stainscript.encoders.base import Card

TOKEN = "hf_neverToBeShown"


@pytest.fixture
def found(config, repository):
    """What is said of encoder ``uni`` (or another) with these keys."""

    def ask(name: str = "uni", **keys: object) -> Finding:
        made = config(lambda c: c["encoders"].setdefault(name, {}).update(keys))
        (finding,) = weights.weights(made, [name], repository=repository)
        return finding

    return ask


def test_a_gated_encoder_without_a_token_is_missing_and_says_where_to_ask(found):
    gated = found()
    assert gated.level == "missing"
    assert "gated, and no token here; licence: CC-BY-NC-ND-4.0" in gated.found
    for part in ("https://huggingface.co/MahmoodLab/UNI", "HF_TOKEN", "pytorch_model.bin", "encoders.uni.weights"):
        assert part in gated.remedy


def test_with_a_token_the_grant_is_left_open_and_the_token_is_not_shown(found, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    gated = found()
    assert gated.level == "note"
    assert "about 1.21 GB" in gated.found  # 303,350,784 parameters of 4 bytes
    assert TOKEN not in repr(gated)


def test_an_open_encoder_is_fetched_unless_the_hub_is_switched_off(found, monkeypatch):
    assert found("resnet50").level == "ok"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert found("resnet50").level == "missing"
    assert "HF_HUB_OFFLINE" in found("resnet50").remedy


def test_weights_that_an_earlier_run_fetched_need_no_token(found):
    path = Path("results/weights/uni/pytorch_model.bin")
    path.parent.mkdir(parents=True)
    path.touch()
    assert found().found.startswith("fetched before; licence: CC-BY")


def test_no_weights_a_wrong_path_and_a_folder_without_the_file_are_missing(found, tmp_path):
    for keys, text in (
        ({"weights": None}, "found None"),
        ({"weights": "nowhere.bin"}, "no file nowhere.bin; licence: CC-BY"),
        ({"weights": str(tmp_path)}, f"no file {tmp_path}/pytorch_model.bin"),
    ):
        finding = found(**keys)
        assert finding.level == "missing", keys
        assert text in finding.found
        assert "https://huggingface.co/MahmoodLab/UNI" in finding.remedy


def test_an_encoder_that_the_hub_does_not_have_cannot_be_fetched_from_it(found):
    finding = found("ciga_resnet18", weights="hub")
    assert finding.level == "missing"
    assert "tenpercent_resnet18.ckpt" in finding.remedy


def test_a_file_with_fewer_bytes_than_parameters_is_no_set_of_weights(found, tmp_path, monkeypatch):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(b"version https://git-lfs")
    pointer = found(weights=str(tmp_path))
    assert pointer.level == "missing"
    assert "has 23 bytes, too few for 303,350,784 parameters" in pointer.found
    assert "Git LFS pointer" in pointer.remedy


def test_a_file_is_compared_with_the_configured_hash(found, tmp_path, monkeypatch):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"tensors")
    card = weights.card_of("uni")
    assert isinstance(card, Card)
    monkeypatch.setattr(weights, "card_of", lambda _: Card(**{**vars(card), "parameters": 7}))
    right = hashlib.sha256(b"tensors").hexdigest()
    assert f"{path}, hash as configured; licence" in found(weights=str(path), weights_sha256=right).found
    wrong = found(weights=str(path), weights_sha256="0" * 64)
    assert wrong.level == "missing"
    assert right in wrong.found
    assert found(weights=str(path), weights_sha256=None).level == "ok"


def test_untrained_networks_are_noted_and_morphology_needs_nothing(found):
    assert found("uni", weights="random").found == "random weights from seed 0: an untrained network"
    assert found("resnet18_random").level == "note"
    assert (found("morphology").level, found("morphology").found) == ("ok", "needs no weights")


def test_a_misspelt_kind_is_missing_with_what_was_meant(found):
    finding = found("uni", kind="unni")
    assert finding.level == "missing"
    assert "uni" in finding.remedy


def test_what_is_to_be_fetched_leaves_out_what_is_here(config):
    made = config(lambda c: c["encoders"]["conch"].update(weights="random"))
    assert [card.name for card in weights.to_fetch(made, ["uni", "conch", "morphology"])] == ["uni"]
