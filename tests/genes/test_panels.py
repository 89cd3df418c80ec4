from dataclasses import fields

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.config import PanelRule
from stainscript.errors import DataContractError
from stainscript.genes.panels import Rule, rule_of, select
from stainscript.genes.variable import highly_variable
from stainscript.types import Space, Target

COUNTS_TARGET = Target(space=Space.COUNTS)


def slide(name, genes, counts, *, symbols=None):
    genes = list(genes)
    return anndata.AnnData(
        sparse.csr_matrix(np.array(counts, dtype=np.int32)),
        var=pd.DataFrame({"symbol": symbols or [g.upper() for g in genes]}, index=genes),
        obs=pd.DataFrame(index=[f"{name}-{n}" for n in range(len(counts))]),
        obsm={"grid": np.array([[0, n] for n in range(len(counts))])},
        uns={"dataset": "toy", "slide": name, "patient": name[0]},
    )


def rule(**options):
    return rule_of({**PanelRule(rule="top_mean", n=2).model_dump(exclude={"genes_file"}), **options})


def ids(slides, **options):
    return select(slides, name="p", rule=rule(**options), target=COUNTS_TARGET).gene_ids


# totals a 6, b 9, c 9, d 100 (second slide only), e 1; spots 2 + 1
TWO = [
    slide("A1", "abce", [[1, 4, 0, 0], [2, 4, 0, 1]]),
    slide("B1", "dcba", [[100, 9, 1, 3]]),
]


def test_the_rule_has_the_fields_of_the_config_and_no_defaults():
    assert {f.name for f in fields(Rule)} == set(PanelRule.model_fields) - {"genes_file"}  # the plan reads that file
    with pytest.raises(TypeError):
        Rule(rule="top_mean", n=2)


def test_total_counts_rank_genes_common_to_all_slides_and_ties_go_by_symbol():
    assert ids(TWO, rule="top_total", n=3) == ("b", "c", "a")


def test_mean_is_over_spots_of_all_slides_together():
    """a: (1 + 2 + 10) / 3 > b: (6 + 6 + 0) / 3, although the mean of slide means prefers neither order by size."""
    slides = [slide("A1", "ab", [[1, 6], [2, 6]]), slide("B1", "ab", [[10, 0]])]
    assert ids(slides, rule="top_mean", n=1) == ("a",)


def test_variance_ranks_in_the_space_asked_for():
    """Counts 100, 110 vary more than 0, 3; their logarithms vary less."""
    slides = [slide("A1", "ab", [[100, 0], [110, 3]])]
    assert ids(slides, rule="top_variance", n=1) == ("a",)
    assert ids(slides, rule="top_variance", n=1, space=Space.LOG1P) == ("b",)


def test_hmhvg_is_the_intersection_in_order_of_symbol():
    """Means z 5, y 4, x 1, w 0.5; variances z 25, x 1, w 0.25, y 0: two of each share z alone, three share z and x."""
    slides = [slide("A1", "zyxw", [[0, 4, 0, 0], [10, 4, 2, 1]])]
    assert ids(slides, rule="hmhvg", n=2) == ("z",)
    assert ids(slides, rule="hmhvg", n=3) == ("x", "z")


def test_excluded_prefixes_are_compared_with_symbols():
    slides = [slide("A1", "abc", [[9, 5, 4]], symbols=["MT-CO1", "KRT7", "ACTB"])]
    assert ids(slides, rule="top_mean", n=1, exclude_prefixes=("MT-", "RPS")) == ("b",)


def test_a_gene_seen_in_too_few_spots_is_no_candidate():
    slides = [slide("A1", "ab", [[90, 1], [0, 1], [0, 1]])]
    assert ids(slides, rule="top_mean", n=1, min_spot_share=0.5) == ("b",)


def test_preselection_takes_the_union_over_slides():
    genes = [f"g{n:02d}" for n in range(30)]
    counts = [np.random.default_rng(seed).poisson(3, size=(40, 30)) for seed in (0, 1)]
    slides = [slide(name, genes, part) for name, part in zip(("A1", "B1"), counts, strict=True)]
    per_slide = [set(highly_variable(sparse.csr_matrix(part), n=3)) for part in counts]
    assert per_slide[0] != per_slide[1]
    assert ids(slides, rule="hmhvg", n=30, preselect_hvg=3) == tuple(genes[n] for n in sorted(set.union(*per_slide)))
    assert len(ids(slides, rule="hmhvg", n=30)) == 30


def test_a_fixed_list_keeps_its_order_and_takes_ids_or_symbols():
    assert ids(TWO, rule="fixed", n=2, genes=("C", "a")) == ("c", "a")


def test_an_unknown_gene_of_a_fixed_list_is_named_with_a_guess():
    slides = [slide("A1", ["x", "y"], [[1, 2]], symbols=["ERBB2", "KRT7"])]
    with pytest.raises(DataContractError, match=r"'ERBB'.*did you mean 'ERBB2'"):
        ids(slides, rule="fixed", n=1, genes=("ERBB",))


def test_a_symbol_of_two_genes_cannot_stand_in_a_fixed_list():
    slides = [slide("A1", ["x", "y"], [[1, 2]], symbols=["KRT7", "KRT7"])]
    with pytest.raises(DataContractError, match="KRT7 is the symbol of x, y"):
        ids(slides, rule="fixed", n=1, genes=("KRT7",))


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "fixed", "n": 2},
        {"rule": "top_mean", "genes": ("a",)},
        {"rule": "top_total", "space": Space.LOG1P},
        {"rule": "fixed", "n": 1, "genes": ("a",), "preselect_hvg": 5},
        {"rule": "fixed", "n": 1, "genes": ("a",), "exclude_prefixes": ("MT-",)},
        {"rule": "fixed", "n": 2, "genes": ("a",)},
        {"rule": "fixed", "n": 2, "genes": ("a", "A")},
        {"rule": "top_mean", "n": 4},
    ],
)
def test_options_that_contradict_the_rule_are_refused(options):
    with pytest.raises(DataContractError, match="panel p"):
        ids(TWO, **options)


def test_no_gene_left_is_an_error():
    with pytest.raises(DataContractError, match="at least 1 gene"):
        ids([slide("A1", "ab", [[1, 2]])], rule="hmhvg", n=5, exclude_prefixes=("A", "B"))


def test_the_panel_keeps_mean_and_variance_in_the_target_space():
    panel = select(TWO, name="p", rule=rule(rule="fixed", n=1, genes=("a",)), target=Target(space=Space.LOG2P1))
    values = np.log2([2, 3, 4])
    assert panel.mean[0] == pytest.approx(values.mean())
    assert panel.variance[0] == pytest.approx(values.var())
    assert panel.symbols == ("A",)
    assert panel.training_slides == ("A1", "B1")


def test_files_and_memory_give_the_same_panel(tmp_path):
    paths = []
    for adata in TWO:
        paths.append(tmp_path / f"{adata.uns['slide']}.h5ad")
        adata.write_h5ad(paths[-1])
    target = Target(space=Space.LOG1P_CP10K, smooth="grid3x3")
    chosen = rule(rule="top_total", n=2)
    from_files = select(paths, name="p", rule=chosen, target=target)
    assert from_files == select(TWO, name="p", rule=chosen, target=target)


def test_repeated_gene_ids_are_refused():
    with pytest.raises(DataContractError, match="each gene id once"):
        ids([slide("A1", "aa", [[1, 2]])])


def test_no_slides_is_an_error():
    with pytest.raises(DataContractError, match="at least 1 slide"):
        ids([])
