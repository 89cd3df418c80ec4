"""Groups and pathways from files to a table: by gene id where both are of one panel, by symbol elsewhere."""

import hashlib
import json
import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import hypergeom

from stainscript.errors import DataContractError
from stainscript.genes.groups.records import GeneGroups, list_sha256, write_groups
from stainscript.genes.panels.file import write_panel
from stainscript.genes.pathways.enrichment import ADJUSTED, COLUMNS
from stainscript.stages.curate_pathways import curate_pathways
from stainscript.stages.enrich_groups import enrich_groups
from stainscript.types import Panel

SYMBOLS = ("TP53", "ATP5B", "ACTB", "GNAS", "FASN", "ERBB2")
PANEL = Panel(
    name="six",
    gene_ids=tuple(f"e{n}" for n in range(6)),
    symbols=SYMBOLS,
    mean=(1.0,) * 6,
    variance=(1.0,) * 6,
    training_slides=("s",),
)
# ATP5F1B is what ATP5B is called today.
GMT = "HALLMARK_P\t\tATP5F1B\tTP53\tXYZ1\nHALLMARK_Q\t\tFASN\nHALLMARK_OFF\t\tXYZ1\n"


@pytest.fixture
def files(tmp_path):
    """Panel of six genes; group 0: TP53, ATP5B, group 1: the rest; two pathways of the panel, one off it."""
    write_panel(tmp_path / "p.tsv", PANEL)
    order = (0, 1, 2, 3, 4, 5)
    write_groups(
        tmp_path / "p.groups.json",
        GeneGroups(
            dataset="toy",
            panel="six",
            panel_sha256=PANEL.sha256,
            rule={"variant": "panel"},
            training_slides=("s",),
            total_spots=3,
            clustered_order=order,
            order=PANEL.gene_ids,
            symbols=SYMBOLS,
            groups=(PANEL.gene_ids[:2], PANEL.gene_ids[2:]),
            scale_dims=(1, 2, 6),
            source_gene_list_sha256=list_sha256(SYMBOLS),
            output_gene_list_sha256=list_sha256(SYMBOLS),
        ),
    )
    (tmp_path / "s.gmt").write_text(GMT)
    rule = {"universe": "none"}
    given = {"gene_sets": tmp_path / "s.gmt", "universe": None, "gene_table": None, "species": "human", "rule": rule}
    curate_pathways(**given, panel=tmp_path / "p.tsv", out=tmp_path / "pathways.json")
    curate_pathways(**given, panel=None, out=tmp_path / "symbols.json")
    return {"groups": tmp_path / "p.groups.json", "pathways": tmp_path / "pathways.json", "background": None}


def run(files, out, rule=None, **change):
    enrich_groups(**{**files, "rule": rule or {}, "out": out, **change})
    separator = "," if out.suffix == ".csv" else "\t"
    return pd.read_csv(out, sep=separator, keep_default_na=False, float_precision="round_trip")


def test_a_panels_groups_and_pathways_meet_by_gene_id(files, tmp_path, caplog):
    """6 genes; group 0 has 2, pathway P 2 of them on the panel, both shared: 1 / C(6, 2). Q is off group 0."""
    with caplog.at_level(logging.INFO, logger="stainscript.stages.enrich_groups"):
        table = run(files, tmp_path / "e.tsv")
    assert tuple(table.columns) == (*COLUMNS, ADJUSTED)
    assert table["group"].tolist() == ["group 0"] * 2 + ["group 1"] * 2
    assert table["overlap_genes"].tolist() == ["ATP5B,TP53", "", "", "FASN"]
    assert table["nominal_p_value"].tolist() == pytest.approx([1 / 15, 1, 1, 4 / 6])
    assert table[ADJUSTED].tolist() == pytest.approx([4 / 15, 1, 1, 1])
    assert table["background_size"].unique().tolist() == [6]
    assert "2 groups, 4 pairs tested, 0 with adjusted_p_value of at most 0.05" in caplog.text


def test_the_panels_file_may_be_given_as_well(files, tmp_path):
    run(files, tmp_path / "1.tsv")
    run(files, tmp_path / "2.tsv", background=tmp_path / "p.tsv")
    assert (tmp_path / "1.tsv").read_bytes() == (tmp_path / "2.tsv").read_bytes()


def test_groups_named_by_symbol_meet_the_same_pathways(files, tmp_path):
    (tmp_path / "g.tsv").write_text("group\tgene\none\tTP53\none\tATP5B\ntwo\tFASN\ntwo\tNEW1\n")
    table = run(files, tmp_path / "e.tsv", groups=tmp_path / "g.tsv")
    assert table["overlap_genes"].tolist() == ["ATP5B,TP53", "", "", "FASN"]
    assert table["group_size"].tolist() == [2, 2, 1, 1]  # NEW1 is not on the panel


def test_plain_gene_sets_meet_by_symbol_as_written(files, tmp_path):
    """ATP5F1B is not the ATP5B of the panel: P shares TP53 alone."""
    table = run(files, tmp_path / "e.tsv", pathways=tmp_path / "s.gmt", background=tmp_path / "p.tsv")
    assert table["overlap_genes"].tolist() == ["TP53", "", "", "FASN"]
    assert table["reference_size"].tolist() == [1, 1, 1, 1]


def test_the_release_of_genar_is_a_rule(files, tmp_path):
    """Tables group,gene and term,gene; 20,000 genes, no correction, CSV."""
    (tmp_path / "g.tsv").write_text("group\tgene\n2\tTP53\n10\tTP53\n10\tATP5B\n10\tTP53\n")
    (tmp_path / "t.tsv").write_text("term\tgene\nP\tTP53\nP\tATP5B\nP\tXYZ1\n")
    rule = {"background": "nominal", "correction": "none"}
    table = run(files, tmp_path / "e.csv", rule, groups=tmp_path / "g.tsv", pathways=tmp_path / "t.tsv")
    assert tuple(table.columns) == COLUMNS
    assert (tmp_path / "e.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    assert table["group"].astype(str).tolist() == ["10", "2"]
    assert table["overlap_genes"].tolist() == ["ATP5B,TP53", "TP53"]
    assert table["nominal_p_value"].tolist() == [hypergeom.sf(1, 20_000, 3, 2), hypergeom.sf(0, 20_000, 3, 1)]
    assert table["multiple_testing_adjusted"].tolist() == [False, False]


def test_what_a_slide_measures_is_a_background(files, tmp_path):
    adata = anndata.AnnData(
        sparse.csr_matrix(np.ones((2, 8), dtype=np.int32)),
        var=pd.DataFrame({"symbol": [*SYMBOLS, "XYZ1", "U1"]}, index=[f"i{n}" for n in range(8)]),
        uns={"slide": "s"},
    )
    adata.write_h5ad(tmp_path / "s.h5ad")
    table = run(files, tmp_path / "e.tsv", {"background": "measured"}, background=tmp_path / "s.h5ad")
    assert table["background_size"].unique().tolist() == [8]
    assert table["term"].unique().tolist() == ["HALLMARK_OFF", "HALLMARK_P", "HALLMARK_Q"]
    assert table["overlap_genes"].tolist() == ["", "TP53", "", "", "", "FASN"]


def test_pathways_for_another_panel_are_refused(files, tmp_path):
    other = Panel(**{**vars(PANEL), "gene_ids": PANEL.gene_ids[::-1]})
    write_panel(tmp_path / "other.tsv", other)
    with pytest.raises(DataContractError, match=r"pathways\.json: panel_sha256: expected .*, panel six; found"):
        run(files, tmp_path / "e.tsv", background=tmp_path / "other.tsv")
    content = json.loads((tmp_path / "p.groups.json").read_text())
    content["panel_sha256"] = hashlib.sha256(b"").hexdigest()
    (tmp_path / "p.groups.json").write_text(json.dumps(content))
    with pytest.raises(DataContractError, match=r"p\.groups\.json: panel_sha256"):
        run(files, tmp_path / "e.tsv")
    assert not (tmp_path / "e.tsv").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pathways": "symbols.json"}, r"p\.groups\.json: panel: expected the panel of these groups; found none"),
        ({"pathways": "s.gmt", "groups": "g.tsv"}, "background: expected the panel's TSV; found none"),
        ({"rule": {"background": "all"}}, "background: expected one of"),
        ({"rule": {"backgroud": "panel"}}, "did you mean 'background'"),
        ({"groups": "empty.tsv"}, r"empty\.tsv: groups: expected one or more; found none"),
        ({"groups": "nowhere.tsv"}, r"nowhere\.tsv: groups: expected a TSV file; found no such file"),
        ({"rule": {"background": "file"}}, "universe: expected one file of genes; found 0 files"),
    ],
)
def test_what_is_not_given_or_misspelt_is_one_clear_error(files, tmp_path, change, message):
    (tmp_path / "g.tsv").write_text("group\tgene\none\tTP53\n")
    (tmp_path / "empty.tsv").write_text("group\tgene\n")
    paths = {key: tmp_path / value for key, value in change.items() if key != "rule"}
    with pytest.raises(DataContractError, match=message):
        run(files, tmp_path / "e.tsv", change.get("rule"), **paths)
