"""The ten tasks of HEST-Bench, as data and as csv files, and the rule that made their folds."""

import pytest

from stainscript.datasets.base import read_sheet
from stainscript.errors import DataContractError
from stainscript.splits.check import check_folds
from stainscript.splits.hest_bench import AVERAGED, TASKS, check_task, folds_by_group, is_task, task_of
from stainscript.splits.schemes import make_folds

NONE = {"by": "none", "fraction": 0.1}
FOLDS = {
    "IDC": (1, 1, 1, 1),
    "PRAD": (8, 15),
    "PAAD": (1, 1, 1),
    "SKCM": (1, 1),
    "COAD": (3, 1),
    "READ": (2, 2),
    "CCRCC": (4,) * 6,
    "HCC": (1, 1),
    "LUNG": (1, 1),
    "LYMPH_IDC": (1, 1, 1, 1),
}
SLIDES = {
    "IDC": {"TENX99", "TENX95", "NCBI785", "NCBI783"},
    "PRAD": {f"MEND{n}" for n in range(139, 163)} - {"MEND155"},
    "PAAD": {"TENX116", "TENX140", "TENX126"},
    "SKCM": {"TENX117", "TENX115"},
    "COAD": {"TENX147", "TENX148", "TENX149", "TENX111"},
    "READ": {"ZEN48", "ZEN49", "ZEN36", "ZEN40"},
    "CCRCC": {f"INT{n}" for n in range(1, 25)},
    "HCC": {"NCBI643", "NCBI642"},
    "LUNG": {"TENX141", "TENX118"},
    "LYMPH_IDC": {"NCBI684", "NCBI683", "NCBI682", "NCBI681"},
}
STATED = sorted(set(TASKS) - {"PRAD", "CCRCC"})


def write_task(folder, tests):
    """A task's folder as the benchmark ships it: csv files, and empty patches and counts."""
    for kind in ("splits", "patches", "adata"):
        (folder / kind).mkdir(parents=True)
    every = [slide for part in tests for slide in part]
    for slide in every:
        (folder / "patches" / f"{slide}.h5").touch()
        (folder / "adata" / f"{slide}.h5ad").touch()
    for index, tested in enumerate(tests):
        train = [slide for slide in every if slide not in tested]
        for side, listed in (("train", train), ("test", tested)):
            rows = [f"{slide},patches/{slide}.h5,adata/{slide}.h5ad" for slide in listed]
            text = "\n".join(["sample_id,patches_path,expr_path", *rows]) + "\n"
            (folder / "splits" / f"{side}_{index}.csv").write_text(text)
    return folder


def in_sizes(task):
    """The task's slides in folds of the published sizes; where slides are not stated, in an order of ours."""
    left = iter(sorted(SLIDES[task]))
    return [list(part) for part in TASKS[task].tests or [[next(left) for _ in range(n)] for n in TASKS[task].sizes]]


def pairs(task):
    return [(slide, f"patient of {slide}") for slide in sorted(SLIDES[task])]


def test_there_are_ten_tasks_and_nine_are_averaged():
    assert {name: task.sizes for name, task in TASKS.items()} == FOLDS
    assert set(TASKS) - set(AVERAGED) == {"HCC"}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_benchmarks_csv_files_give_folds_that_partition_the_task(task, tmp_path):
    folder = write_task(tmp_path / task, in_sizes(task))
    folds = make_folds(scheme="files", folder=folder, task=task, slides=pairs(task), validation=NONE, seed=0)
    assert tuple(len(fold.test) for fold in folds) == FOLDS[task]
    assert all(not set(fold.train) & set(fold.test) for fold in folds)
    assert all(set(fold.train) | set(fold.test) == SLIDES[task] for fold in folds)
    assert {slide for fold in folds for slide in fold.test} == SLIDES[task]
    check_folds(folds, patients=dict(pairs(task)), name=task)


@pytest.mark.parametrize("task", STATED)
def test_stated_folds_need_no_files_and_leave_other_slides_of_the_sheet_out(task):
    slides = [("OTHER1", "x"), *pairs(task)]
    folds = make_folds(scheme="hest_task", task=task, slides=slides, validation=NONE, seed=0)
    assert tuple(len(fold.test) for fold in folds) == FOLDS[task]
    assert all(set(fold.train) == SLIDES[task] - set(fold.test) for fold in folds)
    assert {slide for fold in folds for slide in fold.test} == SLIDES[task]


@pytest.mark.parametrize("task", ["PRAD", "CCRCC"])
def test_folds_that_are_not_stated_are_asked_of_the_users_files(task):
    with pytest.raises(DataContractError, match=f"expected the scheme files for {task}.*scheme: files"):
        make_folds(scheme="hest_task", task=task, slides=pairs(task), validation=NONE, seed=0)


def test_training_slides_come_in_the_order_of_the_file(tmp_path):
    folder = write_task(tmp_path / "t", [["b"], ["a"], ["c"]])
    folds = make_folds(scheme="files", folder=folder, slides=[(s, s) for s in "abc"], validation=NONE, seed=0)
    assert [(fold.train, fold.test) for fold in folds] == [
        (("a", "c"), ("b",)),
        (("b", "c"), ("a",)),
        (("b", "a"), ("c",)),
    ]


def test_a_slide_of_the_files_that_the_sheet_lacks_is_named_with_its_file(tmp_path):
    folder = write_task(tmp_path / "t", [["a"], ["b"]])
    with pytest.raises(DataContractError, match=r"train_0\.csv: sample_id: expected one of a; found 'b'"):
        make_folds(scheme="files", folder=folder, slides=[("a", "a")], validation=NONE, seed=0)


@pytest.mark.parametrize(
    ("task", "tests", "expected"),
    [
        ("SKCM", [["TENX115"], ["TENX117"]], "TENX117; TENX115"),  # the right slides in folds of another order
        ("COAD", [["TENX147", "TENX148"], ["TENX111", "TENX149"]], "TENX147 TENX148 TENX149; TENX111"),
        ("PRAD", [["MEND139"], ["MEND140"]], "folds of 8, 15 test slides"),
    ],
)
def test_splits_of_something_else_are_not_passed_off_as_the_task(task, tests, expected):
    with pytest.raises(DataContractError, match=f"test slides of {task}: expected {expected}"):
        check_task(task, tests, path="splits")


def test_one_fold_a_group_in_sorted_order():
    assert folds_by_group({"s1": "B", "s2": "A", "s3": "B"}, n_folds=None) == [["s2"], ["s1", "s3"]]


def test_groups_fill_folds_until_each_holds_its_share():
    """7 slides in 3 folds: a share is 2. A has 1 slide, so B's 2 join it; C's 2 fill a fold; D's and E's the last."""
    patients = {"a": "A", "b1": "B", "b2": "B", "c1": "C", "c2": "C", "d": "D", "e": "E"}
    assert folds_by_group(patients, n_folds=3) == [["a", "b1", "b2"], ["c1", "c2"], ["d", "e"]]


def test_what_is_left_over_makes_one_fold_more_as_in_the_released_code(caplog):
    """5 groups of 1 slide in 2 folds: a share is 2, and the fifth stands alone."""
    assert folds_by_group({s: s for s in "abcde"}, n_folds=2) == [["a", "b"], ["c", "d"], ["e"]]
    assert "3 folds, not the 2 asked for" in caplog.text


def test_a_missing_patient_is_patient_1():
    assert folds_by_group({"s1": "", "s2": "Patient 1", "s3": "Patient 2"}, n_folds=None) == [["s1", "s2"], ["s3"]]


def test_the_rule_is_a_scheme_and_keeps_patients_apart():
    slides = [("s1", "B"), ("s2", "A"), ("s3", "B"), ("s4", "C")]
    folds = make_folds(scheme="hest_groups", slides=slides, validation=NONE, seed=0)
    assert [fold.test for fold in folds] == [("s2",), ("s1", "s3"), ("s4",)]
    fewer = make_folds(scheme="hest_groups", slides=slides, n_folds=2, validation=NONE, seed=0)
    assert [fold.test for fold in fewer] == [("s2", "s1", "s3"), ("s4",)]
    check_folds(fewer, patients=dict(slides), name="s")


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_patients_of_our_sheet_give_the_tasks_folds_by_that_rule(task, repository):
    """As sets: the benchmark sorts by publication first, which the sheet's patients do not name."""
    rows = read_sheet(repository / "workflow/sheets/hest_bench.tsv")
    patients = {row["slide"]: row["patient"] for row in rows if row["condition"] == task}
    assert set(patients) == SLIDES[task]
    made = folds_by_group(patients, n_folds=len(TASKS[task].sizes))
    assert sorted(map(len, made)) == sorted(TASKS[task].sizes)
    if TASKS[task].tests is not None:
        assert {frozenset(part) for part in made} == {frozenset(part) for part in TASKS[task].tests}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"scheme": "files"}, "folder"),
        ({"scheme": "hest_task"}, "task"),
        ({"scheme": "leave_one_slide_out", "folder": "x"}, "folder"),
        ({"scheme": "leave_one_slide_out", "task": "IDC"}, "task"),
        ({"scheme": "hest_groups", "test": [["a"]]}, "test"),
        ({"scheme": "hest_task", "task": "LUAD"}, "task"),
    ],
)
def test_keys_that_a_scheme_lacks_or_would_not_read_are_refused(options, field):
    with pytest.raises(DataContractError, match=f"splits.{field}"):
        make_folds(slides=[("a", "a")], validation=NONE, seed=0, **options)


@pytest.mark.parametrize(
    ("dataset", "task"), [("IDC", "IDC"), ("hest_lymph_idc", "LYMPH_IDC"), ("hest-CCRCC", "CCRCC"), ("lung", "LUNG")]
)
def test_a_dataset_is_its_task_by_name(dataset, task):
    assert is_task(dataset)
    assert task_of(dataset) == task


def test_a_dataset_of_another_name_is_no_task():
    assert not is_task("her2st")
    with pytest.raises(DataContractError, match=r"datasets.her2st: expected one of CCRCC, COAD"):
        task_of("her2st")
