from __future__ import annotations

import re

import pytest

from stainscript.genes.descriptions.families import FAMILIES, stem_of, terms_of
from stainscript.genes.descriptions.offline import derive, in_words, memberships, release_of


@pytest.mark.parametrize(
    ("symbol", "term"),
    [
        ("KRT8", "keratin"),
        ("COL1A2", "collagen"),
        ("HLA-DRA", "MHC"),
        ("IGKC", "immunoglobulin"),
        ("IGHG3", "antibody"),
        ("RPL13A", "ribosome"),
        ("RPS6", "translation"),
        ("MT-CO1", "mitochondrion"),
        ("MT-ND4", "complex I"),
        ("NDUFB9", "complex I"),
        ("COX6C", "respiratory chain"),
        ("ATP5F1B", "ATP synthase"),
        ("S100A9", "calcium binding"),
        ("CD24", "cell surface antigen"),
        ("MMP11", "matrix metalloproteinase"),
        ("CXCL9", "chemokine"),
        ("CCL19", "chemokine"),
        ("SLC9A3R1", "solute carrier"),
        ("AP000769.1", "uncharacterised"),
        ("KIAA0100", "open reading frame"),
        ("Krt14", "keratin"),
        ("mt-Nd1", "mitochondrion"),
        ("Gm10076", "genomic clone or predicted gene"),
        ("1810037I17Rik", "genomic clone or predicted gene"),
        ("H2-K1", "MHC"),
        ("HSP90AB1", "chaperone"),
        ("ERBB2", "receptor tyrosine kinase"),
        ("RPL21P4", "pseudogene"),
        ("LINC00657", "long non-coding RNA"),
        ("H3-3B", "histone"),
    ],
)
def test_the_symbol_tells_the_family(symbol: str, term: str) -> None:
    assert term in terms_of(symbol)


@pytest.mark.parametrize(
    ("symbol", "term"),
    [
        ("IGFBP5", "immunoglobulin"),
        ("CDH1", "cell surface antigen"),
        ("C3", "open reading frame"),
        ("CALD1", "calcium binding"),
        ("MT2A", "mitochondrion"),
        ("TRAF4", "T cell receptor"),
        ("TRAP1", "T cell receptor"),
        ("HBEGF", "haemoglobin"),
        ("ARID1A", "nuclear receptor"),
        ("ACTB", "pseudogene"),
        ("KRTAP2-3", "intermediate filament"),
        ("FOSL1", "open reading frame"),
    ],
)
def test_a_symbol_that_only_looks_alike_is_of_another_family(symbol: str, term: str) -> None:
    assert term not in terms_of(symbol)


def test_every_row_of_the_table_is_a_pattern_with_terms_and_stands_once() -> None:
    patterns = [pattern for pattern, _ in FAMILIES]
    assert len(set(patterns)) == len(patterns) > 60
    for pattern, terms in FAMILIES:
        assert not re.compile(f"(?:{pattern})").match(""), pattern
        assert all(term == term.strip() and term for term in terms.split(", "))


@pytest.mark.parametrize(
    ("symbol", "stem"),
    [("KRT8", "KRT"), ("SLC25A6", "SLC25"), ("HLA-B", "HLA"), ("GNAS", ""), ("S100A9", "S100"), ("B2M", ""), ("", "")],
)
def test_the_stem_is_what_a_family_shares(symbol: str, stem: str) -> None:
    assert stem_of(symbol) == stem


def test_sets_are_named_smallest_first_and_so_many_at_most() -> None:
    sets = {"HALLMARK_BIG": ("A", "B", "C"), "HALLMARK_DNA_REPAIR": ("A", "B"), "B_SET": ("A", "D")}
    found = memberships(sets, most=2, identity=str)
    assert found["A"] == ("B_SET", "HALLMARK_DNA_REPAIR")
    assert found["C"] == ("HALLMARK_BIG",)
    assert memberships(sets, most=0, identity=str)["A"] == ()


def test_old_and_new_names_of_a_gene_share_its_sets() -> None:
    current = {"ATP5B": "ATP5F1B"}
    found = memberships({"S": ("ATP5B",)}, most=3, identity=lambda gene: current.get(gene, gene))
    assert found == {"ATP5F1B": ("S",)}


def test_names_of_sets_become_words() -> None:
    assert in_words("HALLMARK_ESTROGEN_RESPONSE_EARLY") == "estrogen response early"
    assert in_words("GOBP_DNA_REPAIR") == "dna repair"
    assert in_words("mitotic spindle (GO:0072686)") == "mitotic spindle"
    assert in_words("HALLMARK_") == "HALLMARK_"


def test_a_description_is_terms_stem_and_sets() -> None:
    derived = derive("KRT8", sets=("HALLMARK_APICAL_SURFACE",))
    assert derived.functionality == "keratin, intermediate filament, epithelium, cytoskeleton, family KRT"
    assert derived.phenotype == "apical surface"
    assert derived.summary == f"{derived.functionality}; apical surface"
    unknown = derive("ZZZ", sets=())
    assert (unknown.functionality, unknown.phenotype, unknown.summary) == ("", "", "")


def test_the_release_names_the_table_and_the_sets() -> None:
    assert release_of(None) == release_of(None)
    assert release_of(None) in release_of({"S": ("A",)})
    assert release_of({"S": ("A",)}) != release_of({"S": ("B",)})
