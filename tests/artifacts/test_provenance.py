"""Digests: what changes them and what must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stainscript.artifacts import provenance


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of three modules: a imports b inside a function, b imports nothing, c stands apart."""
    root = tmp_path / "stainscript"
    (root / "sub").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "sub" / "__init__.py").write_text("")
    (root / "a.py").write_text(
        '"""Doc."""\n\ndef f():\n    """Doc."""\n    from stainscript.sub import b\n    return b.X\n'
    )
    (root / "sub" / "b.py").write_text("X = 1\n")
    (root / "c.py").write_text("Y = 1\n")
    monkeypatch.setattr(provenance, "ROOT", root)
    return root


def digest() -> str:
    for cached in (provenance._parsed, provenance._tree_digest, provenance._imports_of):
        cached.cache_clear()
    return provenance.code_digest(["stainscript.a"])


def test_a_lazily_imported_module_belongs_to_the_closure(package: Path) -> None:
    assert provenance.import_closure(("stainscript.a",)) == {"stainscript.a", "stainscript.sub", "stainscript.sub.b"}


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digest()
    (package / "a.py").write_text(
        '"""Other."""\n# comment\n\n\ndef f():\n    """Other."""\n    from stainscript.sub import b\n\n    return b.X\n'
    )
    assert digest() == before


def test_a_constant_in_an_imported_module_counts(package: Path) -> None:
    before = digest()
    (package / "sub" / "b.py").write_text("X = 2\n")
    assert digest() != before


def test_a_module_that_is_not_imported_does_not_count(package: Path) -> None:
    before = digest()
    (package / "c.py").write_text("Y = 2\n")
    assert digest() == before


def test_relative_imports_are_refused_because_digests_cannot_follow_them(package: Path) -> None:
    (package / "a.py").write_text("from . import c\n")
    with pytest.raises(ImportError, match="relative import"):
        digest()


def test_an_environment_is_its_pins(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("channels: [conda-forge]\ndependencies: [python=3.12]\n")
    before = provenance.environment_digest(path)
    path.write_text("# comment\ndependencies: [python=3.12]\nchannels: [conda-forge]\n")
    assert provenance.environment_digest(path) == before
    path.write_text("channels: [conda-forge]\ndependencies: [python=3.13]\n")
    assert provenance.environment_digest(path) != before


def test_key_order_does_not_count_in_a_digest() -> None:
    assert provenance.digest_of({"a": 1, "b": [1, 2]}) == provenance.digest_of({"b": [1, 2], "a": 1})
    assert provenance.digest_of({"a": [1, 2]}) != provenance.digest_of({"a": [2, 1]})
