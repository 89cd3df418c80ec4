"""Which overlapping sets stay: against a plain double loop, the published cases, and what must hold for any sets."""

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.genes.pathways.redundancy import drop_larger, keep_largest, membership


def jaccard(a, b):
    a, b = set(a), set(b)
    return len(a & b) / len(a | b) if a | b else 0.0


def plainly_largest(sets, tau):
    """The release's rule in five lines."""
    kept = []
    for name in sorted(sets, key=lambda n: (-len(set(sets[n])), n)):
        if all(jaccard(sets[name], sets[other]) <= tau for other in kept):
            kept.append(name)
    return kept


def plainly_drop(sets, tau, ties):
    """The paper's rule in ten."""
    alive = dict.fromkeys(sorted(sets), True)
    names = list(alive)
    for n, one in enumerate(names):
        for other in names[n + 1 :]:
            if alive[one] and alive[other] and jaccard(sets[one], sets[other]) > tau:
                first, second = len(set(sets[one])), len(set(sets[other]))
                alive[one if first > second or (first == second and ties == "first") else other] = False
    return [name for name in names if alive[name]]


@pytest.fixture(scope="module")
def go(shared_golden):
    return json.loads((shared_golden / "histoprism/curation/go_size_filtered_447.json").read_text())


@pytest.fixture(scope="module")
def toy(shared_golden):
    return json.loads((shared_golden / "histoprism/curation/toy.json").read_text())


def test_three_sets_by_hand():
    """A and B share 1 of 19 genes (J = 0.053), B and C 2 of 10 (J = 0.2)."""
    sets = {"A": [f"a{n}" for n in range(9)] + ["x"], "B": ["x", *"bcdefghij"], "C": ["b", "c"]}
    assert jaccard(sets["B"], sets["C"]) == 0.2
    kept, redundant = keep_largest(sets, tau=0.1)
    assert kept == ["A", "B"]
    assert [(one.name, one.because, one.jaccard) for one in redundant] == [("C", "B", 0.2)]
    kept, redundant = drop_larger(sets, tau=0.1)
    assert kept == ["A", "C"]
    assert [(one.name, one.because, one.jaccard) for one in redundant] == [("B", "C", 0.2)]
    assert keep_largest(sets, tau=0.2)[0] == ["A", "B", "C"]


def test_an_index_of_exactly_tau_is_allowed():
    """11 genes each, 2 shared: J = 2 / 20 = 0.1."""
    sets = {"A": [*range(9), "x", "y"], "B": [*range(20, 29), "x", "y"]}
    assert keep_largest(sets, tau=0.1)[0] == ["A", "B"]
    assert drop_larger(sets, tau=0.1)[0] == ["A", "B"]
    assert keep_largest(sets, tau=0.0999)[0] == ["A"]


def test_of_equal_sizes_ties_says_which_goes():
    sets = {"A": ["x", "y"], "B": ["x", "y"]}
    assert keep_largest(sets, tau=0.5)[0] == ["A"]
    assert drop_larger(sets, tau=0.5, ties="second")[0] == ["A"]
    assert drop_larger(sets, tau=0.5, ties="first")[0] == ["B"]


def test_the_toy_sets_give_both_published_answers(toy):
    assert keep_largest(toy["sets"], tau=0.1)[0] == toy["kept_greedy_largest_first"] == ["F", "A", "D", "E"]
    assert drop_larger(toy["sets"], tau=0.1)[0] == toy["kept_drop_larger_tie_second"] == ["A", "C", "D", "E"]
    for pair, value in toy["pairs"].items():
        one, other = pair.split("|")
        assert jaccard(toy["sets"][one], toy["sets"][other]) == value


@pytest.mark.parametrize(("tau", "number"), [(0.05, 23), (0.1, 87), (0.15, 153), (0.2, 193), (0.3, 253), (0.5, 311)])
def test_the_447_published_sets_leave_the_published_numbers(go, tau, number):
    kept, redundant = keep_largest(go, tau=tau)
    assert len(kept) == number
    assert len(kept) + len(redundant) == len(go) == 447
    assert kept == plainly_largest(go, tau)


def test_the_87_sets_are_of_the_published_kinds_and_sizes(go):
    kept, _ = keep_largest(go, tau=0.1)
    assert [sum(name.startswith(start) for name in kept) for start in ("GOBP_", "GOCC_", "GOMF_")] == [57, 16, 14]
    sizes = [len(go[name]) for name in kept]
    assert (sizes == sorted(sizes, reverse=True), min(sizes), max(sizes)) == (True, 51, 100)


def test_the_papers_words_leave_another_number(go):
    assert [len(drop_larger(go, tau=0.1, ties=ties)[0]) for ties in ("second", "first")] == [92, 88]
    for ties in ("second", "first"):
        assert drop_larger(go, tau=0.1, ties=ties)[0] == plainly_drop(go, 0.1, ties)


some_sets = st.dictionaries(
    st.text("ABCDEFGH", min_size=1, max_size=2), st.lists(st.integers(0, 14), max_size=12), max_size=14
)
taus = st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0])


@given(some_sets, taus, st.sampled_from(["first", "second"]))
def test_both_rules_agree_with_plain_loops_and_keep_what_they_promise(sets, tau, ties):
    largest, left_out = keep_largest(sets, tau=tau)
    dropping, dropped = drop_larger(sets, tau=tau, ties=ties)
    assert largest == plainly_largest(sets, tau)
    assert dropping == plainly_drop(sets, tau, ties)
    for kept, gone in ((largest, left_out), (dropping, dropped)):
        assert sorted([*kept, *(one.name for one in gone)]) == sorted(sets)
        assert all(jaccard(sets[a], sets[b]) <= tau for a in kept for b in kept if a != b)
        assert all(one.jaccard == jaccard(sets[one.name], sets[one.because]) > tau for one in gone)
    assert all(one.because in largest for one in left_out)
    assert all(len(set(sets[one.because])) >= len(set(sets[one.name])) for one in left_out)
    assert all(len(set(sets[one.because])) <= len(set(sets[one.name])) for one in dropped)


@given(some_sets, taus, st.randoms(use_true_random=False))
def test_the_order_of_the_sets_does_not_matter(sets, tau, shuffler):
    names = list(sets)
    shuffler.shuffle(names)
    shuffled = {name: sets[name] for name in names}
    assert keep_largest(shuffled, tau=tau) == keep_largest(sets, tau=tau)
    assert drop_larger(shuffled, tau=tau) == drop_larger(sets, tau=tau)


def test_ten_thousand_sets_take_seconds():
    draw = random.Random(0)
    sets = {f"S{n:05d}": draw.sample(range(20_000), draw.randint(5, 200)) for n in range(10_000)}
    start = time.perf_counter()
    kept, _ = keep_largest(sets, tau=0.1)
    assert time.perf_counter() - start < 30  # 2 s on an idle core
    assert len(kept) > 9_000


def test_membership_has_a_row_a_set_and_a_column_a_gene():
    assert membership([["b", "a", "b"], []], ["a", "b", "c"]).toarray().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert membership([["b", "z"]], ["a", "b"]).toarray().tolist() == [[0, 1]]
    assert membership([["b", "a"], ["c", "b"]]).toarray().tolist() == [[1, 1, 0], [1, 0, 1]]
