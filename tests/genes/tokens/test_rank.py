"""STAMP's tokens: the hand example of Algorithm 1, the released code's output, and one result by every way there is."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from stainscript import seeds
from stainscript.genes.tokens import rank_table
from stainscript.genes.tokens.onto_vocabulary import to_vocabulary
from stainscript.genes.tokens.rank import RankTokeniser, gene_weights, lengths_of, rank_scores, rank_tokens_by_spot
from stainscript.genes.tokens.vocabulary import stamp_vocabulary

PAPER = {"rounding": "none", "id_offset": 1, "keep_zeros": False}
RELEASE = {"rounding": "half_up", "id_offset": 30, "keep_zeros": True}
MEANS = np.array([1.4, 2.0, 7.2, 0.6])


def tokens(counts, means, *, length, rounding, workers=1, **options):
    counts = sparse.csr_matrix(counts)
    made = RankTokeniser(gene_weights(means, rounding=rounding), length=length, workers=workers, **options)
    return made.tokens(counts)


def random_counts(*, spots, genes, density, scale, rng):
    shape = (spots, genes)
    counts = rng.poisson(rng.gamma(0.5, scale, size=genes), size=shape) + 1
    return sparse.csr_matrix(np.where(rng.random(shape) < density, counts, 0))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_the_papers_tokens_of_the_hand_example():
    """3 / 1.4 = 2.14, 8 / 7.2 = 1.11, 1 / 0.6 = 1.67: genes 1, 4, 3."""
    assert tokens([[3, 0, 8, 1]], MEANS, length=5, **PAPER).tolist() == [[1, 4, 3, 0, 0]]


def test_the_releases_tokens_of_the_hand_example():
    """Means 1, 2, 7, 1: 3, 1.14, 1: genes 0, 2, 3, and 30 added."""
    assert tokens([[3, 0, 8, 1]], MEANS, length=5, **RELEASE).tolist() == [[30, 32, 33, 0, 0]]


def test_each_switch_acts_by_itself():
    counts = sparse.csr_matrix((np.array([3, 0, 8, 1]), np.arange(4), np.array([0, 4])), shape=(1, 4))
    assert tokens(counts, MEANS, length=4, **{**PAPER, "rounding": "half_up"}).tolist() == [[1, 3, 4, 0]]
    assert tokens(counts, MEANS, length=4, **{**PAPER, "id_offset": 30}).tolist() == [[30, 33, 32, 0]]
    assert tokens(counts, MEANS, length=4, **{**PAPER, "keep_zeros": True}).tolist() == [[1, 4, 3, 2]]


def test_only_the_first_n_genes_are_kept():
    assert tokens([[3, 0, 8, 1], [1, 1, 1, 1]], MEANS, length=2, **PAPER).tolist() == [[1, 4], [4, 1]]


def test_an_empty_spot_is_all_padding_also_between_others():
    found = tokens([[0, 0, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0]], MEANS, length=3, **PAPER)
    assert found.tolist() == [[0, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert lengths_of(found).tolist() == [0, 1, 0]
    assert tokens(np.zeros((2, 4)), MEANS, length=2, **PAPER).tolist() == [[0, 0], [0, 0]]


def test_a_slide_without_spots_gives_no_tokens():
    assert tokens(np.zeros((0, 4), dtype=np.int32), MEANS, length=2, **PAPER).shape == (0, 2)


def test_equal_scores_go_by_gene_whatever_their_counts():
    """2/2 = 1/1 = 3/3: in the order of the genes; 4/2 before them."""
    assert tokens([[2, 1, 3, 4]], [2.0, 1.0, 3.0, 2.0], length=4, **PAPER).tolist() == [[4, 1, 2, 3]]


def test_equal_scores_stay_equal_at_every_depth():
    """1/3 and 2/6 tie as fractions; 1·10⁴/c/3 and 2·10⁴/c/6 need not as floats. Depth must not part them."""
    for depth in range(1, 60):
        found = tokens([[depth * 2, depth, depth]], [6.0, 3.0, 1.0], length=3, **PAPER)
        assert found.tolist() == [[3, 1, 2]], depth


def test_weights_of_the_two_presets():
    means = np.array([np.nan, 0.4, 1.5, 2.5, 2.49, 590.48])
    np.testing.assert_array_equal(gene_weights(means, rounding="none"), [1, 0.4, 1.5, 2.5, 2.49, 590.48])
    np.testing.assert_array_equal(gene_weights(means, rounding="half_up"), [1, 1, 2, 3, 2, 590])


def test_scores_are_scaled_over_the_genes_given():
    """3 + 8 + 1 = 12 counts: 3 · 10⁴ / 12 / 1.4."""
    scores = rank_scores(sparse.csr_matrix([[3, 0, 8, 1], [0, 0, 0, 0]]), MEANS).toarray()
    np.testing.assert_allclose(scores[0], [1785.7142857, 0, 925.9259259, 1388.8888889])
    assert not scores[1].any()


def test_nan_is_no_count_and_a_negative_count_is_refused():
    assert tokens(np.array([[np.nan, 2.0, 0.0, 0.5]]), MEANS, length=3, **PAPER).tolist() == [[2, 4, 0]]
    with pytest.raises(ValueError, match="negative"):
        tokens([[1, -1, 0, 0]], MEANS, length=2, **PAPER)


def test_counts_of_another_number_of_genes_are_refused():
    with pytest.raises(ValueError, match="counts of 3 genes, weights of 4"):
        tokens([[1, 1, 1]], MEANS, length=2, **PAPER)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.inf, np.nan])
def test_a_weight_that_cannot_divide_is_refused(weight):
    with pytest.raises(ValueError, match="positive number"):
        RankTokeniser(np.array([1.0, weight]), length=2, id_offset=1)
    with pytest.raises(ValueError, match="0 means no gene"):
        RankTokeniser(np.ones(2), length=2, id_offset=0)


# --- the released code ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def golden(shared_golden):
    with np.load(shared_golden / "stamp/01_tokenise.npz") as stored:
        return dict(stored)


def test_released_means_are_rounded_alike(golden):
    found = gene_weights(golden["raw_mean"], rounding="half_up")
    np.testing.assert_array_equal(found, golden["mean_used_upstream"])


def test_released_scores_are_reproduced(golden):
    counts = sparse.csr_matrix(golden["counts"])
    scores = rank_scores(counts, gene_weights(golden["raw_mean"], rounding="half_up")).toarray()
    np.testing.assert_allclose(scores, golden["scores_upstream"], rtol=1e-6)
    np.testing.assert_allclose(
        rank_scores(counts, np.ones(counts.shape[1])).toarray(), golden["sf_normalized"], rtol=1e-6
    )


def test_without_ties_the_released_order_is_exact(golden):
    counts = golden["counts_tiefree"]
    found = tokens(counts, golden["raw_mean"], length=16, **RELEASE)
    np.testing.assert_array_equal(found, golden["tokens_tiefree_upstream_N16"])


def test_without_ties_the_papers_order_is_exact(golden):
    found = tokens(golden["counts_tiefree"], golden["raw_mean"], length=16, **PAPER)
    np.testing.assert_array_equal(found, golden["ref_tokens_tiefree_paper_N16"])


@pytest.mark.parametrize("length", [16, 64])
def test_with_ties_the_sequence_of_scores_is_the_released_one(golden, length):
    """To the last digit but one: the release multiplies by reciprocals, which parts some of its ties by 1e-16."""
    found = tokens(golden["counts"], golden["raw_mean"], length=length, **RELEASE)
    expected = golden[f"tokens_upstream_N{length}"]
    np.testing.assert_array_equal(lengths_of(found), lengths_of(expected))
    for spot, scores in enumerate(golden["scores_upstream"]):
        ours, theirs = (scores[row[row > 0] - 30] for row in (found[spot], expected[spot]))
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)
        if len(theirs) == length:  # cut: what lies above the last score is the same set
            above = [set(row[scores[row - 30] > theirs[-1] * (1 + 1e-15)]) for row in (found[spot], expected[spot])]
            assert above[0] == above[1]
        else:
            assert set(found[spot].tolist()) == set(expected[spot].tolist())


def test_an_explicit_zero_is_a_token_of_the_release_alone(shared_golden):
    with np.load(shared_golden / "stamp/01b_tokenise_explicit_zero.npz") as stored:
        parts, expected = (stored["data"], stored["indices"], stored["indptr"]), stored["tokens_upstream_N4"]
    counts = sparse.csr_matrix(parts, shape=(1, 3))
    np.testing.assert_array_equal(tokens(counts, np.ones(3), length=4, **RELEASE), expected)
    kept = tokens(counts, np.ones(3), length=4, **{**RELEASE, "keep_zeros": False})
    assert kept.tolist() == [[32, 30, 0, 0]]


def test_mixed_names_end_to_end_as_released(shared_golden):
    """Golden 01c. The released vocabulary is not here; its ids are put where 14 and the tokens say that they stand."""
    folder = shared_golden / "stamp"
    facts, assets = (json.loads((folder / name).read_text()) for name in ("01c_names.json", "14_assets.json"))
    plain = [name.removesuffix("-1") for name in facts["mapped_by_upstream"]]
    id_of = dict(zip(facts["var_names"], plain, strict=True))
    place = {id_of[symbol]: index for symbol, index in assets["index_of"].items() if symbol in id_of}
    place |= {"ENSG00000000005": 1, "ENSG00000107815": 3424, "ENSG00000205777": 17_462, "ENSMUSG00000000983": 20_159}
    genes = [f"other-{n}" for n in range(assets["vocab_len"])]
    with np.load(folder / "01c_tokenise_end_to_end.npz") as stored:
        counts, expected, used = stored["counts"], stored["tokens_first20"], stored["used_mean"]
    means = np.full(len(genes), np.nan)
    for gene, mean in zip(facts["mapped_by_upstream"], used, strict=True):
        if gene in place:
            genes[place[gene]], means[place[gene]] = gene, mean
    symbols = {name: gene for name, gene in id_of.items() if name != gene}
    vocabulary = stamp_vocabulary(genes, id_offset=30, symbol_ids=symbols, path="v")
    moved, _ = to_vocabulary(sparse.csr_matrix(counts), facts["var_names"], vocabulary, merge="first")
    found = tokens(moved, means, length=20, **RELEASE)
    assert lengths_of(found).tolist() == [14, 14, 14, 0, 14]
    scores = rank_scores(moved, gene_weights(means, rounding="half_up")).toarray()
    for spot, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert set(ours.tolist()) == set(theirs.tolist())
        in_order = [scores[spot, row[row > 0] - 30] for row in (ours, theirs)]
        np.testing.assert_allclose(*in_order, rtol=1e-12)
    np.testing.assert_array_equal(found[2], expected[2])  # this spot has no tie


# --- one result, however it is made -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [PAPER, RELEASE], ids=["paper", "release"])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_fast_way_equals_the_loop_on_counts_as_slides_have_them(options, workers, monkeypatch):
    monkeypatch.setattr("stainscript.genes.tokens.rank.BLOCK_ENTRIES", 700)  # many blocks, some of a single spot
    rng = seeds.generator(0, "rank tokens", workers)
    counts = random_counts(spots=120, genes=500, density=0.1, scale=6, rng=rng)
    means = np.where(rng.random(500) < 0.1, np.nan, rng.gamma(2, 2, 500) + 0.5)
    weights = gene_weights(means, rounding=options["rounding"])
    loop = {key: options[key] for key in ("id_offset", "keep_zeros")}
    for length in (20, 500):
        expected = rank_tokens_by_spot(counts, weights, length=length, **loop)
        made = RankTokeniser(weights, length=length, workers=workers, **loop)
        np.testing.assert_array_equal(made.tokens(counts), expected)
        np.testing.assert_array_equal(made.tokens(counts[:50]), expected[:50])
        floats = counts.astype(np.float32)
        np.testing.assert_array_equal(made.tokens(floats), expected)
        floats.data += np.float32(0.25)
        np.testing.assert_array_equal(made.tokens(floats), rank_tokens_by_spot(floats, weights, length=length, **loop))


@pytest.mark.parametrize("workers", [1, 2])
def test_counts_beyond_the_table_are_ranked_too_and_the_table_follows_when_they_are_many(workers):
    rng = seeds.generator(0, "beyond the table")
    weights = rng.gamma(2, 2, 40) + 0.5
    first = random_counts(spots=400, genes=40, density=0.5, scale=2, rng=rng)
    few, many = first.copy(), first.copy()
    few.data[0] = 12_345_678
    many.data[::7] *= 1000
    made = RankTokeniser(weights, length=40, id_offset=1, workers=workers)
    tables = []
    for counts in (first, few, many, many):
        expected = rank_tokens_by_spot(counts, weights, length=40, id_offset=1, keep_zeros=False)
        np.testing.assert_array_equal(made.tokens(counts), expected)
        tables.append(made._table)
    assert tables[0] is tables[1]
    assert tables[1] is not tables[2]
    assert tables[2] is tables[3]
    assert tables[2].highest.max() > many.data.max()


def test_the_table_stays_small_whatever_the_counts(monkeypatch):
    monkeypatch.setattr(rank_table, "MAX_PAIRS", 1000)
    rng = seeds.generator(0, "small table")
    counts = random_counts(spots=60, genes=50, density=0.6, scale=400, rng=rng)
    counts.data[5] = 2**31 - 1
    weights = rng.gamma(2, 2, 50) + 0.5
    made = RankTokeniser(weights, length=50, id_offset=1)
    expected = rank_tokens_by_spot(counts, weights, length=50, id_offset=1, keep_zeros=False)
    np.testing.assert_array_equal(made.tokens(counts), expected)
    table = made._table
    assert table.highest.sum() <= 1000
    np.testing.assert_array_equal(made.tokens(counts), expected)
    assert made._table is table  # all spots go beyond it, and another one would be the same


@pytest.mark.parametrize("keep_zeros", [False, True])
def test_keys_carry_tokens_while_they_fit_and_tokens_are_looked_up_else(keep_zeros):
    """20,310 genes leave 17 bits for runs. Means that tie make long runs; distinct means, 30 counts each, too many."""
    rng = seeds.generator(0, "keys")
    genes = 20_310
    spots = [np.sort(rng.choice(genes, size=200, replace=False)) for _ in range(20)]
    data = rng.integers(0, 31, size=4000)
    counts = sparse.csr_matrix((data, np.concatenate(spots), np.arange(21) * 200), shape=(20, genes))
    carried = []
    for means in (rng.gamma(2, 2, genes) + 0.5, np.full(genes, 3.0)):
        options = {"id_offset": 30, "keep_zeros": keep_zeros}
        made = RankTokeniser(means, length=150, **options)
        made._highest = np.full(genes, 30)
        expected = rank_tokens_by_spot(counts, means, length=150, **options)
        np.testing.assert_array_equal(made.tokens(counts), expected)
        carried.append(made._table.token_bits is not None)
    assert carried == [False, True]


COUNTS = st.lists(st.lists(st.integers(0, 40), min_size=6, max_size=6), min_size=1, max_size=5)
WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0, 7.25]), min_size=6, max_size=6)


@settings(max_examples=150, deadline=None)
@given(COUNTS, WEIGHTS, st.integers(1, 7), st.booleans())
def test_the_fast_way_equals_the_loop_with_many_ties(rows, weights, length, keep_zeros):
    dense = np.array(rows)
    stored = sparse.csr_matrix(
        (dense.ravel(), np.tile(np.arange(6), len(dense)), np.arange(len(dense) + 1) * 6), shape=dense.shape
    )
    options = {"length": length, "id_offset": 30, "keep_zeros": keep_zeros}
    expected = rank_tokens_by_spot(stored, np.array(weights), **options)
    np.testing.assert_array_equal(RankTokeniser(np.array(weights), **options).tokens(stored), expected)


@settings(max_examples=60, deadline=None)
@given(COUNTS, WEIGHTS, st.integers(1, 50))
def test_scaling_a_spots_counts_leaves_its_tokens(rows, weights, factor):
    plain, deeper = (tokens(np.array(rows) * by, weights, length=6, **PAPER) for by in (1, factor))
    np.testing.assert_array_equal(plain, deeper)


@settings(max_examples=60, deadline=None)
@given(COUNTS, WEIGHTS, st.permutations(range(6)))
def test_permuting_columns_with_their_names_leaves_the_tokens(rows, weights, order):
    genes = [f"g{n}" for n in range(6)]
    vocabulary = stamp_vocabulary(genes, id_offset=1, path="v")
    moved, _ = to_vocabulary(
        sparse.csr_matrix(np.array(rows)[:, order]), [genes[column] for column in order], vocabulary
    )
    np.testing.assert_array_equal(
        tokens(moved, weights, length=6, **PAPER), tokens(np.array(rows), weights, length=6, **PAPER)
    )


@settings(max_examples=60, deadline=None)
@given(COUNTS, WEIGHTS)
def test_tokens_are_the_genes_seen_each_once_in_falling_score(rows, weights):
    for row, ours in zip(rows, tokens(np.array(rows), weights, length=8, **PAPER), strict=True):
        seen = ours[ours > 0] - 1
        assert sorted(seen.tolist()) == [gene for gene, count in enumerate(row) if count]
        score = (np.array(row) / np.array(weights))[seen]
        assert (np.diff(score) <= 0).all()
        assert not ours[len(seen) :].any()
