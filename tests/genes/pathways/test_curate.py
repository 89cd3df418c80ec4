"""From gene sets to pathways: cut, sized, filtered, mapped; and the published curation, gene by gene."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import builtin
from stainscript.genes.pathways.curate import CurationRule, collection_of, curate, map_to_panel, rule_of
from stainscript.genes.pathways.gene_sets import read_gmt
from stainscript.genes.pathways.universe import Universe, universe_of
from stainscript.types import Panel

NONE = Universe(kind="none", description="", symbols=None)
SMALL = {"min_size": 2, "max_size": 3, "universe": "file"}


def within(*symbols):
    return Universe(kind="file", description="", symbols=symbols)


def panel_of(pairs):
    gene_ids, symbols = zip(*pairs, strict=True)
    ones = (1.0,) * len(pairs)
    return Panel(name="p", gene_ids=gene_ids, symbols=symbols, mean=ones, variance=ones, training_slides=("s",))


def named(curation):
    return {pathway.name: pathway.genes for pathway in curation.pathways}


@pytest.fixture(scope="module")
def golden(shared_golden):
    def load(name):
        return json.loads((shared_golden / "histoprism/curation" / name).read_text())

    return load


def test_sizes_are_counted_after_the_cut_and_the_order_of_genes_stays():
    sets = {"GOBP_FOUR": ["d", "x", "a", "c"], "GOBP_ONE": ["b", "x"], "GOBP_MANY": ["a", "b", "c", "d"]}
    curation = curate(sets, rule=CurationRule(**SMALL), universe=within("a", "b", "c", "d"))
    assert named(curation) == {"GOBP_FOUR": ("d", "a", "c")}
    counted = {key: curation.counts[key] for key in ("sets_too_small", "sets_too_large", "sets_kept")}
    assert counted == {"sets_too_small": 1, "sets_too_large": 1, "sets_kept": 1}
    assert (curation.counts["genes_read"], curation.counts["genes_in_universe"]) == (5, 4)


def test_hallmark_sets_stay_whatever_their_size_and_overlap():
    sets = {"HALLMARK_B": ["a", "a", "x"], "HALLMARK_A": ["a"], "HALLMARK_NONE": ["x"], "GOBP_A": ["a", "b"]}
    curation = curate(sets, rule=CurationRule(**SMALL), universe=within("a", "b"))
    assert named(curation) == {"HALLMARK_A": ("a",), "HALLMARK_B": ("a",), "HALLMARK_NONE": (), "GOBP_A": ("a", "b")}
    assert curation.counts["sets_without_gene_in_universe"] == 1
    assert curation.counts["sets_kept_by_collection"] == {"go_bp": 1, "hallmark": 3}


def test_a_collection_is_known_by_the_start_of_the_name():
    names = ["HALLMARK_X", "GOBP_X", "GOCC_X", "GOMF_X", "protein folding (GO:0006457)"]
    assert [collection_of(name) for name in names] == ["hallmark", "go_bp", "go_cc", "go_mf", "other"]


@pytest.mark.parametrize(
    ("redundancy", "kept"),
    [("keep_largest", ["F", "A", "D", "E"]), ("drop_larger", ["A", "C", "D", "E"]), ("none", list("FABDEC"))],
)
def test_the_switch_of_redundancy_changes_what_is_kept(golden, redundancy, kept):
    rule = CurationRule(universe="none", min_size=1, redundancy=redundancy)
    assert list(named(curate(golden("toy.json")["sets"], rule=rule, universe=NONE))) == kept


def test_447_published_sets_become_the_87(golden):
    """Sets that are cut and sized already pass the first two steps unchanged."""
    go = golden("go_size_filtered_447.json")
    universe = within(*golden("observed_universe_2437.json"), *(gene for genes in go.values() for gene in genes))
    curation = curate(go, rule=CurationRule(universe="released"), universe=universe)
    assert (curation.counts["sets_of_right_size"], curation.counts["sets_redundant"], len(curation.pathways)) == (
        447,
        360,
        87,
    )
    assert curation.counts["sets_kept_by_collection"] == {"go_bp": 57, "go_cc": 16, "go_mf": 14}
    assert all(pathway.genes == tuple(go[pathway.name]) for pathway in curation.pathways)
    sizes_and_names = [(-len(pathway.genes), pathway.name) for pathway in curation.pathways]
    assert sizes_and_names == sorted(sizes_and_names)


def test_hallmark_within_the_released_universe_is_the_published_one(golden, shared_data, shared_golden):
    hallmark = read_gmt(shared_data / "genesets" / "h.all.v2025.1.Hs.symbols.gmt")
    universe = universe_of("released", shared_golden / "histoprism/curation/observed_universe_2437.json")
    found = named(curate(hallmark, rule=CurationRule(universe="released"), universe=universe))
    inside = set(golden("observed_universe_2437.json"))
    assert list(found) == sorted(hallmark)
    assert found == {name: tuple(gene for gene in genes if gene in inside) for name, genes in hallmark.items()}
    sizes = {name.removeprefix("HALLMARK_"): len(genes) for name, genes in found.items()}
    assert (sizes["ADIPOGENESIS"], sizes["EPITHELIAL_MESENCHYMAL_TRANSITION"], sizes["PANCREAS_BETA_CELLS"]) == (
        60,
        83,
        8,
    )
    assert (min(sizes.values()), max(sizes.values())) == (8, 83)
    assert len({gene for genes in found.values() for gene in genes}) == 1169


def test_the_order_of_lines_changes_nothing(golden):
    go = golden("go_size_filtered_447.json")
    names = list(go)
    random.Random(3).shuffle(names)
    for redundancy in ("keep_largest", "drop_larger", "none"):
        rule = CurationRule(universe="none", redundancy=redundancy)
        assert curate({n: go[n] for n in names}, rule=rule, universe=NONE) == curate(go, rule=rule, universe=NONE)


names_of_sets = st.sampled_from(["HALLMARK_B", "GOBP_A", "GOBP_B", "GOCC_A", "GOMF_A", "own"])


@given(
    st.dictionaries(names_of_sets, st.lists(st.sampled_from("abcdefgh"), min_size=1), min_size=1),
    st.sets(st.sampled_from("abcdefgh"), min_size=1),
)
def test_pathways_lie_in_the_universe_and_filtered_ones_in_the_sizes(sets, universe):
    rule = CurationRule(universe="file", min_size=1, max_size=4, tau=0.25)
    sets = {"HALLMARK_A": ["a"], **sets}  # left whole, so that there always is a pathway
    curation = curate(sets, rule=rule, universe=within(*universe))
    for pathway in curation.pathways:
        assert pathway.genes == tuple(gene for gene in dict.fromkeys(sets[pathway.name]) if gene in universe)
        assert pathway.collection == "hallmark" or 1 <= len(pathway.genes) <= 4
    dropped = ("sets_too_small", "sets_too_large", "sets_redundant", "sets_kept")
    assert sum(curation.counts[key] for key in dropped) == len(sets)


def test_an_old_symbol_of_the_universe_finds_its_gene_where_asked():
    """ATP5B is what ATP5F1B was called."""
    sets = {"GOBP_ATP": ["ATP5F1B", "ACTB"]}
    human = builtin("human")
    for compare, genes in (("written", ("ACTB",)), ("current", ("ATP5F1B", "ACTB"))):
        rule = CurationRule(universe="file", compare=compare, min_size=1)
        assert named(curate(sets, rule=rule, universe=within("ATP5B", "ACTB"), names=human)) == {"GOBP_ATP": genes}


def test_no_set_of_the_right_size_is_one_clear_error():
    with pytest.raises(DataContractError) as caught:
        curate({"GOBP_A": ["a", "b"]}, rule=CurationRule(universe="file"), universe=within("a"))
    assert str(caught.value) == (
        "pathways: sets: expected a set of 50 to 100 genes of the universe; found none of 1, the largest has 1. "
        "Remedy: widen the sizes or the universe"
    )


def test_symbols_are_mapped_by_symbol_then_by_id_and_the_rest_is_counted():
    """ATP5F1B by its old symbol, ACTB by its id, TP53 nowhere; two symbols of one gene meet."""
    sets = {"HALLMARK_A": ["ATP5F1B", "TP53", "ACTB", "ATP5B"], "HALLMARK_B": ["TP53"]}
    panel = panel_of([("ENSG1", "ATP5B"), ("ENSG00000075624", "no symbol")])
    curation = curate(sets, rule=CurationRule(universe="none"), universe=NONE)
    mapped = map_to_panel(curation, panel=panel, names=builtin("human"), min_mapped=1)
    assert [pathway.gene_ids for pathway in mapped.pathways] == [("ENSG1", "ENSG00000075624"), ()]
    assert [pathway.usable for pathway in mapped.pathways] == [True, False]
    counted = {key: mapped.counts[key] for key in ("genes_mapped", "genes_off_panel", "gene_ids", "pathways_unusable")}
    assert counted == {"genes_mapped": 3, "genes_off_panel": 1, "gene_ids": 2, "pathways_unusable": 1}
    assert mapped.pathways[0].genes == ("ATP5F1B", "TP53", "ACTB", "ATP5B")


def test_given_ids_take_the_place_of_names():
    curation = curate({"HALLMARK_A": ["A", "B", "C"]}, rule=CurationRule(universe="none"), universe=NONE)
    ids = {"A": "id1", "B": "id2"}
    assert map_to_panel(curation, panel=None, symbol_ids=ids).pathways[0].gene_ids == ("id1", "id2")
    assert map_to_panel(curation, panel=panel_of([("id2", "x")]), symbol_ids=ids).pathways[0].gene_ids == ("id2",)


def test_the_released_mapping_covers_the_published_pathways(golden):
    """Every symbol of the 87 sets has an id there, H3F3A that of a mouse gene."""
    ids = golden("partial_symbol_to_panel_id.json")
    curation = curate(golden("go_size_filtered_447.json"), rule=CurationRule(universe="none"), universe=NONE)
    mapped = map_to_panel(curation, panel=None, symbol_ids=ids)
    assert mapped.counts["genes_off_panel"] == 0
    assert all(len(pathway.gene_ids) == len(pathway.genes) for pathway in mapped.pathways)
    assert mapped.pathways[0].gene_ids == tuple(ids[gene] for gene in mapped.pathways[0].genes)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"universe": "none", "taw": 0.1}, "rule"),
        ({}, "universe"),
        ({"universe": "all"}, "universe"),
        ({"universe": "none", "redundancy": "drop_smaller"}, "redundancy"),
        ({"universe": "none", "ties": "third"}, "ties"),
        ({"universe": "none", "compare": "fuzzy"}, "compare"),
        ({"universe": "none", "measured_in": "most"}, "measured_in"),
        ({"universe": "none", "whole": ["halmark"]}, "whole"),
        ({"universe": "none", "min_size": 101}, "min_size"),
        ({"universe": "none", "min_size": 0}, "min_size"),
        ({"universe": "none", "tau": 1.5}, "tau"),
        ({"universe": "none", "min_mapped": -1}, "min_mapped"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(options, field):
    with pytest.raises(DataContractError) as caught:
        rule_of(options)
    assert caught.value.field == field


def test_a_rule_takes_the_releases_values_where_nothing_is_said():
    rule = rule_of({"universe": "measured", "whole": ["hallmark", "other"]})
    assert (rule.min_size, rule.max_size, rule.tau, rule.redundancy) == (50, 100, 0.1, "keep_largest")
    assert rule.whole == ("hallmark", "other")
