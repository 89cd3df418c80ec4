import json
from dataclasses import asdict

import pytest

from stainscript.errors import DataContractError
from stainscript.stages.make_split import make_split
from stainscript.types import Fold


def run(folds, out):
    make_split(dataset="toy", split="by_patient", scheme="leave_one_patient_out", seed=3, folds=folds, out=out)


def test_folds_are_written_as_they_are(tmp_path):
    fold = Fold(index=0, train=("B1",), val=("C1",), test=("A1", "A2"), val_spot_fraction=0.0)
    run([asdict(fold)], tmp_path / "splits/by_patient.json")
    found = json.loads((tmp_path / "splits/by_patient.json").read_text())
    assert (found["scheme"], found["seed"], found["dataset"]) == ("leave_one_patient_out", 3, "toy")
    assert found["folds"] == [
        {"index": 0, "train": ["B1"], "val": ["C1"], "test": ["A1", "A2"], "val_spot_fraction": 0.0}
    ]


def test_lists_from_json_do_as_well(tmp_path):
    fold = {"index": 0, "train": ["B1"], "val": [], "test": ["A1"], "val_spot_fraction": 0.1}
    run([fold], tmp_path / "s.json")
    assert json.loads((tmp_path / "s.json").read_text())["folds"] == [fold]


def test_a_slide_on_both_sides_is_refused(tmp_path):
    fold = {"index": 0, "train": ["A1"], "val": [], "test": ["A1"], "val_spot_fraction": 0.0}
    with pytest.raises(DataContractError, match="A1 in train and again in test"):
        run([fold], tmp_path / "s.json")
    assert not (tmp_path / "s.json").exists()
