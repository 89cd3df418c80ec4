from dataclasses import fields

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from stainscript.config import PanelRule
from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import builtin
from stainscript.genes.panels import printed
from stainscript.genes.panels.select import Rule, rule_of, select
from stainscript.genes.variability.seurat import highly_variable
from stainscript.genes.variability.seurat_v3 import seurat_v3_ranks
from stainscript.types import Space, Target

COUNTS_TARGET = Target(space=Space.COUNTS)
BY_THE_PLAN = {"genes_file", "vocabulary"}  # options of the config that the plan reads: they name files


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
    return rule_of({**PanelRule(rule="top_mean", n=2).model_dump(exclude=BY_THE_PLAN), **options})


def ids(slides, *, vocabulary=None, names=None, **options):
    chosen = rule(**options)
    return select(slides, name="p", rule=chosen, target=COUNTS_TARGET, vocabulary=vocabulary, names=names).gene_ids


# totals a 6, b 9, c 9, d 100 (second slide only), e 1; spots 2 + 1
TWO = [
    slide("A1", "abce", [[1, 4, 0, 0], [2, 4, 0, 1]]),
    slide("B1", "dcba", [[100, 9, 1, 3]]),
]


def test_the_rule_has_the_fields_of_the_config_and_no_defaults():
    assert {f.name for f in fields(Rule)} == set(PanelRule.model_fields) - BY_THE_PLAN
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


# Lists


def test_a_list_finds_genes_by_old_symbols_and_the_panel_keeps_the_slides_names():
    slides = [slide("A1", ["ENSG00000110955", "ENSG00000075624"], [[1, 2]], symbols=["ATP5F1B", "ACTB"])]
    found = select(
        slides,
        name="p",
        rule=rule(rule="fixed", n=2, genes=("ATP5B", "ACTB")),
        target=COUNTS_TARGET,
        names=builtin("human"),
    )
    assert found.gene_ids == ("ENSG00000110955", "ENSG00000075624")
    assert found.symbols == ("ATP5F1B", "ACTB")


def test_a_list_of_current_symbols_finds_genes_that_the_slides_call_by_old_ones():
    slides = [slide("A1", ["ATP5B"], [[1]])]
    assert ids(slides, rule="fixed", n=1, genes=("ATP5F1B",), names=builtin("human")) == ("ATP5B",)


def test_an_ensembl_id_with_a_version_finds_its_gene():
    slides = [slide("A1", ["ENSG00000110955"], [[1]], symbols=["ATP5F1B"])]
    assert ids(slides, rule="fixed", n=1, genes=("ENSG00000110955.5",), names=builtin("human")) == ("ENSG00000110955",)


def test_without_gene_names_only_equal_names_match():
    with pytest.raises(DataContractError, match="'ATP5B'"):
        ids([slide("A1", ["ATP5F1B"], [[1]])], rule="fixed", n=1, genes=("ATP5B",))


def test_two_names_of_one_gene_in_a_list_are_named():
    slides = [slide("A1", ["ATP5F1B", "x"], [[1, 2]])]
    with pytest.raises(DataContractError, match="ATP5F1B and ATP5B are one gene, ATP5F1B"):
        ids(slides, rule="fixed", n=2, genes=("ATP5F1B", "ATP5B"), names=builtin("human"))


def test_genes_on_no_slide_are_counted_and_named_even_where_missing_ones_are_masked():
    with pytest.raises(DataContractError, match=r"'NOPE' and 2 more \(NOT, NEVER\)"):
        ids(TWO, rule="fixed", n=4, genes=("NOPE", "a", "NOT", "NEVER"), missing="mask")


def test_a_gene_that_one_slide_lacks_is_an_error_that_names_the_slide_or_masked():
    """d is on the second slide alone, where its one spot holds 100; e on the first, with 0 and 1."""
    with pytest.raises(DataContractError, match=r"missing: .*no d in expression/toy/A1.h5ad \(2 genes"):
        ids(TWO, rule="fixed", n=3, genes=("a", "d", "e"))
    masked = rule(rule="fixed", n=3, genes=("a", "d", "e"), missing="mask")
    panel = select(TWO, name="p", rule=masked, target=COUNTS_TARGET)
    assert panel.gene_ids == ("a", "d", "e")
    assert panel.mean == (2.0, 100.0, 0.5)
    assert panel.variance == (pytest.approx(2 / 3), 0.0, 0.25)


def test_the_library_size_over_a_masked_panel_is_that_of_its_measured_genes():
    """Panel a, d: the first slide lacks d, so its spots hold a alone; on the second d has 100 of 101 counts."""
    masked = rule(rule="fixed", n=2, genes=("a", "d"), missing="mask")
    panel = select(TWO, name="p", rule=masked, target=Target(space=Space.LOG1P_CP10K, library="panel"))
    a = [np.log1p(1e4), np.log1p(1e4), np.log1p(3e4 / 103)]
    assert panel.mean == (pytest.approx(np.mean(a)), pytest.approx(np.log1p(1e6 / 103)))


def test_a_large_panel_is_transformed_in_parts_with_the_same_result(monkeypatch):
    counts = np.random.default_rng(0).poisson(3, size=(9, 20))
    genes = [f"g{n:02d}" for n in range(20)]
    target = Target(space=Space.LOG1P_CP10K, library="panel", smooth="grid3x3")
    whole = select([slide("A1", genes, counts)], name="p", rule=rule(n=15), target=target)
    monkeypatch.setattr("stainscript.genes.panels.moments.DENSE_ENTRIES", 9 * 4)
    assert select([slide("A1", genes, counts)], name="p", rule=rule(n=15), target=target) == whole


def test_a_printed_list_is_taken_in_its_order_and_cut_before_it_is_looked_up():
    """The slide measures the first five genes of GenAR's list alone, in another order."""
    five = printed.panel("genar/her2st")[:5]
    slides = [slide("A1", five[::-1], [[1, 2, 3, 4, 5]])]
    options = {"rule": "printed", "n": None, "printed": "genar/her2st"}
    assert ids(slides, **options, take_first=5) == five
    with pytest.raises(DataContractError, match="and 202 more"):
        ids(slides, **options)


def test_an_unknown_printed_list_is_answered_with_a_guess():
    with pytest.raises(DataContractError, match="did you mean 'genar/her2st'"):
        ids(TWO, rule="printed", n=None, printed="genar/her2")


# HEG, exact size, first genes, all


def test_heg_ranks_by_the_mean_of_log_normalised_values_unless_told_otherwise():
    """a has the larger counts in one deep spot, b its share of the shallow ones."""
    slides = [slide("A1", "abc", [[90, 10, 900], [0, 8, 2], [0, 8, 2]])]
    assert rule(rule="heg", space=None).space == Space.LOG1P_CP10K
    assert ids(slides, rule="heg", n=2, space=None) == ("c", "b")
    assert ids(slides, rule="heg", n=2, space=Space.COUNTS) == ("c", "a")


def test_every_other_rule_ranks_counts_when_no_space_is_stated():
    assert rule(rule="top_mean", space=None).space == Space.COUNTS


# Means z 5, y 4, x 1, w 0.5 and variances z 25, x 1, w 0.25, y 0: M = 1, 2 share z; 3 shares z, x; 4 shares all.
NESTED = [slide("A1", "zyxw", [[0, 4, 0, 0], [10, 4, 2, 1]])]


def test_an_exact_number_of_genes_takes_the_smallest_rankings_that_share_it():
    assert ids(NESTED, rule="hmhvg", n=1, exactly=True) == ("z",)
    assert ids(NESTED, rule="hmhvg", n=2, exactly=True) == ("x", "z")
    assert ids(NESTED, rule="hmhvg", n=4, exactly=True) == ("w", "x", "y", "z")


def test_where_the_size_jumps_past_the_number_the_first_by_symbol_are_kept_with_a_line_in_the_log(caplog):
    """From M = 3 to M = 4 the intersection grows from two genes to four."""
    with caplog.at_level("INFO"):
        assert ids(NESTED, rule="hmhvg", n=3, exactly=True) == ("w", "x", "y")
    assert "the first 4 by mean and by variance share 4 genes" in caplog.text
    assert "no size gives 3 genes exactly" in caplog.text


def test_more_genes_than_there_are_cannot_be_had_exactly():
    with pytest.raises(DataContractError, match="expected 5 genes; found 4 of 4 candidates"):
        ids(NESTED, rule="hmhvg", n=5, exactly=True)


@settings(max_examples=40, deadline=None)
@given(counts=arrays(np.int32, (6, 12), elements=st.integers(0, 9)), n=st.integers(1, 12))
def test_the_exact_panel_is_the_first_plain_one_that_is_large_enough(counts, n):
    slides = [slide("A1", "abcdefghijkl", counts)]
    plain = [select_ids(slides, m) for m in range(1, 13)]
    expected = next(genes for genes in plain if len(genes) >= n)[:n]
    assert ids(slides, rule="hmhvg", n=n, exactly=True) == expected


def select_ids(slides, m):
    try:
        return ids(slides, rule="hmhvg", n=m)
    except DataContractError:  # nothing in common yet
        return ()


def test_the_first_genes_of_the_panel_are_kept():
    assert ids(NESTED, rule="hmhvg", n=4, take_first=3) == ("w", "x", "y")
    with pytest.raises(DataContractError, match="take_first: expected 5 genes or more; found 4"):
        ids(NESTED, rule="hmhvg", n=4, take_first=5)


def test_all_takes_the_genes_of_enough_slides_by_gene_id():
    assert ids(TWO, rule="all", n=None) == ("a", "b", "c")
    assert ids(TWO, rule="all", n=None, min_slides=1, missing="mask") == ("a", "b", "c", "d", "e")
    with pytest.raises(DataContractError, match="set missing: mask"):
        ids(TWO, rule="all", n=None, min_slides=1)


def test_all_leaves_out_prefixes_and_genes_that_are_seldom_seen_where_they_are_measured():
    """e is seen in one of the two spots that measure it, a and b in three of three, c in one of three."""
    options = {"rule": "all", "n": None, "min_slides": 1, "missing": "mask"}
    assert ids(TWO, **options, min_spot_share=0.5) == ("a", "b", "d", "e")
    assert ids(TWO, **options, exclude_prefixes=("D", "E")) == ("a", "b", "c")


def test_the_seurat_v3_flavour_orders_candidates_by_its_rank():
    """Thirty genes of which five vary beyond what their mean explains; one of these has an excluded prefix."""
    rng = np.random.default_rng(2)
    counts = rng.poisson(np.linspace(2, 30, 30), size=(80, 30))
    for gene in (4, 9, 14, 19, 24):
        counts[:, gene] = rng.negative_binomial(1, 0.1, size=80)
    names = [f"g{n:02d}" for n in range(30)]
    slides = [slide("A1", names, counts[:50]), slide("B1", names[::-1], counts[50:, ::-1])]
    kept = [name for name in names if name != "g14"]
    ranks = seurat_v3_ranks(slides, gene_ids=kept, n=4, space=Space.COUNTS)
    found = ids(slides, rule="hvg_v3", n=4, exclude_prefixes=("G14",))
    assert found == tuple(kept[position] for position in np.argsort(np.where(ranks < 0, 99, ranks))[:4])
    assert set(found) == {"g04", "g09", "g19", "g24"}
    assert set(ids(slides, rule="hvg_v3", n=4)) != set(found)
    assert ids(slides, rule="hvg_v3", n=4, exclude_prefixes=("G14",), space=Space.LOG1P_CP10K) != found


def test_a_gene_seen_in_too_few_spots_is_not_ranked_by_the_seurat_v3_flavour():
    rng = np.random.default_rng(2)
    counts = rng.poisson(np.linspace(2, 30, 30), size=(80, 30))
    counts[:, 4] = 0
    counts[:5, 4] = 90
    slides = [slide("A1", [f"g{n:02d}" for n in range(30)], counts)]
    assert ids(slides, rule="hvg_v3", n=1) == ("g04",)
    assert ids(slides, rule="hvg_v3", n=1, min_spot_share=0.1) != ("g04",)


# Vocabulary


def test_only_genes_of_the_vocabulary_are_candidates():
    """b has the larger total, but the vocabulary has A and C alone, by symbol or by id."""
    assert ids(TWO, rule="top_total", n=1, vocabulary=["A", "X"]) == ("a",)
    assert ids(TWO, rule="top_total", n=2, vocabulary=["c", "a"]) == ("c", "a")
    assert ids(TWO, rule="top_total", n=1) == ("b",)


def test_the_vocabulary_knows_old_symbols_and_two_genes_never_share_an_entry():
    slides = [slide("A1", ["ATP5B", "ATP5F1B", "zzz"], [[9, 1, 5]])]
    found = ids(slides, rule="top_total", n=1, vocabulary=["ATP5F1B"], names=builtin("human"))
    assert found == ("ATP5F1B",)
    only_old = [slide("A1", ["ATP5B", "zzz"], [[1, 5]])]
    assert ids(only_old, rule="top_total", n=1, vocabulary=["ATP5F1B"], names=builtin("human")) == ("ATP5B",)


def test_a_vocabulary_of_other_genes_is_refused():
    with pytest.raises(DataContractError, match=r"vocabulary: .*none of 3 genes among 2 names"):
        ids(TWO, rule="top_total", n=1, vocabulary=["Actb", "Gapdh"])


def test_a_gene_of_a_list_outside_the_vocabulary_is_named():
    with pytest.raises(DataContractError, match=r"expected genes of the vocabulary; found 1 .*: C"):
        ids(TWO, rule="fixed", n=2, genes=("a", "c"), vocabulary=["A", "B"])


# Leaks and contradictions


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "top_total", "n": 2},
        {"rule": "hmhvg", "n": 4, "preselect_hvg": 3},
        {"rule": "hmhvg", "n": 2, "exactly": True},
        {"rule": "heg", "n": 2, "space": None},
        {"rule": "hest_hvg", "n": 2},
        {"rule": "all", "n": None, "min_slides": 1, "missing": "mask"},
    ],
)
def test_a_slide_that_is_not_given_changes_nothing_and_one_that_is_does(options):
    """Leak: the panel of the training slides is the same whatever the test slide holds, for it is never handed over."""
    genes = [f"g{n:02d}" for n in range(12)]
    rng = np.random.default_rng(5)
    train = [slide("A1", genes, rng.poisson(4, size=(20, 12))), slide("B1", genes, rng.poisson(4, size=(20, 12)))]
    test = slide("C1", [*genes, "new"], rng.poisson(40, size=(20, 13)))
    chosen = rule(**options)
    alone = select(train, name="p", rule=chosen, target=COUNTS_TARGET)
    leaky = select([*train, test], name="p", rule=chosen, target=COUNTS_TARGET)
    assert alone.training_slides == ("A1", "B1")
    assert (alone.gene_ids, alone.mean) != (leaky.gene_ids, leaky.mean)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"rule": "all", "n": 5}, "n"),
        ({"rule": "top_mean", "n": None}, "n"),
        ({"rule": "top_mean", "exactly": True}, "exactly"),
        ({"rule": "top_mean", "missing": "mask"}, "missing"),
        ({"rule": "top_mean", "min_slides": 1}, "min_slides"),
        ({"rule": "top_mean", "printed": "genar/her2st"}, "printed"),
        ({"rule": "printed", "n": None}, "printed"),
        ({"rule": "hvg_v3", "preselect_hvg": 2}, "preselect_hvg"),
        ({"rule": "all", "n": None, "preselect_hvg": 2}, "preselect_hvg"),
        ({"rule": "fixed", "n": None, "genes": ("a",), "min_spot_share": 0.1}, "min_spot_share"),
        ({"rule": "top_meen"}, "rule"),
    ],
)
def test_an_option_that_the_rule_does_not_read_is_named(options, field):
    with pytest.raises(DataContractError, match=f"panel p: {field}: "):
        ids(TWO, **options)


def test_an_unknown_option_is_answered_with_a_guess():
    with pytest.raises(DataContractError, match="did you mean 'exactly'"):
        rule(exactlyy=True)
