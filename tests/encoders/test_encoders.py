"""The registry of encoders."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stainscript import encoders
from stainscript.artifacts.provenance import import_closure
from stainscript.errors import DataContractError


def test_the_registry_lists_the_modules_that_are_encoders():
    assert encoders.names() == ["morphology", "timm"]


def test_the_models_read_from_the_sources_are_those_that_timm_lists():
    import timm

    assert encoders.timm_models() == frozenset(timm.list_models())


@pytest.mark.parametrize("kind", ["morphology", "timm:resnet10t", "timm:vit_base_patch16_224.augreg_in21k"])
def test_known_names_pass(kind):
    encoders.check(kind)
    assert encoders.code_modules(kind) == (f"stainscript.encoders.{kind.partition(':')[0]}",)


@pytest.mark.parametrize(
    ("kind", "alternative"),
    [
        ("morfology", "did you mean 'morphology'"),
        ("weights", "morphology, timm:<model>"),  # a module, but no encoder
        ("morphology:large", "morphology, timm:<model>"),
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
        "encoders.code_modules('morphology');"
        "heavy = {'torch', 'timm', 'pandas', 'scipy', 'skimage', 'zarr', 'sklearn'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_code_of_timm_encoders_includes_how_weights_are_read():
    assert "stainscript.encoders.weights" in import_closure(encoders.code_modules("timm:resnet10t"))
    assert "stainscript.encoders.timm" not in import_closure(encoders.code_modules("morphology"))
