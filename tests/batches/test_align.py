import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.batches.align import align
from stainscript.errors import DataContractError

PLACES = {"path": "features/a", "against": "slides/a.spots.parquet"}


def test_equal_ids_pass_whatever_their_dtype():
    ids = ["10x12", "11x12"]
    align(ids, np.array(ids), **PLACES)
    align(np.array(ids, dtype=object), np.array(ids, dtype=np.dtypes.StringDType()), **PLACES)


def test_another_order_is_named_with_position_and_both_ids():
    with pytest.raises(DataContractError) as caught:
        align(["a", "b", "c"], ["a", "c", "b"], **PLACES)
    message = str(caught.value)
    assert message.startswith("features/a: spot_id: expected 'b' at position 1, as in slides/a.spots.parquet")
    assert "found 'c' (the same 3 ids in another order)" in message


def test_another_id_at_equal_length_is_not_called_another_order():
    with pytest.raises(DataContractError, match="1 of them missing and 1 unknown"):
        align(["a", "b"], ["a", "x"], **PLACES)


def test_missing_last_spot_is_found():
    with pytest.raises(DataContractError, match=r"expected 'c' at position 2.*found no id"):
        align(["a", "b", "c"], ["a", "b"], **PLACES)


def test_repeated_id_is_no_reordering():
    with pytest.raises(DataContractError, match="1 of them missing and 0 unknown"):
        align(["a", "b"], ["a", "a"], **PLACES)


@given(st.lists(st.text(min_size=1), min_size=2, unique=True), st.data())
def test_every_reordering_raises(ids, data):
    other = data.draw(st.permutations(ids))
    if list(other) == ids:
        align(ids, other, **PLACES)
    else:
        with pytest.raises(DataContractError, match="another order"):
            align(ids, other, **PLACES)
