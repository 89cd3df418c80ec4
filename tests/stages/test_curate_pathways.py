"""The stage from files to a file: what it writes is read back, and says where everything is from."""

import hashlib
import json
import logging

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.panels.file import write_panel
from stainscript.genes.pathways.file import read_pathways
from stainscript.stages.curate_pathways import curate_pathways
from stainscript.types import Panel

GMT = "HALLMARK_P\t\tATP5F1B\tTP53\nGOBP_A\t\tACTB\tTP53\tXYZ1\nGOBP_B\t\tTP53\tACTB\nGOBP_ONE\t\tTP53\n"
RULE = {"universe": "panel", "compare": "current", "min_size": 2, "max_size": 3}


@pytest.fixture
def files(tmp_path):
    panel = Panel(
        name="three",
        gene_ids=("e1", "e2", "e3"),
        symbols=("TP53", "ATP5B", "ACTB"),
        mean=(1.0,) * 3,
        variance=(1.0,) * 3,
        training_slides=("s",),
    )
    write_panel(tmp_path / "p.tsv", panel)
    (tmp_path / "s.gmt").write_text(GMT)
    return {"gene_sets": tmp_path / "s.gmt", "panel": tmp_path / "p.tsv", "universe": None}


def run(files, out, rule=RULE, **change):
    given = {**files, "gene_table": None, "species": "human", "out": out, "rule": rule, **change}
    curate_pathways(**given)


def test_the_curated_pathways_are_written_with_their_origin(files, tmp_path, caplog):
    """GOBP_A and GOBP_B are one pair of genes after the cut: the first by name stays."""
    out = tmp_path / "genes/pathways.json"
    with caplog.at_level(logging.INFO, logger="stainscript.stages.curate_pathways"):
        run(files, out)
    found = read_pathways(out)
    assert found.symbols() == {"HALLMARK_P": ("ATP5F1B", "TP53"), "GOBP_A": ("ACTB", "TP53")}
    assert found.gene_ids() == {"HALLMARK_P": ("e2", "e1"), "GOBP_A": ("e3", "e1")}
    assert (found.panel_gene_ids, found.panel_symbols) == (("e1", "e2", "e3"), ("TP53", "ATP5B", "ACTB"))
    content = json.loads(out.read_text())
    assert content["sources"] == {"s.gmt": hashlib.sha256(GMT.encode()).hexdigest()}
    assert content["universe"]["description"] == "the genes of panel three"
    assert (content["universe"]["size"], len(content["universe"]["sha256"])) == (3, 64)
    assert content["redundant"] == [{"name": "GOBP_B", "because": "GOBP_A", "jaccard": 1.0}]
    assert [one["size"] for one in content["pathways"]] == [2, 2]
    assert (content["counts"]["sets_read"], content["counts"]["sets_too_small"]) == (4, 1)
    assert content["rule"]["tau"] == 0.1
    assert "2 pathways of 4 sets within the genes of panel three; 3 genes on the panel, 0 off it" in caplog.text


def test_the_order_of_lines_gives_the_same_bytes_but_for_the_hash_of_the_source(files, tmp_path):
    run(files, tmp_path / "1.json")
    (tmp_path / "s.gmt").write_text("".join(reversed(GMT.splitlines(keepends=True))))
    run(files, tmp_path / "2.json")
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("1.json", "2.json"))
    assert one.pop("sources") != two.pop("sources")
    assert one == two


def test_without_a_panel_pathways_stay_symbols(files, tmp_path):
    run({**files, "panel": None}, tmp_path / "p.json", rule={**RULE, "universe": "none"})
    found = read_pathways(tmp_path / "p.json")
    assert found.panel_sha256 is None
    assert found.symbols()["GOBP_A"] == ("ACTB", "TP53", "XYZ1")
    assert all(pathway.gene_ids == () for pathway in found.pathways)


def test_released_ids_and_a_listed_universe_are_taken_from_their_files(files, tmp_path):
    (tmp_path / "u.json").write_text('["TP53", "XYZ1"]')
    (tmp_path / "ids.json").write_text('{"TP53": "i1", "XYZ1": "i2"}')
    rule = {"universe": "file", "min_size": 2, "max_size": 2}
    given = {"universe": tmp_path / "u.json", "panel": None, "symbol_ids": tmp_path / "ids.json"}
    run(files, tmp_path / "p.json", rule=rule, **given)
    assert read_pathways(tmp_path / "p.json").gene_ids() == {"HALLMARK_P": ("i1",), "GOBP_A": ("i1", "i2")}


def test_sets_of_another_species_are_one_clear_error(files, tmp_path):
    (tmp_path / "s.gmt").write_text("HALLMARK_M\t\tTrp53\tQqq1\n")
    with pytest.raises(DataContractError, match=r"p\.tsv: genes: expected genes of the 1 pathways; found none"):
        run(files, tmp_path / "p.json", rule={"universe": "none"})
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize(
    ("content", "found"), [("[]", "list"), ('{"A": 3}', "dict"), ("A\tB", "no JSON"), (None, "no such file")]
)
def test_a_mapping_of_another_form_is_refused(files, tmp_path, content, found):
    if content is not None:
        (tmp_path / "ids.json").write_text(content)
    with pytest.raises(DataContractError, match=rf"ids\.json: symbol_ids: .* found {found}"):
        run(files, tmp_path / "p.json", symbol_ids=tmp_path / "ids.json")


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no such file"), ("x", "no JSON"), ('{"A": ["b"]}', "another file"), ("[]", "another file")],
)
def test_only_curated_pathways_are_read(tmp_path, content, found):
    if content is not None:
        (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataContractError, match=rf"p\.json: pathways: .* found {found}"):
        read_pathways(tmp_path / "p.json")
