import pytest

from stainscript.errors import DataContractError
from stainscript.splits.check import check_folds
from stainscript.splits.schemes import make_folds
from stainscript.types import Fold

PATIENTS = {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}


def fold(*, train=("B1",), val=(), test=("A1",), index=0):
    return Fold(index=index, train=train, val=val, test=test)


def check(*folds, **options):
    check_folds(folds, patients=PATIENTS, name="toy.s", **options)


def test_a_partition_by_patient_passes():
    check(fold(train=("B1",), val=("C1",), test=("A1", "A2")), fold(train=("A1", "A2"), test=("B1",), index=1))


@pytest.mark.parametrize("side", ["train", "val"])
def test_a_patient_on_both_sides_is_named_with_fold_and_slides(side):
    sides = {"train": ("B1",), side: ("C1", "A2") if side == "val" else ("B1", "A2")}
    with pytest.raises(DataContractError) as caught:
        check(fold(**sides))
    text = str(caught.value)
    assert "splits.toy.s, fold 0" in text
    assert "patient A in train (A2) and in test (A1)" in text
    assert "allow_shared_patients: true" in text


def test_a_shared_patient_passes_where_the_protocol_means_it():
    check(fold(train=("A2", "B1")), allow_shared_patients=True)


def test_leave_one_slide_out_of_one_patients_slides_needs_the_permission():
    slides = list(PATIENTS.items())
    folds = make_folds(scheme="leave_one_slide_out", slides=slides, validation={"by": "none", "fraction": 0.1}, seed=0)
    with pytest.raises(DataContractError, match="leave_one_slide_out of several slides of a patient"):
        check(*folds)
    check(*folds, allow_shared_patients=True)


@pytest.mark.parametrize(
    "sides",
    [
        {"train": ("A1", "B1"), "test": ("A1",)},
        {"train": ("B1",), "val": ("A1",), "test": ("A1",)},
        {"train": ("B1",), "val": ("B1",), "test": ("A1",)},
        {"train": ("B1",), "test": ("A1", "A1")},
    ],
)
def test_a_slide_in_two_places_is_always_an_error(sides):
    with pytest.raises(DataContractError, match="each slide once"):
        check(fold(**sides), allow_shared_patients=True)


@pytest.mark.parametrize("side", ["train", "test"])
def test_an_empty_side_is_an_error(side):
    with pytest.raises(DataContractError, match=f"fold 0, {side}: expected at least 1 slide"):
        check(fold(**{side: ()}))


def test_an_unknown_slide_is_named_with_a_guess():
    with pytest.raises(DataContractError, match=r"found 'B11'\. Remedy: did you mean 'B1'"):
        check(fold(train=("B11",)))


def test_a_split_without_folds_is_an_error():
    with pytest.raises(DataContractError, match="at least 1 fold"):
        check()


def test_folds_are_numbered_from_zero():
    with pytest.raises(DataContractError, match="index 0"):
        check(fold(index=1))
