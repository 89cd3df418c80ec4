from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from stainscript.genes.statistics.exact_sums import Entries, exact_variance


def entries(rows):
    return Entries(sparse.csr_matrix(np.array(rows)))


def test_counts_and_their_squares_by_hand():
    block = entries([[1, 0, 2], [3, 0, 0]])
    assert block.sum_counts().integers.tolist() == [4, 0, 2]
    assert block.sum_squared_counts().integers.tolist() == [10, 0, 4]


def test_squares_of_the_largest_counts_are_exact():
    """Three squares of 2³¹ − 1 do not fit into 64 bits, and floats would round them."""
    largest = 2**31 - 1
    assert entries([[largest, 1], [largest, 0], [largest, 0]]).sum_squared_counts().integers.tolist() == [
        3 * largest**2,
        1,
    ]


def test_sums_are_added_taken_away_and_spread_over_more_genes():
    one, two = entries([[2**31 - 1, 5]]).sum_squared_counts(), entries([[2**31 - 1, 0]]).sum_squared_counts()
    assert (one + two).integers.tolist() == [2 * (2**31 - 1) ** 2, 25]
    assert (one - two).integers.tolist() == [0, 25]
    assert one.scattered(np.array([2, 0]), 3).integers.tolist() == [25, 0, (2**31 - 1) ** 2]
    assert one.at(np.array([1])).floats.tolist() == [25.0]


def test_a_mean_over_no_spot_is_undefined():
    np.testing.assert_array_equal(entries([[6, 1]]).sum_counts().over(np.array([4, 0])), [1.5, np.nan])


def test_a_variance_needs_more_spots_than_ddof():
    block = entries([[6, 1]])
    sums = (block.sum_counts(), block.sum_squared_counts())
    np.testing.assert_array_equal(exact_variance(*sums, np.array([3, 1]), ddof=1), [12.0, np.nan])


@settings(max_examples=50, deadline=None)
@given(counts=arrays(np.int64, (6, 3), elements=st.integers(0, 2**31 - 1)), cut=st.integers(0, 6))
def test_mean_and_variance_of_counts_are_the_correctly_rounded_ones(counts, cut):
    parts = [entries(rows) for rows in (counts[:cut], counts[cut:])]
    total = parts[0].sum_counts() + parts[1].sum_counts()
    squares = parts[0].sum_squared_counts() + parts[1].sum_squared_counts()
    number = np.full(3, 6)
    for gene, column in enumerate(counts.T.tolist()):
        mean = Fraction(sum(column), 6)
        assert total.over(number)[gene] == float(mean)
        variance = sum((x - mean) ** 2 for x in column) / 6
        assert exact_variance(total, squares, number, ddof=0)[gene] == float(variance)


@settings(max_examples=50, deadline=None)
@given(values=arrays(np.float64, (8, 2), elements=st.floats(0, 32)), order=st.permutations(range(8)))
def test_sums_of_reals_do_not_depend_on_the_order_and_are_as_good_as_exact(values, order):
    def added(rows):
        total = None
        for row in rows:
            block = Entries(sparse.csr_matrix((np.ones(2), [0, 1], [0, 2]), shape=(1, 2)))
            part = block.sum_reals(row, below=5)
            total = part if total is None else total + part
        return total.floats

    np.testing.assert_array_equal(added(values), added(values[list(order)]))
    exact = [float(sum(map(Fraction, column))) for column in values.T.tolist()]
    np.testing.assert_allclose(added(values), exact, rtol=1e-15, atol=8 * 2.0**-57)
