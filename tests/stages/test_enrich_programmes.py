"""Predictions of two slides to programmes, their pathways, and the pathways that are predicted well."""

import numpy as np
import pandas as pd
import pytest

from stainscript import seeds
from stainscript.artifacts.stores import write_store
from stainscript.errors import DataContractError
from stainscript.evaluation.programmes import COLUMNS
from stainscript.genes.panels.file import write_panel
from stainscript.stages.curate_pathways import curate_pathways
from stainscript.stages.enrich_programmes import enrich_programmes
from stainscript.types import Panel

SYMBOLS = tuple(f"S{n:02d}" for n in range(14))
PANEL = Panel(
    name="p",
    gene_ids=tuple(f"e{n:02d}" for n in range(14)),
    symbols=SYMBOLS,
    mean=(1.0,) * 14,
    variance=(1.0,) * 14,
    training_slides=("s",),
)


@pytest.fixture
def files(tmp_path):
    """Genes 0 to 7 follow one factor, 8 to 12 another, 13 is constant; PCC falls from gene 0 to gene 13."""
    rng = seeds.generator(0, "enrich programmes")
    predictions = []
    for slide in ("a", "b"):
        factors = rng.normal(size=(25, 2))
        values = factors[:, [0] * 8 + [1] * 5] + 0.2 * rng.normal(size=(25, 13))
        arrays = {
            "predicted": np.concatenate([values, np.full((25, 1), 2.0)], axis=1).astype(np.float32),
            "spot_id": np.array([f"{slide}{n}" for n in range(25)]),
            "gene_id": np.array(PANEL.gene_ids),
        }
        attrs = {"experiment": "x", "slide": slide, "fold": 0, "seed": 0, "space": "log1p"}
        write_store(
            tmp_path / slide, "predictions", arrays, {**attrs, "panel_sha256": PANEL.sha256, "checkpoint_sha256": "0"}
        )
        predictions.append(tmp_path / slide)
    write_panel(tmp_path / "p.tsv", PANEL)
    (tmp_path / "s.gmt").write_text(
        "\n".join(["HALLMARK_UP\t\t" + "\t".join(SYMBOLS[:6]), "HALLMARK_DOWN\t\t" + "\t".join(SYMBOLS[8:13])])
    )
    given = {"gene_sets": tmp_path / "s.gmt", "universe": None, "gene_table": None, "species": "human"}
    curate_pathways(**given, rule={"universe": "none"}, panel=tmp_path / "p.tsv", out=tmp_path / "pathways.json")
    rows = [
        {"gene_id": gene, "slide": slide, "pcc": 0.7 - 0.1 * n + shift if n < 13 else np.nan}
        for slide, shift in (("a", 0.01), ("b", -0.01))
        for n, gene in enumerate(PANEL.gene_ids)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "genes.parquet")
    return {
        "predictions": predictions,
        "pathways": tmp_path / "pathways.json",
        "metrics": tmp_path / "genes.parquet",
        "rule": {"number": 2, "min_size": 3, "permutations": 200},
    }


def test_programmes_pathways_and_ranking_are_one_table_of_symbols(files, tmp_path):
    enrich_programmes(**files, out=tmp_path / "out/e.tsv")
    table = pd.read_csv(tmp_path / "out/e.tsv", sep="\t", keep_default_na=False)
    assert tuple(table.columns) == COLUMNS
    members = table[table["analysis"] == "members"].set_index("programme")
    assert members["genes"].to_dict() == {
        "programme 01": ",".join(SYMBOLS[:8]),
        "programme 02": ",".join(SYMBOLS[8:13]),
    }
    found = table[table["analysis"] == "enrichment"]
    assert list(zip(found["programme"], found["term"], strict=True)) == [
        ("programme 01", "HALLMARK_UP"),
        ("programme 02", "HALLMARK_DOWN"),
    ]
    assert found["genes"].tolist() == [",".join(SYMBOLS[:6]), ",".join(SYMBOLS[8:13])]
    ranking = table[table["analysis"] == "ranking"].set_index("term")["score"].astype(float)
    assert ranking["HALLMARK_UP"] > 0 > ranking["HALLMARK_DOWN"]


def test_the_same_inputs_give_the_same_bytes_in_any_order_of_slides(files, tmp_path):
    enrich_programmes(**files, out=tmp_path / "1.tsv")
    enrich_programmes(**{**files, "predictions": files["predictions"][::-1]}, out=tmp_path / "2.tsv")
    assert (tmp_path / "1.tsv").read_bytes() == (tmp_path / "2.tsv").read_bytes()


def test_without_metrics_there_is_no_ranking(files, tmp_path):
    enrich_programmes(**{**files, "metrics": None}, out=tmp_path / "e.tsv")
    assert set(pd.read_csv(tmp_path / "e.tsv", sep="\t")["analysis"]) == {"members", "enrichment"}


def test_only_the_genes_that_vary_most_are_clustered(files, tmp_path):
    """All but the constant gene vary; of 14, one may stay."""
    enrich_programmes(**{**files, "rule": {"number": 1, "max_genes": 1}, "metrics": None}, out=tmp_path / "e.tsv")
    members = pd.read_csv(tmp_path / "e.tsv", sep="\t").iloc[0]
    assert (members["programme_size"], members["genes"] in SYMBOLS[:13]) == (1, True)


def other_panel(files, tmp_path):
    panel = Panel(**{**vars(PANEL), "gene_ids": PANEL.gene_ids[::-1]})
    write_panel(tmp_path / "q.tsv", panel)
    given = {"gene_sets": tmp_path / "s.gmt", "universe": None, "gene_table": None, "species": "human"}
    curate_pathways(**given, rule={"universe": "none"}, panel=tmp_path / "q.tsv", out=tmp_path / "q.json")
    return {"pathways": tmp_path / "q.json"}


def no_panel(files, tmp_path):
    given = {"gene_sets": tmp_path / "s.gmt", "universe": None, "gene_table": None, "species": "human"}
    curate_pathways(**given, rule={"universe": "none"}, panel=None, out=tmp_path / "n.json")
    return {"pathways": tmp_path / "n.json"}


def other_metrics(files, tmp_path):
    pd.DataFrame({"gene_id": ["e00", "zz"], "pcc": [0.1, 0.2]}).to_parquet(tmp_path / "m.parquet")
    return {"metrics": tmp_path / "m.parquet"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_panel, r"q\.json: panel_sha256: expected .*, the panel of .*found"),
        (no_panel, r"n\.json: panel: expected pathways mapped to a panel; found symbols alone"),
        (other_metrics, r"m\.parquet: gene_id: expected the genes of the panel; found 14 that only one of the two has"),
        (lambda *_: {"predictions": []}, "predictions: expected one slide or more; found none"),
        (lambda *_: {"rule": {"nummer": 2}}, "did you mean 'number'"),
        (lambda *_: {"rule": {"number": 14}}, "number: expected 1 to 13"),
    ],
)
def test_what_does_not_belong_together_is_one_clear_error(files, tmp_path, change, message):
    given = {**files, **change(files, tmp_path)}
    with pytest.raises(DataContractError, match=message):
        enrich_programmes(**given, out=tmp_path / "e.tsv")
    assert not (tmp_path / "e.tsv").exists()
