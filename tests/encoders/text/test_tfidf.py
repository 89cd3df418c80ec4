"""The offline default: TF-IDF by hand, decomposition, and whether related genes come out near each other."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from stainscript.encoders import text
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.offline import derive
from stainscript.seeds import generator

FAMILIES = {
    "collagen": "COL1A1 COL1A2 COL3A1 COL5A2 COL6A3 COL4A1",
    "keratin": "KRT5 KRT8 KRT14 KRT18 KRT19 KRT7",
    "presentation": "HLA-A HLA-B HLA-C HLA-DRA HLA-DRB1 HLA-DPA1",
    "ribosome": "RPL3 RPL10 RPL13 RPS3 RPS6 RPS18",
    "antibody": "IGHG1 IGHG3 IGKC IGHA1 IGLC2 IGHM",
    "calcium": "S100A4 S100A6 S100A8 S100A9 S100A11 S100A14",
    "respiration": "MT-CO1 MT-CO2 MT-ND1 MT-ND4 MT-ATP6 MT-CYB",
}
GENES = [(gene, family) for family, genes in FAMILIES.items() for gene in genes.split()]


def described(gene: str) -> str:
    found = derive(gene, sets=())
    return " ".join(part for part in (gene, found.functionality, found.phenotype) if part)


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def nearest_in_family(vectors: np.ndarray) -> float:
    """The share of genes whose nearest gene is of their family."""
    similar = cosines(vectors)
    np.fill_diagonal(similar, -2)
    family = np.array([name for _, name in GENES])
    return float((family[similar.argmax(axis=1)] == family).mean())


def test_inner_products_are_those_of_tf_idf_by_hand():
    """Three texts: kinase stands in two, so it weighs 1 + ln(4 / 3), and (1 + ln 2) times as much where it is twice."""
    made = text.load("tfidf", options={"stop_words": False})
    found = made.encode(["kinase kinase membrane", "kinase", "nucleus"])
    rare, common = 1 + math.log(4 / 2), 1 + math.log(4 / 3)
    twice = common * (1 + math.log(2))
    assert found.shape == (3, 2)  # three genes span two of the three terms' dimensions at most
    whole = np.array([[twice, rare, 0], [common, 0, 0], [0, 0, rare]])  # kinase, membrane, nucleus
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    strongest = np.linalg.svd(whole)[2][:2]
    np.testing.assert_allclose(found @ found.T, whole @ strongest.T @ strongest @ whole.T, atol=1e-6)


def test_all_terms_are_kept_where_there_are_fewer_than_genes():
    found = text.load("tfidf", options={"stop_words": False}).encode(["a b", "b", "a", "a a b"])
    assert found.shape == (4, 2)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)  # nothing is lost: rows keep their length


def test_the_order_of_genes_changes_no_number_nor_sign():
    texts = [described(gene) for gene, _ in GENES]
    one = text.load("tfidf", dimension=5).encode(texts)
    order = generator(0, "test").permutation(len(texts))
    other = text.load("tfidf", dimension=5).encode([texts[n] for n in order])
    np.testing.assert_allclose(other, one[order], atol=1e-5)
    assert (np.linalg.norm(one, axis=0)[:-1] >= np.linalg.norm(one, axis=0)[1:] - 1e-6).all()  # strongest first


def test_another_process_gives_the_same_numbers():
    code = (
        "from stainscript.encoders import text\n"
        "print(text.load('tfidf', seed=3).encode(['a kinase', 'the kinase of a cell', 'cell wall', 'wall']).tolist())\n"
    )
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]
    assert b"[[" in runs[0]


def test_genes_of_a_family_are_nearest_to_each_other():
    texts = [described(gene) for gene, _ in GENES]
    vectors = text.load("tfidf").encode(texts)
    assert vectors.shape[0] == 42
    assert nearest_in_family(vectors) == 1.0
    few = text.load("tfidf", dimension=8).encode(texts)
    assert nearest_in_family(few) >= 0.95
    shuffled = [texts[n] for n in generator(1, "test").permutation(len(texts))]
    assert nearest_in_family(text.load("tfidf").encode(shuffled)) < 0.4  # it is the text that does it
    similar, family = cosines(few), np.array([name for _, name in GENES])
    same = family[:, None] == family
    assert similar[same].mean() > similar[~same].mean() + 0.5


def test_runs_of_words_are_terms_where_asked_for():
    texts = ["receptor kinase", "kinase receptor", "wall", "wall kinase", "receptor wall", "membrane"]
    one, two = (text.load("tfidf", options={"ngrams": n}).encode(texts) for n in (1, 2))
    assert cosines(one)[0, 1] == pytest.approx(1, abs=1e-6)
    assert cosines(two)[0, 1] < 0.9


def test_a_term_of_one_gene_can_be_left_out():
    texts = ["KRT5 keratin", "KRT8 keratin", "COL1A1 collagen", "COL3A1 collagen"]
    found = text.load("tfidf", options={"min_genes": 2}).encode(texts)
    assert found.shape == (4, 2)
    assert cosines(found)[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_gene_without_a_term_is_zero_even_at_unit_length():
    found = text.load("tfidf", normalise=True).encode(["the of", "kinase receptor", "kinase wall", "wall"])
    assert not found[0].any()
    np.testing.assert_allclose(np.linalg.norm(found[1:], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("texts", "dimension", "most"), [(["a", "b c", "c"], 3, 2), (["kin", "kin kin", "kin"], 2, 1)])
def test_more_dimensions_than_genes_or_terms_is_refused(texts, dimension, most):
    with pytest.raises(DataContractError, match=f"text encoder dimension: expected 1 to {most}, for there are 3 genes"):
        text.load("tfidf", dimension=dimension, options={"stop_words": False}).encode(texts)


def test_one_gene_alone_cannot_be_decomposed():
    with pytest.raises(DataContractError, match="for there are 1 genes"):
        text.load("tfidf").encode(["kinase"])


def test_texts_without_words_are_refused():
    with pytest.raises(DataContractError, match="descriptions: text: expected words that at least 1 genes have"):
        text.load("tfidf").encode(["the", "of", "!"])


@pytest.mark.parametrize(("name", "value"), [("ngrams", 0), ("ngrams", True), ("min_genes", "2"), ("stop_words", 1)])
def test_a_wrong_option_is_named(name, value):
    with pytest.raises(DataContractError, match=f"tfidf options {name}") as error:
        text.load("tfidf", options={name: value})
    assert error.value.found == repr(value)


def test_the_sign_does_not_hang_on_the_library(monkeypatch):
    import sklearn.decomposition

    class Turned(sklearn.decomposition.TruncatedSVD):
        def fit(self, weighted):
            super().fit(weighted)
            self.components_[::2] *= -1
            return self

    texts = [described(gene) for gene, _ in GENES]
    expected = text.load("tfidf", dimension=4).encode(texts)
    monkeypatch.setattr(sklearn.decomposition, "TruncatedSVD", Turned)
    np.testing.assert_array_equal(text.load("tfidf", dimension=4).encode(texts), expected)
