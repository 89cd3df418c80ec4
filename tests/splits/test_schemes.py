import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript.errors import DataContractError
from stainscript.splits.check import check_folds
from stainscript.splits.schemes import make_folds

SLIDES = [("A1", "A"), ("A2", "A"), ("B1", "B"), ("C1", "C"), ("B2", "B")]
NONE = {"by": "none", "fraction": 0.1}


def folds_of(scheme, *, slides=SLIDES, validation=NONE, seed=0, **options):
    return make_folds(scheme=scheme, slides=slides, validation=validation, seed=seed, **options)


def test_each_slide_is_left_out_once_in_order_of_the_sheet():
    folds = folds_of("leave_one_slide_out")
    assert [fold.test for fold in folds] == [("A1",), ("A2",), ("B1",), ("C1",), ("B2",)]
    assert folds[1].train == ("A1", "B1", "C1", "B2")
    assert [fold.index for fold in folds] == [0, 1, 2, 3, 4]


def test_a_patient_leaves_with_all_slides():
    folds = folds_of("leave_one_patient_out")
    assert [fold.test for fold in folds] == [("A1", "A2"), ("B1", "B2"), ("C1",)]
    assert folds[1].train == ("A1", "A2", "C1")


def test_kfold_holds_each_patient_out_once():
    folds = folds_of("kfold_by_patient", n_folds=2, seed=3)
    assert sorted(slide for fold in folds for slide in fold.test) == sorted(slide for slide, _ in SLIDES)
    check_folds(folds, patients=dict(SLIDES), name="s")


def test_kfold_depends_on_the_seed():
    slides = [(f"{p}1", p) for p in "ABCDEFGH"]
    made = {folds_of("kfold_by_patient", slides=slides, n_folds=4, seed=seed)[0].test for seed in range(5)}
    assert len(made) > 1


def test_kfold_gives_the_published_stnet_folds(shared_golden):
    golden = json.loads((shared_golden / "classic/folds.json").read_text())
    slides = [(f"{patient}_{n}", patient) for patient in golden["stnet_patient_order"] for n in (1, 2)]
    folds = folds_of("kfold_by_patient", slides=slides, n_folds=8, seed=2021)
    found = [{slide[:-2] for slide in fold.test} for fold in folds]
    assert found == [set(patients) for patients in golden["stnet_test_patients"]]


@pytest.mark.parametrize("dataset", ["her2st", "cscc"])
def test_patients_left_out_come_in_the_published_order(shared_golden, dataset):
    patients = json.loads((shared_golden / "classic/folds.json").read_text())[dataset]
    folds = folds_of("leave_one_patient_out", slides=[(f"{p}x", p) for p in patients])
    assert [fold.test for fold in folds] == [(f"{p}x",) for p in patients]


@settings(max_examples=30, deadline=None)
@given(patients=st.integers(3, 30), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_kfold_equals_scikit_learn(patients, seed, data):
    from sklearn.model_selection import KFold

    n_folds = data.draw(st.integers(2, patients))
    slides = [(f"s{n:02d}", f"p{n}") for n in range(patients)]
    expected = KFold(n_folds, shuffle=True, random_state=seed).split(slides)
    found = folds_of("kfold_by_patient", slides=slides, n_folds=n_folds, seed=seed)
    assert [fold.test for fold in found] == [tuple(f"s{n:02d}" for n in test) for _, test in expected]


def test_a_fixed_list_is_tested_as_given_and_the_rest_trains():
    folds = folds_of("fixed", test=(("B2", "A1"), ("C1",)))
    assert folds[0].test == ("B2", "A1")
    assert folds[0].train == ("A2", "B1", "C1")


def test_only_restricts_both_sides():
    folds = folds_of("leave_one_slide_out", only=("C1", "A1"))
    assert [(fold.train, fold.test) for fold in folds] == [(("C1",), ("A1",)), (("A1",), ("C1",))]


def test_validation_by_spots_is_a_share_of_every_training_slide():
    fold = folds_of("leave_one_patient_out", validation={"by": "spots", "fraction": 0.1})[0]
    assert fold.val == ()
    assert fold.val_spot_fraction == 0.1


def test_validation_by_slide_holds_out_whole_training_slides():
    fold = folds_of("leave_one_patient_out", validation={"by": "slide", "fraction": 0.6})[0]
    assert len(fold.val) == 2
    assert sorted(fold.train + fold.val) == ["B1", "B2", "C1"]
    assert fold.val_spot_fraction == 0.0


def test_validation_by_patient_never_splits_a_patient():
    slides = [(f"{p}{n}", p) for p in "ABCDE" for n in (1, 2)]
    for fold in folds_of("leave_one_patient_out", slides=slides, validation={"by": "patient", "fraction": 0.01}):
        assert len(fold.val) == 2
        assert {slide[0] for slide in fold.val}.isdisjoint({slide[0] for slide in fold.train + fold.test})


def test_validation_leaves_something_to_train_on():
    fold = folds_of("leave_one_patient_out", validation={"by": "slide", "fraction": 0.99})[0]
    assert len(fold.train) == 1


def test_the_validation_draw_is_seeded():
    slides = [(f"s{n}", f"p{n}") for n in range(12)]
    options = {"slides": slides, "validation": {"by": "slide", "fraction": 0.3}}
    draws = [tuple(f.val for f in folds_of("leave_one_slide_out", seed=seed, **options)) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "leave_one_slide_ot"}, "did you mean 'leave_one_slide_out'"),
        ({"scheme": "kfold_by_patient"}, "splits.n_folds"),
        ({"scheme": "kfold_by_patient", "n_folds": 4}, "2 to 3 folds for 3 patients; found 4"),
        ({"scheme": "leave_one_slide_out", "n_folds": 3}, "splits.n_folds"),
        ({"scheme": "fixed"}, "splits.test"),
        ({"scheme": "leave_one_slide_out", "test": (("A1",),)}, "splits.test"),
        ({"scheme": "fixed", "test": (("A9",),)}, "splits.test: expected one of .* found 'A9'"),
        ({"scheme": "leave_one_slide_out", "only": ("A1", "Z1")}, "splits.slides: .* found 'Z1'"),
        ({"scheme": "kfold_by_patient", "n_folds": 2, "seed": 2**32}, "splits.seed"),
        ({"scheme": "leave_one_slide_out", "validation": {"by": "spot", "fraction": 0.1}}, "did you mean 'spots'"),
        ({"scheme": "leave_one_slide_out", "validation": {"by": "spots", "fraction": 0.0}}, "validation.fraction"),
        ({"scheme": "fixed", "test": (("A1", "A2", "B1", "B2"),), "validation": {"by": "slide", "fraction": 0.5}},
         "at least 2 training slides in fold 0"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(DataContractError, match=message):
        folds_of(**options)


def test_planning_imports_neither_torch_nor_pandas():
    code = (
        "import sys, stainscript.splits.schemes, stainscript.splits.check; "
        "sys.exit(bool({'torch', 'pandas', 'sklearn', 'scipy', 'anndata'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
