"""Pathways that gseapy finds in programmes and at the ends of a ranking, without its network."""

import os
import socket
import subprocess
import sys

import gseapy
import numpy as np
import pytest
from scipy.stats import hypergeom

from stainscript.evaluation.gene_set_tests import enriched, well_predicted
from stainscript.evaluation.programmes import COLUMNS

GENES = [f"g{n:02d}orf" for n in range(13)]  # not in capitals: gseapy turns such lists where the sets are
LABELS = np.array([1] * 5 + [2] * 4 + [3] * 3 + [0])


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("gseapy must not ask the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_pathways_of_a_programme_have_the_hypergeometric_p_value():
    """13 genes; programme 1 has 5, pathway P holds 4 of them and 1 other: P(X ≥ 4) of 5 drawn, 5 marked.

    Six tests, 3 programmes × 2 pathways; P shares a gene with programmes 1 and 2, Q with programme 3.
    """
    pathways = {"P": [*GENES[:4], GENES[5], "not predicted"], "Q": GENES[9:12], "none": ["elsewhere"]}
    found = enriched(LABELS, GENES, pathways)
    assert tuple(found.columns) == COLUMNS
    assert list(zip(found["programme"], found["term"], strict=True)) == [
        ("programme 01", "P"),
        ("programme 02", "P"),
        ("programme 03", "Q"),
    ]
    p = [hypergeom.sf(3, 13, 5, 5), hypergeom.sf(0, 13, 5, 4), hypergeom.sf(2, 13, 3, 3)]
    assert found["p_value"].tolist() == pytest.approx(p, rel=1e-9)
    assert found["adjusted_p_value"].tolist() == pytest.approx([p[0] * 3, min(p[1] * 2, 1), p[2] * 6], rel=1e-9)
    assert found["genes"].tolist() == [",".join(GENES[:4]), GENES[5], ",".join(GENES[9:12])]
    counts = found[["programme_size", "term_size", "overlap_size"]].to_numpy(dtype=int).tolist()
    assert counts == [[5, 5, 4], [4, 5, 1], [3, 3, 3]]
    assert found.loc[0, "score"] == pytest.approx(4.5 * 7.5 / (1.5 * 1.5))  # odds ratio, 0.5 added to each cell


def test_gseapy_alone_loses_genes_that_are_not_in_capitals():
    """Why genes travel under neutral names: among sets in capitals gseapy turns a mixed list, and C1orf1 is lost."""
    sets = {"P": ["C1orf1", *"ABCDEFGHIJ"]}
    background = ["C1orf1", *"ABCDEFGHIJKLMN"]
    lost = gseapy.enrich(["C1orf1", "A"], gene_sets=sets, background=background, outdir=None, no_plot=True).results
    assert lost["Overlap"].tolist() == ["1/10"]
    assert enriched(np.array([1, 1] + [2] * 13), background, sets)["overlap_size"].tolist()[0] == 2


def test_pathways_of_well_predicted_genes_stand_at_the_top():
    genes = [f"x{n:02d}y" for n in range(40)]
    pcc = {gene: 0.8 - 0.02 * n for n, gene in enumerate(genes)} | {"undefined": float("nan")}
    pathways = {"best": genes[:8], "worst": genes[-8:], "both": genes[::5], "small": genes[:2], "off": ["q"] * 9}
    found = well_predicted(pcc, pathways, min_size=5, permutations=500)
    assert found["term"].tolist() == ["best", "both", "worst"]
    assert found["score"].iloc[0] > 1.5
    assert found["score"].iloc[-1] < -1.5
    assert (found["p_value"].iloc[[0, 2]] < 0.01).all()
    assert found["p_value"].iloc[1] > 0.1
    assert found["genes"].iloc[0] == ",".join(genes[:8])
    assert found["term_size"].tolist() == [8, 8, 8]


def test_a_ranking_without_a_pathway_of_the_right_size_is_empty():
    found = well_predicted({"a": 0.1, "b": 0.2, "c": 0.3}, {"P": ["a", "b"]}, min_size=3)
    assert tuple(found.columns) == COLUMNS
    assert len(found) == 0


def test_the_order_of_genes_with_one_value_is_that_of_their_names():
    genes = [f"t{n:02d}" for n in range(30)]
    pcc = {gene: 0.5 if n < 15 else 0.1 for n, gene in enumerate(genes)}
    backwards = dict(reversed(pcc.items()))
    pathways = {"P": genes[3:12], "Q": genes[10:20]}
    one, other = (well_predicted(given_pcc, pathways, permutations=100) for given_pcc in (pcc, backwards))
    assert one.equals(other)


def ranked_and_enriched():
    genes = [f"g{n}" for n in range(30)]
    pathways = {"P": genes[::3], "Q": genes[5:20]}
    ranked = well_predicted({gene: 1 / (n + 1) for n, gene in enumerate(genes)}, pathways, permutations=50)
    return ranked.to_csv() + enriched(np.arange(30) % 3 + 1, genes, pathways).to_csv()


def test_another_process_finds_the_same_numbers():
    """Sets of Python have another order in every process; no result may follow it."""
    code = f"import runpy; print(runpy.run_path({__file__!r})['ranked_and_enriched'](), end='')"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout == ranked_and_enriched()
    assert "normalised enrichment score" in other.stdout
