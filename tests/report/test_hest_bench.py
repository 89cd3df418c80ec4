"""Our HEST-Bench scores beside the published table."""

import numpy as np
import pandas as pd
import pytest
import yaml

from stainscript.evaluation.hest_bench import TASK_COLUMNS, overall
from stainscript.report.hest_bench import COLUMNS, PUBLISHED_LABEL, beside_published, read_published, to_markdown
from stainscript.splits.hest_bench import AVERAGED


def tasks_of(encoder, method="hest_pca256", value=0.5, tasks=AVERAGED):
    head = {"method": method, "encoder": encoder, "protocol": "hest", "pearson": value, "pearson_defined": value}
    return pd.DataFrame([dict.fromkeys(TASK_COLUMNS, 0.0) | head | {"task": t, "experiment": t} for t in tasks])


def table(*parts):
    tasks = pd.concat(parts, ignore_index=True)
    return beside_published(tasks, overall(tasks)), tasks


def test_published_averages_are_the_means_of_their_nine_tasks():
    published = read_published().set_index("encoder")
    assert tuple(published.columns) == ("ours", *AVERAGED, "average")
    assert len(published) == 12
    assert published.loc["ResNet50", "average"] == 0.3260
    np.testing.assert_allclose(published[list(AVERAGED)].mean(axis=1), published["average"], atol=2e-4)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("resnet50_stage3", "ResNet50"), ("h_optimus_0", "H-Optimus-0"), ("virchow2", "Virchow2")]
)
def test_an_encoder_stands_beside_its_published_row(ours, theirs):
    frame, _ = table(tasks_of(ours))
    assert tuple(frame.columns) == COLUMNS
    assert frame["encoder"].tolist() == [ours, theirs]
    assert frame["source"].tolist() == ["ours", PUBLISHED_LABEL]
    assert frame.loc[0, "average"] == pytest.approx(0.5)
    assert frame.loc[1, "average"] == read_published().set_index("encoder").loc[theirs, "average"]


def test_the_other_variant_and_unknown_encoders_stand_alone():
    frame, _ = table(tasks_of("uni", method="hest_full"), tasks_of("morphology"))
    assert frame["source"].tolist() == ["ours", "ours"]


@pytest.mark.parametrize("encoder", ["uni2_h", "resnet50"])
def test_an_encoder_of_like_name_is_not_taken_for_a_published_one(encoder):
    """UNI2-h is not UNI; the whole ResNet50 is not the one that is cut after its third stage."""
    assert table(tasks_of(encoder))[0]["source"].tolist() == ["ours"]


def test_encoders_that_the_published_table_has_are_shipped(repository):
    shipped = yaml.safe_load((repository / "config.yaml").read_text())["encoders"]
    assert set(read_published()["ours"]) - {""} <= set(shipped)


def test_markdown_says_what_is_pooled_and_leaves_missing_tasks_open():
    text = to_markdown(*table(tasks_of("resnet50_stage3", tasks=("IDC", "HCC", "LUNG"))))
    assert "test spots of a fold pooled (not the per-slide PCC" in text
    header, _, ours, theirs = [line for line in text.splitlines() if line.startswith("|")]
    assert header.split("|")[4:6] == [" IDC ", " PRAD "]
    assert "LUAD" in header
    assert ours.split("|")[4:6] == [" 0.5000 ± 0.0000 ", " – "]
    assert theirs.split("|")[4] == " 0.4741 "
    assert ours.split("|")[-2] == " – "
    assert theirs.split("|")[-2] == " 0.3260 "
