"""The registry of encoders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stainscript import encoders
from stainscript.artifacts.provenance import import_closure
from stainscript.errors import DataContractError

PUBLISHED = (
    *("ciga_resnet18", "conch", "densenet121", "gigapath", "h_optimus_0", "plip", "resnet18", "resnet50"),
    *("uni", "uni2_h", "virchow2"),
)


GATED = {"uni", "uni2_h", "conch", "gigapath", "virchow2", "h_optimus_0"}


def test_the_registry_lists_the_modules_that_are_encoders():
    assert encoders.names() == sorted([*PUBLISHED, "morphology", "timm"])
    assert set(encoders.published()) == {*PUBLISHED, "ciga_resnet18:unit", "conch:projected", "resnet50:stage3"}


@pytest.mark.parametrize("kind", encoders.published())
def test_a_card_says_what_planning_and_checking_need(kind):
    card = encoders.card(kind)
    assert card.name == kind
    assert card.url.startswith("https://")
    assert card.repository is None or card.url == f"https://huggingface.co/{card.repository}"
    assert Path(card.file).suffix in {".bin", ".safetensors", ".ckpt"}
    assert card.gated == (card.name.split(":")[0] in GATED)
    for fact in (card.licence, card.pooling, card.citation, card.transform):
        assert fact
    for part in (card.url, card.file, card.licence):
        assert part in card.how_to_get


def test_kinds_without_a_published_file_have_no_card():
    for kind in ("morphology", "timm:resnet10t"):
        with pytest.raises(DataContractError, match="published encoder"):
            encoders.card(kind)


@pytest.mark.parametrize(("kind", "weights"), [("uni", "random"), ("uni", "hub"), ("timm:resnet10t", None)])
def test_weights_that_are_named_pass(kind, weights):
    encoders.check_weights(kind, weights, field="encoders.mine")
    encoders.check_weights("morphology", None)


@pytest.mark.parametrize("kind", ["morphology", "timm:resnet10t"])
def test_kinds_that_the_hub_does_not_hold_are_refused_there(kind):
    with pytest.raises(DataContractError, match="published encoder"):
        encoders.check_weights(kind, "hub")


def test_absent_weights_are_told_while_the_run_is_planned():
    with pytest.raises(DataContractError) as error:
        encoders.check_weights("virchow2", None, path="mine.yaml", field="encoders.v")
    assert (error.value.path, error.value.field) == ("mine.yaml", "encoders.v.weights")
    for part in ("ask for access at https://huggingface.co/paige-ai/Virchow2", "pytorch_model.bin", "CC-BY-NC-ND-4.0"):
        assert part in error.value.remedy
    assert "set encoders.v.weights to its path or folder, or set encoders.v.weights: hub" in error.value.remedy


def test_the_models_read_from_the_sources_are_those_that_timm_lists():
    import timm

    assert encoders.timm_models() == frozenset(timm.list_models())


@pytest.mark.parametrize(
    "kind", ["morphology", "timm:resnet10t", "timm:vit_base_patch16_224.augreg_in21k", "uni", "resnet50:stage3"]
)
def test_known_names_pass(kind):
    encoders.check(kind)
    assert encoders.code_modules(kind)[0] == f"stainscript.encoders.{kind.partition(':')[0]}"
    assert encoders.needs_gpu(kind) == (kind != "morphology")


@pytest.mark.parametrize(
    ("kind", "alternative"),
    [
        ("morfology", "did you mean 'morphology'"),
        ("weights", "resnet50:stage3, timm:<model>, uni, uni2_h"),  # a module, but no encoder
        ("morphology:large", "morphology"),
        ("resnet50:stage4", "did you mean 'resnet50:stage3'"),
        ("uni2h", "did you mean 'uni2_h'"),
        ("timm:resnet10tt", "timm:resnet10t"),
        ("timm:", "timm.list_models()"),
        ("timm", "timm.list_models()"),
    ],
)
def test_a_misspelt_name_lists_the_alternatives(kind, alternative):
    for use in (encoders.check, encoders.load, encoders.code_modules):
        with pytest.raises(DataContractError) as error:
            use(kind)
        assert alternative in str(error.value)
        assert repr(kind) in str(error.value) or repr(f"{kind}:") in str(error.value)


def test_the_error_says_where_the_name_was_read():
    with pytest.raises(DataContractError, match=r"^mine\.yaml: encoders\.x\.kind: "):
        encoders.check("nothing", path="mine.yaml", field="encoders.x.kind")


def test_checking_a_name_imports_nothing_heavy():
    code = (
        "import sys; from stainscript import encoders; encoders.check('timm:resnet10t'); encoders.names();"
        "[encoders.card(kind) for kind in encoders.published()]; encoders.check_weights('uni', 'random');"
        "encoders.code_modules('morphology');"
        "heavy = {'torch', 'timm', 'transformers', 'huggingface_hub', 'pandas', 'scipy', 'skimage', 'zarr'};"
        "heavy &= set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_code_of_timm_encoders_includes_how_weights_are_read():
    assert "stainscript.encoders.weights" in import_closure(encoders.code_modules("timm:resnet10t"))
    assert "stainscript.encoders.timm" not in import_closure(encoders.code_modules("morphology"))


@pytest.mark.parametrize("kind", ["timm:resnet10t", "uni", "conch"])
def test_the_code_of_a_network_includes_all_that_decides_its_features(kind):
    closure = import_closure(encoders.code_modules(kind))
    for part in ("transform", "execution", "network", "weights"):
        assert f"stainscript.encoders.{part}" in closure
    assert ("stainscript.encoders.attention_pool" in closure) == (kind == "conch")
    assert "stainscript.encoders.hub" not in closure
