"""Orders and groups of genes: parity with GenAR's release, invariants, and the file."""

import dataclasses
import hashlib
import json
import random

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stainscript.config.genes import GroupRule as ConfigRule
from stainscript.errors import DataContractError
from stainscript.genes.groups.capped import assign_within_sizes, capped_groups
from stainscript.genes.groups.counts import panel_counts
from stainscript.genes.groups.grouping import alone, group, shuffled
from stainscript.genes.groups.order import two_stage_order, z_scores
from stainscript.genes.groups.pathway import memberships, pathway_groups
from stainscript.genes.groups.records import list_sha256, read_groups, write_groups
from stainscript.genes.groups.rules import GroupRule, rule_of
from stainscript.genes.groups.scales import PRESETS, scale_blocks, scale_dims
from stainscript.genes.identifiers.names import builtin
from stainscript.genes.panels import printed
from stainscript.types import Panel

BASE = {
    "order": "two_stage",
    "seed": 42,
    "major": 4,
    "target_size": 12,
    "n_init": 10,
    "zscore_axis": "gene",
    "clusters": 4,
    "min_size": 1,
    "max_size": 6,
    "weight": 0.5,
    "printed": None,
    "scales": "paper",
}
ORDERS = ("two_stage", "random", "capped", "pathway", "printed", "panel")


def rule(order="two_stage", **changed):
    own = {"printed": {"printed": "genar/her2st"}, "capped": {"n_init": 2}}
    return rule_of({**BASE, **own.get(order, {}), "order": order, **changed})


def slide(name, counts, genes):
    return anndata.AnnData(
        sparse.csr_matrix(np.asarray(counts, dtype=np.int32)),
        obs=pd.DataFrame(index=[f"{name}-{n}" for n in range(len(counts))]),
        var=pd.DataFrame({"symbol": list(genes)}, index=list(genes)),
        uns={"dataset": "toy", "slide": name, "patient": name[0]},
    )


def panel_of(genes, slides):
    genes = tuple(map(str, genes))
    one = (1.0,) * len(genes)
    return Panel(name="p", gene_ids=genes, symbols=genes, mean=one, variance=one, training_slides=tuple(slides))


def grouped(counts, *, genes=None, order="two_stage", gene_sets=None, names=None, **changed):
    genes = [f"G{n:02d}" for n in range(np.shape(counts)[1])] if genes is None else genes
    chosen = rule(order, **{"scales": (len(genes),), **changed})
    return group(
        panel_of(genes, ["A1"]), expression=[slide("A1", counts, genes)], rule=chosen, gene_sets=gene_sets, names=names
    )


def poisson(spots, genes, seed=0):
    return np.random.default_rng(seed).poisson(4, size=(spots, genes))


# Parity with the released code


def test_every_stored_case_has_the_released_order_and_labels(shared_golden):
    cases = sorted((shared_golden / "genar/clustering").glob("*.npz"))
    assert cases
    for path in cases:
        with np.load(path) as case:
            found = two_stage_order(case["counts"], seed=int(case["seed"]))
            scores = z_scores(case["counts"], axis="gene")
            np.testing.assert_array_equal(found.order, case["order"], err_msg=path.name)
            np.testing.assert_array_equal(found.major, case["labels_0"], err_msg=path.name)
            stored = [case[f"labels_{n}"] for n in range(1, sum(name.startswith("labels_") for name in case))]
            assert len(found.refined) == len(stored), path.name
            for (_, labels), expected in zip(found.refined, stored, strict=True):
                np.testing.assert_array_equal(labels, expected, err_msg=path.name)
            np.testing.assert_allclose(scores[:5], case["zscore_first5"], rtol=0, atol=1e-12)
            checksum = scores.sum(), np.square(scores).sum()
            np.testing.assert_allclose(checksum, case["zscore_checksum"], rtol=1e-12, atol=1e-9)
            assert np.sum(np.ptp(case["counts"], axis=0) == 0) == case["n_constant"]


@pytest.fixture(scope="module")
def synthetic(shared_golden):
    """The stored dataset: its panel, its training slides as AnnData, and what the release wrote."""
    folder = shared_golden / "genar/dataset"
    facts = json.loads((folder / "clustering_info.json").read_text())
    with np.load(folder / "synthetic_prad.npz") as stored:
        genes = stored["all_genes"].tolist()
        slides = [slide(name, stored[f"{name}_counts_allgenes"], genes) for name in facts["train_slides"]]
        names, rearranged = stored["panel"].tolist(), stored["random_grouping_seed42_genes"].tolist()
    return {
        "panel": panel_of(names, ["S1", "S2", "S3"]),
        "slides": slides,
        "facts": facts,
        "after": (folder / "selected_gene_list_after.txt").read_text(),
        "shuffled": rearranged,
    }


def test_a_dataset_has_the_released_order_digests_and_scales(synthetic):
    found = group(synthetic["panel"], expression=synthetic["slides"], rule=rule())
    facts = synthetic["facts"]
    assert list(found.clustered_order) == facts["clustered_order"]
    assert found.source_gene_list_sha256 == facts["source_gene_list_sha256"]
    assert found.output_gene_list_sha256 == facts["output_gene_list_sha256"]
    assert "".join(f"{name}\n" for name in found.symbols) == synthetic["after"]
    assert list(found.scale_dims) == facts["scale_dims"]
    assert found.total_spots == facts["total_spots"]
    assert list(found.training_slides) == facts["train_slides"]


def test_the_random_control_is_pythons_shuffle_of_the_list(synthetic):
    """The stored control was made from a list that was not clustered yet."""
    symbols = synthetic["panel"].symbols
    found = shuffled(alone(len(symbols)), seed=42)
    assert [symbols[position] for part in found for position in part] == synthetic["shuffled"]


def test_the_random_control_starts_from_the_clustered_order_and_keeps_its_sizes(synthetic):
    clustered, control = (
        group(synthetic["panel"], expression=synthetic["slides"], rule=rule(order)) for order in ("two_stage", "random")
    )
    expected = list(clustered.symbols)
    random.Random(42).shuffle(expected)
    assert list(control.symbols) == expected
    assert [len(part) for part in control.groups] == [len(part) for part in clustered.groups]


def test_the_layout_of_the_counts_in_memory_plays_no_part(shared_golden):
    """Sums in another order of memory differ in the last bit, which is enough to give this case another order."""
    with np.load(shared_golden / "genar/clustering/small_40g_with_constant.npz") as case:
        found = two_stage_order(np.asfortranarray(case["counts"]))
        np.testing.assert_array_equal(found.order, case["order"])


# z-scores


def test_z_scores_are_per_gene_with_the_population_deviation_and_a_constant_gene_is_zero():
    scores = z_scores(np.array([[1, 7], [3, 7]]), axis="gene")
    np.testing.assert_array_equal(scores, [[-1, 1], [0, 0]])


def test_z_scores_per_spot_compare_genes_with_each_other():
    scores = z_scores(np.array([[1, 3], [5, 5]]), axis="spot")
    np.testing.assert_array_equal(scores, [[-1, 0], [1, 0]])


def test_a_gene_that_a_slide_does_not_measure_stays_at_its_mean_there():
    scores = z_scores(np.array([[1, 1], [3, 3], [np.nan, 5]]), axis="gene")
    np.testing.assert_array_equal(scores[0], [-1, 1, 0])


def test_the_axis_changes_the_order():
    """Twelve genes on very different levels: per spot the level decides, per gene the course over the spots."""
    counts = poisson(30, 12) * np.arange(1, 13)
    orders = {axis: two_stage_order(counts, zscore_axis=axis).order.tolist() for axis in ("gene", "spot")}
    assert orders["gene"] != orders["spot"]


def test_planted_programmes_become_neighbours():
    """Four programmes of five genes each, over 40 spots: each programme is one run of the order."""
    programme = np.random.default_rng(3).poisson(5, size=(40, 4)) * 10
    counts = programme[:, np.arange(20) % 4] + np.random.default_rng(4).poisson(1, size=(40, 20))
    order = two_stage_order(counts).order
    assert sum(np.diff(order % 4) != 0) == 3


# Scales


def test_blocks_are_equal_runs_of_the_order():
    blocks = scale_blocks([3, 1, 0, 2], (1, 2, 4))
    assert [block.tolist() for block in blocks] == [[[3, 1, 0, 2]], [[3, 1], [0, 2]], [[3], [1], [0], [2]]]


def test_the_papers_scales_of_200_genes_have_50_25_5_2_and_1_genes():
    assert [block.shape[1] for block in scale_blocks(np.arange(200), "paper")] == [200, 50, 25, 5, 2, 1]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fits_200_genes(name):
    assert scale_dims(name, genes=200)[-1] == 200


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        ((), "at least one scale"),
        ((0, 12), "positive"),
        ((4, 4, 12), "strictly increasing"),
        ((6, 3, 12), "strictly increasing"),
        ((5, 12), "divisors of 12"),
        ((1, 6), "12, the size of the panel, as the last"),
        ("papr", "did you mean 'paper'"),
    ],
)
def test_scales_that_do_not_fit_are_refused(scales, expected):
    with pytest.raises(DataContractError, match=expected):
        scale_dims(scales, genes=12)


# Capped sizes


def test_rows_go_where_they_cost_least_within_the_sizes():
    """Three rows prefer cluster 0, which holds two: the one that loses least by moving moves."""
    distance = np.array([[0.0, 9.0], [0.0, 5.0], [0.0, 7.0]])
    assert assign_within_sizes(distance, min_size=1, max_size=2).tolist() == [0, 1, 0]


def test_no_cluster_stays_below_its_smallest_size():
    distance = np.array([[0.0, 9.0, 9.0], [0.0, 5.0, 9.0], [0.0, 7.0, 8.0], [0.0, 9.0, 9.0]])
    labels = assign_within_sizes(distance, min_size=1, max_size=4)
    assert sorted(np.bincount(labels, minlength=3)) == [1, 1, 2]
    assert distance[np.arange(4), labels].sum() == 13.0  # 5 + 8; the next best is 9 + 7


@settings(max_examples=15, deadline=None)
@given(genes=st.integers(6, 30), k=st.integers(1, 6), seed=st.integers(0, 99), data=st.data())
def test_capped_groups_are_a_partition_within_the_sizes(genes, k, seed, data):
    max_size = data.draw(st.integers(-(-genes // k), genes))
    min_size = data.draw(st.integers(0, max(1, min(genes // k, max_size))))
    profiles = z_scores(poisson(8, genes, seed), axis="gene")
    groups = capped_groups(profiles, k=k, min_size=min_size, max_size=max_size, seed=seed, n_init=1)
    assert len(groups) == k if min_size else 1 <= len(groups) <= k
    assert all(min_size <= len(part) <= max_size for part in groups)
    assert sorted(np.concatenate(groups)) == list(range(genes))


def test_32_groups_of_200_genes_hold_1_to_12():
    groups = capped_groups(z_scores(poisson(50, 200), axis="gene"), n_init=1)
    assert len(groups) == 32
    assert {len(part) for part in groups} <= set(range(1, 13))


def test_more_starts_never_cost_more():
    profiles = z_scores(poisson(20, 40), axis="gene")

    def cost(n_init):
        groups = capped_groups(profiles, k=6, max_size=9, n_init=n_init)
        return sum(np.square(profiles[part] - profiles[part].mean(axis=0)).sum() for part in groups)

    assert cost(5) <= cost(1)


# Pathways


def test_memberships_join_old_and_current_symbols_and_drop_sets_of_one_gene():
    sets = {"atp": ("ATP5F1B", "ACTB", "XYZ"), "alone": ("ACTB",)}
    assert memberships(["ATP5B", "ACTB"], sets, names=builtin("human")).tolist() == [[True], [True]]
    assert memberships(["ATP5B", "ACTB"], sets, names=None).shape == (2, 0)


def test_genes_that_share_a_pathway_become_neighbours():
    """Three planted sets whose genes lie 4 apart in the panel, in noise; by co-expression alone they are scattered."""
    counts = poisson(60, 12)
    sets = {f"S{n}": [f"G{gene:02d}" for gene in range(12) if gene % 4 == n] for n in range(3)}

    def runs(weight):
        found = grouped(counts, order="pathway", weight=weight, gene_sets=sets if weight else None)
        part = np.array(found.clustered_order) % 4
        places = [np.flatnonzero(part == n) for n in range(3)]
        return [int(place[-1] - place[0] + 1) for place in places]

    assert runs(1.0) == [3, 3, 3]
    assert runs(0.8) == [3, 3, 3]
    assert runs(0.0) != [3, 3, 3]


def test_co_expressed_genes_become_neighbours_without_pathways():
    base = np.random.default_rng(1).poisson(20, size=(50, 3))
    counts = base[:, [0, 1, 2, 0, 1, 2]] + np.random.default_rng(2).poisson(1, size=(50, 6))
    found = grouped(counts, order="pathway", weight=0.0, clusters=3)
    assert sorted(sorted(part) for part in found.groups) == [["G00", "G03"], ["G01", "G04"], ["G02", "G05"]]


def test_pathways_without_two_genes_of_the_panel_are_refused():
    with pytest.raises(DataContractError, match="two genes of the panel"):
        grouped(poisson(5, 6), order="pathway", gene_sets={"S": ["ACTB", "GAPDH"]})


def test_a_weight_above_one_is_refused():
    with pytest.raises(DataContractError, match="weight: expected a number from 0 to 1"):
        pathway_groups(np.eye(3), np.ones((3, 1), dtype=bool), weight=1.5, k=2)


# Printed groups


def test_printed_groups_come_in_their_order_and_genes_without_one_last():
    genes = printed.panel("genar/her2st")[:200]
    found = grouped(poisson(3, 200), genes=genes, order="printed")
    assert list(found.groups[:32]) == list(printed.groups("genar/her2st"))
    assert found.groups[32:] == (("ALDOA",),)


def test_printed_groups_find_genes_under_their_current_symbols():
    genes = ["ACTB", "TLE5", "ATP5F1E", "NOSUCH"]
    found = grouped(poisson(3, 4), genes=genes, order="printed", names=builtin("human"))
    assert found.groups == (("ACTB", "TLE5"), ("ATP5F1E",), ("NOSUCH",))


def test_printed_groups_of_another_panel_are_refused():
    with pytest.raises(DataContractError, match="group the panel that the list belongs to"):
        grouped(poisson(3, 4), order="printed")


def test_a_list_without_printed_groups_is_refused():
    with pytest.raises(DataContractError, match="a list with printed groups: genar/her2st"):
        grouped(poisson(3, 4), order="printed", printed="dkan/her2st")


# Every order


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 999), genes=st.integers(8, 24))
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_is_a_permutation_and_the_groups_cut_it(order, seed, genes):
    names = list(printed.panel("genar/her2st")[:genes])
    sets = {"first": names[:4], "second": names[2:7]}
    found = grouped(poisson(12, genes, seed), genes=names, order=order, gene_sets=sets if order == "pathway" else None)
    assert sorted(found.clustered_order) == list(range(genes))
    assert [names[position] for position in found.clustered_order] == list(found.order)
    assert [gene for part in found.groups for gene in part] == list(found.order)


def test_orders_give_different_orders():
    counts, genes = poisson(30, 24), printed.panel("genar/her2st")[:24]
    sets = {"odd": genes[1::2], "few": genes[::5]}
    orders = {
        order: grouped(counts, genes=genes, order=order, gene_sets=sets if order == "pathway" else None).order
        for order in ORDERS
    }
    assert len(set(orders.values())) == len(ORDERS)


def test_only_the_slides_given_are_read():
    """Leak: whatever the test slide holds, the groups of the training slides stay the same; giving it changes them."""
    genes = [f"G{n}" for n in range(12)]
    train = slide("A1", poisson(20, 12, 1), genes)
    panel, chosen = panel_of(genes, ["A1", "B1"]), rule(scales=(12,))
    without = group(panel, expression=[train], rule=chosen)
    both = group(panel, expression=[train, slide("B1", poisson(20, 12, 2), genes)], rule=chosen)
    assert without.training_slides == ("A1",)
    assert without.order != both.order


def test_a_slide_that_did_not_choose_the_panel_is_refused():
    genes = [f"G{n}" for n in range(6)]
    with pytest.raises(DataContractError, match="slides that chose the panel: A1; found B1"):
        group(
            panel_of(genes, ["A1"]),
            expression=[slide("B1", poisson(5, 6), genes)],
            rule=rule(scales=(6,)),
        )


def test_counts_are_stacked_in_the_order_of_slides_with_gaps_where_a_gene_is_not_measured():
    slides = [slide("A1", [[1, 2]], "ab"), slide("B1", [[3, 4], [5, 6]], "cb")]
    np.testing.assert_array_equal(panel_counts(slides, ["b", "c"]), [[2, np.nan], [4, 3], [6, 5]])


def test_a_panel_gene_on_no_slide_is_named():
    with pytest.raises(DataContractError, match="x on none of 1 slides"):
        panel_counts([slide("A1", [[1, 2]], "ab")], ["a", "x"])


def test_fewer_genes_than_clusters_are_refused():
    with pytest.raises(DataContractError, match=r"at least 4 genes \(major\)"):
        grouped(poisson(5, 3))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"order": "two_stages"}, "did you mean 'two_stage'"),
        ({"maxsize": 3}, "did you mean 'max_size'"),
        ({"clusters": 0}, "clusters: expected a whole number from 1; found 0"),
        ({"zscore_axis": "genes"}, "did you mean 'gene'"),
        ({"printed": "genar/her2st"}, "none for any other"),
        ({"order": "printed"}, "the name of a list"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(changed, message):
    with pytest.raises(DataContractError, match=message):
        rule_of({**BASE, **changed})


def test_every_option_is_stated():
    with pytest.raises(DataContractError, match="found no seed"):
        rule_of({key: value for key, value in BASE.items() if key != "seed"})


def test_the_rule_has_the_options_of_the_config():
    files = {"gene_sets"}  # a reference, which the plan turns into a path
    assert {field.name for field in dataclasses.fields(GroupRule)} == set(ConfigRule.model_fields) - files


# The file


@pytest.fixture
def stored(tmp_path):
    counts, genes = poisson(10, 6), [f"G{n}" for n in range(6)]
    panel = panel_of(genes, ["A1"])
    groups = group(panel, expression=[slide("A1", counts, genes)], rule=rule(scales=(1, 3, 6)))
    path = tmp_path / "p.groups.json"
    write_groups(path, groups)
    return path, panel, groups


def test_what_is_written_is_read_again(stored):
    path, panel, groups = stored
    assert read_groups(path, panel=panel) == groups
    assert json.loads(path.read_text())["rule"]["scales"] == [1, 3, 6]


def test_groups_of_another_panel_are_refused(stored):
    path, panel, _ = stored
    other = dataclasses.replace(panel, gene_ids=panel.gene_ids[::-1])
    with pytest.raises(DataContractError, match="panel_sha256: expected panel p"):
        read_groups(path, panel=other)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("clustered_order", [0, 1, 2, 3, 4, 4], "each of 6 positions once"),
        ("clustered_order", [0, 1, 2, 3, 4, 5], "the genes at clustered_order"),
        ("groups", [["G0"]], "every gene once, in order"),
        ("schema_version", 2, "schema_version: expected 1; found 2"),
        ("output_gene_list_sha256", "0", "another digest"),
    ],
)
def test_a_damaged_file_is_refused(stored, key, value, message):
    path, panel, groups = stored
    assert list(groups.clustered_order) != sorted(groups.clustered_order)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DataContractError, match=message):
        read_groups(path, panel=panel)


def test_a_file_without_a_key_or_without_json_is_refused(stored):
    path, panel, _ = stored
    kept = json.loads(path.read_text())
    del kept["order"]
    path.write_text(json.dumps(kept))
    with pytest.raises(DataContractError, match="missing or unknown: order"):
        read_groups(path, panel=panel)
    path.write_text("{")
    with pytest.raises(DataContractError, match="expected JSON"):
        read_groups(path, panel=panel)


def test_the_digest_of_a_list_is_that_of_its_text():
    assert list_sha256(["A", "B"]) == hashlib.sha256(b"A\nB\n").hexdigest()


def test_a_shuffle_moves_genes_and_keeps_sizes():
    found = shuffled([[0, 1, 2], [3], [4, 5]], seed=1)
    assert [len(part) for part in found] == [3, 1, 2]
    assert sorted(gene for part in found for gene in part) == list(range(6))
