"""The report is one file that needs nothing else, with the same bytes for the same inputs."""

from __future__ import annotations

import html
import json
import re
import runpy
from pathlib import Path

import pytest

from stainscript.errors import DataContractError
from stainscript.stages.write_report import write_report

INPUTS = runpy.run_path(str(Path(__file__).parents[1] / "report" / "inputs.py"))


@pytest.fixture
def inputs(tmp_path):
    return INPUTS["write_inputs"](tmp_path / "in")


def written(inputs, out: Path) -> str:
    write_report(**inputs, out=out)
    return out.read_text(encoding="utf-8")


def embedded(text: str, name: str):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S).group(1))


def test_nothing_is_loaded_from_outside(inputs, tmp_path):
    text = written(inputs, tmp_path / "report.html")
    assert not re.search(r"https?://", text)
    assert not re.search(r"@import|url\(", text)
    links = re.findall(r'\b(?:src|href)\s*=\s*"([^"]*)"', text)
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(inputs, tmp_path):
    first = written(inputs, tmp_path / "first.html")
    again = INPUTS["write_inputs"](tmp_path / "elsewhere")
    assert written(again, tmp_path / "second.html") == first
    assert str(tmp_path) not in first


def test_the_order_of_files_does_not_matter(inputs, tmp_path):
    first = written(inputs, tmp_path / "first.html")
    turned = {**inputs, **{key: inputs[key][::-1] for key in ("slides", "genes", "maps", "thumbnails")}}
    assert written(turned, tmp_path / "second.html") == first


def test_an_experiment_of_two_sets_is_counted_once(inputs, tmp_path):
    first = written(inputs, tmp_path / "first.html")
    inputs["experiments"] = [*inputs["experiments"], {**inputs["experiments"][0], "set": "other"}]
    assert written(inputs, tmp_path / "second.html") == first


def test_a_changed_input_changes_the_digest_in_the_footer(inputs, tmp_path):
    def digest(text: str) -> str:
        return re.search(r"SHA-256 <code>([0-9a-f]{64})</code>", text).group(1)

    first = digest(written(inputs, tmp_path / "first.html"))
    info = Path(inputs["infos"][0])
    info.write_text(info.read_text().replace('"platform": "unknown"', '"platform": "Visium"'))
    assert digest(written(inputs, tmp_path / "second.html")) != first


def test_the_leaderboard_holds_values_undefined_cells_and_the_post_hoc_mark(inputs, tmp_path):
    text = html.unescape(written(inputs, tmp_path / "report.html"))
    assert "protocol log, space log1p" in text
    assert text.count('<span class="badge">post hoc</span>') == 2  # one best1 column in each of two protocols
    mean = re.search(r'<tr title="toy\.log\.mean\.none">(.*?)</tr>', text, re.S).group(1)
    assert mean.count("0 defined") == 4
    mlp = re.search(r'<tr title="toy\.log\.mlp\.morphology">(.*?)</tr>', text, re.S).group(1)
    assert '<span class="mean">−1.000</span>' in mlp


def test_the_maps_carry_the_pcc_of_their_own_slide_and_experiment(inputs, tmp_path):
    made = embedded(written(inputs, tmp_path / "report.html"), "atlas-data")
    assert sorted(made["slides"]) == ["A1", "B1"]
    drawn = made["maps"]["toy.log.ridge.morphology"]["B1"]["ENSG2"]
    assert drawn["pcc"] == round(float(INPUTS["pcc"]("ridge", "B1")[1]), 4)
    assert drawn["symbol"] == "FASN"
    assert made["maps"]["toy.log.mean.none"]["A1"]["ENSG1"]["pcc"] is None
    assert made["experiments"]["toy.classic.ridge.morphology"]["space"] == "log10p1_cp10k"


def test_names_from_data_cannot_break_the_page(inputs, tmp_path):
    text = written(inputs, tmp_path / "report.html")
    assert "<title>Toy &lt;report&gt;</title>" in text
    inputs["experiments"] = [{**e, "protocol": "</script><b>"} for e in inputs["experiments"]]
    text = written(inputs, tmp_path / "odd.html")
    assert "</script><b>" not in text
    assert next(iter(embedded(text, "atlas-data")["experiments"].values()))["protocol"] == "</script><b>"


def test_a_run_without_maps_still_gives_a_report(inputs, tmp_path):
    text = written({**inputs, "maps": []}, tmp_path / "report.html")
    assert "No run drew maps." in text


def test_a_maps_file_without_its_run_is_refused(inputs, tmp_path):
    inputs["slides"] = inputs["slides"][1:]
    with pytest.raises(DataContractError, match=r"maps\.parquet: run: expected the slides\.parquet of the same run"):
        write_report(**inputs, out=tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_drawn_slide_without_its_thumbnail_is_refused(inputs, tmp_path):
    inputs["thumbnails"] = inputs["thumbnails"][1:]
    with pytest.raises(DataContractError, match=r"A1\.thumbnail\.jpg: thumbnail: expected one among the inputs"):
        write_report(**inputs, out=tmp_path / "report.html")


def test_metrics_of_an_experiment_that_was_not_named_are_refused(inputs, tmp_path):
    inputs["experiments"] = inputs["experiments"][1:]
    with pytest.raises(DataContractError, match=r"experiment: expected one of .*found 'toy\.log\.ridge\.morphology'"):
        write_report(**inputs, out=tmp_path / "report.html")
