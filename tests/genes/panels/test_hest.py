"""HEST-Bench's rule for its gene lists, on its parity case and on cases worked out by hand."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.panels.select import rule_of, select
from stainscript.types import Space, Target

BASE = {
    "rule": "hest_hvg",
    "exactly": False,
    "take_first": None,
    "min_slides": None,
    "missing": "error",
    "printed": None,
    "n": 1,
    "space": "counts",
    "exclude_prefixes": (),
    "preselect_hvg": None,
    "min_spot_share": 0.1,
    "scope": "dataset",
    "genes": None,
}


def slide(name, genes, counts):
    counts = np.array(counts, dtype=np.int32)
    return anndata.AnnData(
        sparse.csr_matrix(counts),
        var=pd.DataFrame({"symbol": list(genes)}, index=list(genes)),
        obs=pd.DataFrame(index=[f"{name}-{n}" for n in range(len(counts))]),
        uns={"dataset": "toy", "slide": name, "patient": name},
    )


def chosen(slides, **options):
    panel = select(slides, name="p", rule=rule_of({**BASE, **options}), target=Target(space=Space.LOG1P))
    return list(panel.symbols)


@pytest.fixture
def golden(shared_golden):
    folder = shared_golden / "histoprism" / "hest_files"
    facts = json.loads((folder / "get_k_genes.json").read_text())
    counts = np.load(folder / "get_k_genes_inputs.npz")
    return facts, [slide(f"s{n}", facts["genes"], counts[name]) for n, name in enumerate(sorted(counts))]


@pytest.mark.parametrize(("rule", "key"), [("hest_hvg", "var"), ("hest_mean", "mean")])
def test_lists_are_identical_to_those_of_the_released_code(golden, rule, key):
    facts, slides = golden
    found = chosen(slides, rule=rule, n=facts["k"], min_spot_share=facts["min_cells_pct"])
    assert found == facts[key]
    assert sorted(found) == found or rule == "hest_mean"  # the second comes by rank


def test_the_order_of_slides_and_of_their_genes_does_not_matter(golden):
    facts, slides = golden
    mixed = [one[:, np.random.default_rng(0).permutation(one.n_vars)].copy() for one in reversed(slides)]
    assert chosen(mixed, n=facts["k"]) == facts["var"]


def test_control_probes_are_never_chosen():
    genes = ("A", "BLANK_0001", "NegControlProbe_1")
    assert chosen([slide("s", genes, [[1, 50, 90], [2, 60, 80]])], rule="hest_mean") == ["A"]


def test_a_gene_must_be_seen_in_a_tenth_of_the_spots_of_every_slide_rounded_up():
    """11 spots: a tenth is 1.1, so 2 spots. B is seen in 11 and 1 of them, whatever its mean."""
    often = np.column_stack([np.ones(11), np.full(11, 9)])
    seldom = often.copy()
    seldom[1:, 1] = 0
    assert chosen([slide("s", "AB", often), slide("t", "AB", often)], rule="hest_mean") == ["B"]
    assert chosen([slide("s", "AB", often), slide("t", "AB", seldom)], rule="hest_mean") == ["A"]


def test_the_mean_is_of_raw_counts_over_all_spots_and_ties_go_by_symbol():
    """Totals: C 12 in 4 spots, A and B 6 each; log1p would put A (1, 1, 2, 2) above C (0, 0, 0, 12)."""
    slides = [slide("s", "CBA", [[0, 1, 1], [0, 1, 1]]), slide("t", "CBA", [[0, 2, 2], [12, 2, 2]])]
    assert chosen(slides, rule="hest_mean", n=2, min_spot_share=0.0) == ["C", "A"]


def test_library_size_plays_no_part():
    """Spot 2 is spot 1 ten times as deep. Scaled to one depth no gene varies; raw, every gene does."""
    counts = [[1, 2, 3], [10, 20, 30], [1, 2, 3], [10, 20, 30]]
    assert chosen([slide("s", "ABC", counts)], n=3) == ["A", "B", "C"]


def test_too_few_genes_are_refused():
    with pytest.raises(DataContractError, match=r"panel p: n: expected 3 genes; found 1 of 1 candidates \(2 genes"):
        chosen([slide("s", ("A", "BLANK_1"), [[1, 1], [2, 5]])], rule="hest_mean", n=3)


@pytest.mark.parametrize(("key", "value"), [("space", "log1p"), ("preselect_hvg", 100)])
def test_options_that_the_rule_would_not_read_are_refused(key, value):
    with pytest.raises(DataContractError, match=f"panel p: {key}"):
        chosen([slide("s", "AB", [[1, 1], [2, 5]])], **{key: value})


def test_the_training_scope_sees_no_test_slide():
    """The rule chooses on the slides it is given: with the test slide B would win, without it A does."""
    train, test = slide("s", "AB", [[5, 1], [5, 1]]), slide("t", "AB", [[1, 90], [1, 90]])
    assert chosen([train, test], rule="hest_mean") == ["B"]
    assert chosen([train], rule="hest_mean") == ["A"]
