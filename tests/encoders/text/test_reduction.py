"""Principal components with fixed signs, and unit length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript.encoders.text.reduction import finish, fixed_signs, principal_components
from stainscript.seeds import generator


def test_components_by_hand():
    """Four points on the line through (1, 1): its direction is the first axis, with a positive sign."""
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [5.0, 5.0]])
    found = principal_components(points, 1)
    np.testing.assert_allclose(found[:, 0], (points[:, 0] - 2) * np.sqrt(2), atol=1e-12)


def test_signs_follow_the_largest_loading():
    axes = np.array([[0.1, -0.9, 0.2], [0.5, 0.2, -0.4]])
    np.testing.assert_array_equal(fixed_signs(axes), [[-0.1, 0.9, -0.2], [0.5, 0.2, -0.4]])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), genes=st.integers(3, 9), width=st.integers(2, 7))
def test_all_components_keep_all_distances(seed, genes, width):
    points = generator(seed, "test").normal(size=(genes, width)).astype(np.float32)
    most = min(genes - 1, width)
    found = finish(points, dimension=most, normalise=False)
    if most < width:
        assert found.shape == (genes, most)
    distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (points, found)]
    np.testing.assert_allclose(distances[1], distances[0], atol=1e-4)
    turned = finish(points[:, ::-1], dimension=most, normalise=False)
    if most < width:  # another order of columns: the same components, for signs follow the loadings
        np.testing.assert_allclose(np.abs(turned), np.abs(found), atol=1e-3)


def test_unit_length_comes_after_the_components_and_leaves_zeros():
    points = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -2.0]])
    np.testing.assert_allclose(
        finish(points, dimension=None, normalise=True), [[0.6, 0.8, 0], [0, 0, 0], [0, 0, -1]], atol=1e-7
    )
    found = finish(points, dimension=2, normalise=True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_the_full_width_is_left_as_it_is():
    points = generator(0, "test").normal(size=(3, 5)).astype(np.float32)
    np.testing.assert_array_equal(finish(points, dimension=5, normalise=False), points)
    assert finish(points, dimension=2, normalise=False).shape == (3, 2)
    with pytest.raises(Exception, match="1 to 2, for there are 3 genes and the encoder's width is 5; found 4"):
        finish(points, dimension=4, normalise=False)
