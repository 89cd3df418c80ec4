"""``snakemake genes``: everything that is made of genes, of each fold's training slides and of no other."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml

from stainscript.artifacts.stores import open_store
from stainscript.genes.panels.file import read_panel

pytestmark = pytest.mark.workflow

GRID = {
    "datasets": ["phantom"],
    "protocols": ["by_patient"],
    "statistics": True,
    "tokens": ["stamp", "genar"],
    "groups": ["genar"],
    "pathways": ["phantom"],
    "descriptions": ["offline"],
    "text_encoders": ["tfidf"],
}
FOLD_OF_P1 = 0
PANEL = "genar200.by_patient"


def ask(config: dict) -> None:
    config["genes"] = [GRID]
    config["panels"]["genar200"]["n"] = 80  # of the 120 genes that the tiny phantom has
    config["groups"]["genar"]["scales"] = [1, 4, 8, 40, 80]
    config["splits"]["two_patients"] = {"scheme": "fixed", "test": [["P1V", "P1L"], ["P2V", "P2L"]]}


PROTOCOL = {  # the repository's with GenAR's panel, whose size its scales divide
    "source": "test",
    "target": {"space": "log2p1"},
    "panel": "genar200",
    "split": "two_patients",
}


@pytest.fixture(scope="module")
def made(phantom_run, tmp_path_factory: pytest.TempPathFactory):
    """The finished run with every kind of gene input, in a folder of its own."""
    space = type(phantom_run)(tmp_path_factory.mktemp("genes") / "run")
    shutil.copytree(phantom_run.folder, space.folder, symlinks=True)
    space.configure(ask)
    own = space.folder / "workflow/protocols"
    own.mkdir(parents=True)
    (own / "by_patient.yaml").write_text(yaml.safe_dump(PROTOCOL))
    return space


@pytest.fixture(scope="module")
def planned(made):
    return made.plan("genes")


@pytest.fixture(scope="module")
def done(made, planned):
    made.snakemake("genes")
    return made


def fold(space, number: int = FOLD_OF_P1) -> Path:
    return space.folder / f"results/genes/phantom/two_patients/fold{number}"


def training(space, number: int) -> set[str]:
    return {"P3V", "P3L"} | ({"P2V", "P2L"} if number == 0 else {"P1V", "P1L"})


def test_the_jobs_are_one_a_fold_and_for_tokens_one_a_training_slide(planned) -> None:
    assert Counter(job.rule for job in planned) == {
        "select_panel": 2,
        "gene_statistics": 2,
        "tokenise_slide": 2 * 4,
        "tokenise_counts": 2 * 4,
        "group_genes": 2,
        "curate_pathways": 2,
        "enrich_groups": 2,
        "describe_genes": 2,
        "embed_genes": 2,
    }


def test_no_job_of_a_fold_reads_the_counts_of_its_test_slides(planned, made) -> None:
    read = 0
    for job in planned:
        slides = {Path(name).stem for name in job.inputs if name.startswith("results/expression/")}
        assert slides <= training(made, int(job.wildcards["fold"])), job
        read += len(slides)
    assert read > 30


def test_a_test_slide_is_tokenised_for_no_fold_that_tests_it(made) -> None:
    wanted = "results/genes/phantom/two_patients/fold0/stamp.tokens/P1V"
    message = made.snakemake("--dry-run", wanted, check=False)
    assert message.returncode != 0
    assert "training" in message.stdout + message.stderr


def test_every_artifact_says_what_it_is_of(done) -> None:
    panel = read_panel(fold(done) / f"{PANEL}.tsv")
    statistics = pd.read_parquet(fold(done) / "statistics.parquet")
    assert (statistics["n_slides"] <= 4).all()
    assert set(panel.gene_ids) <= set(statistics["gene_id"])
    groups = json.loads((fold(done) / f"{PANEL}.genar.groups.json").read_text())
    assert sorted(groups["order"]) == sorted(panel.gene_ids)
    for slide in training(done, 0):
        counts = anndata.read_h5ad(done.folder / f"results/expression/phantom/{slide}.h5ad")
        ranks = open_store(fold(done) / "stamp.tokens" / slide, "tokens")
        assert ranks.ids("spot_id").tolist() == counts.obs_names.tolist()
        assert ranks["tokens"].shape == (counts.n_obs, 1500)
        values = open_store(fold(done) / f"{PANEL}.genar.tokens" / slide, "tokens")
        assert values.ids("gene_id").tolist() == list(panel.gene_ids)
        assert np.array_equal(values["tokens"], counts[:, list(panel.gene_ids)].X.toarray().clip(max=2000))
    text = done.folder / f"results/gene_text/phantom/two_patients/fold0/{PANEL}/offline"
    described = [json.loads(line) for line in (text / "descriptions.jsonl").read_text().splitlines()]
    assert sorted(row["gene_id"] for row in described) == sorted(panel.gene_ids)
    embedded = open_store(text / "tfidf", "gene_text")
    assert sorted(embedded.ids("gene_id")) == sorted(panel.gene_ids)
    found = pd.read_csv(fold(done) / f"{PANEL}.genar.phantom.enrichment.tsv", sep="\t")
    assert found["adjusted_p_value"].min() < 1e-3  # the phantom's programmes are what k-means finds
    assert (fold(done) / f"{PANEL}.genar.phantom.enrichment.svg").read_text().startswith("<svg")


def test_made_again_there_is_nothing_to_do(done) -> None:
    assert done.plan("genes") == []


def test_the_counts_of_a_test_slide_change_nothing_of_its_fold(done, tmp_path: Path) -> None:
    space = type(done)(tmp_path / "changed")
    shutil.copytree(done.folder, space.folder, symlinks=True)
    before = contents(space)
    path = space.folder / "results/expression/phantom/P1V.h5ad"
    adata = anndata.read_h5ad(path)
    rng = np.random.default_rng(0)
    adata.X.data = rng.permutation(adata.X.data) + rng.integers(0, 9, adata.X.data.size).astype(np.int32)
    adata.write_h5ad(path)
    touched: dict[str, set[tuple[str, str]]] = {}
    for job in space.plan():
        where = (job.wildcards.get("split", "experiments"), job.wildcards.get("fold", ""))
        touched.setdefault(job.rule, set()).add(where)
    assert touched["group_genes"] == touched["gene_statistics"] == {("two_patients", "1")}
    by_patient = {("leave_one_patient_out", "1"), ("leave_one_patient_out", "2")}
    assert touched["select_panel"] == {("two_patients", "1"), *by_patient}
    assert touched["fit"] == {("experiments", "1"), ("experiments", "2")}  # what fold 0 fitted and normalised by stands
    space.snakemake("genes")
    after = contents(space)
    assert before.keys() == after.keys()
    assert [name for name in before if "/fold0/" in name and before[name] != after[name]] == []
    changed = {name.split("/")[-1] for name in before if "/fold1/" in name and before[name] != after[name]}
    assert {"statistics.parquet", f"{PANEL}.tsv", f"{PANEL}.genar.groups.json"} <= changed


def contents(space) -> dict[str, bytes]:
    base = space.folder / "results"
    files = [path for kind in ("genes", "gene_text") for path in (base / kind).rglob("*") if path.is_file()]
    return {str(path.relative_to(base)): path.read_bytes() for path in sorted(files)}


def test_a_new_rule_for_tokens_reruns_those_tokens_alone(done) -> None:
    space = done
    before = (space.folder / "config.yaml").read_text()
    try:
        space.configure(lambda c: c["tokens"]["stamp"].update(length=100))
        assert Counter(job.rule for job in space.plan("genes")) == {"tokenise_slide": 8}
    finally:
        (space.folder / "config.yaml").write_text(before)


def test_current_names_are_used_from_ingest_on_and_reported(fresh, tmp_path: Path) -> None:
    space = fresh(tmp_path)

    def rename(config: dict) -> None:
        config["identifiers"]["names"] = "symbol"
        config["datasets"]["phantom"]["options"]["n_genes"] = 400
        config["experiments"] = []
        config["genes"] = [{"datasets": ["phantom"], "protocols": ["hmhvg"], "statistics": True}]

    space.configure(rename)
    space.snakemake("results/expression/phantom/P1L.h5ad")
    adata = anndata.read_h5ad(tmp_path / "results/expression/phantom/P1L.h5ad")
    assert "ATP5F1B" in adata.var_names
    assert adata.var.loc["ATP5F1B", "published"] == "ATP5B"
    assert "built in" in adata.uns["identifier_release"]
    report = json.loads((tmp_path / "results/expression/phantom/P1L.genes.json").read_text())
    assert report["applied"]
    assert report["by_previous"]["ATP5B"] == "ATP5F1B"


def test_predicted_programmes_are_tested_where_an_experiment_set_names_pathways(phantom_copy) -> None:
    chosen = yaml.safe_load((phantom_copy.repository / "workflow/experiments/phantom.yaml").read_text())
    own = phantom_copy.folder / "workflow/experiments"
    own.mkdir(parents=True)
    (own / "phantom.yaml").write_text(yaml.safe_dump(chosen | {"pathways": ["phantom"]}))
    counts = phantom_copy.counts()
    assert counts["enrich_programmes"] == 6 * 3  # six honest methods, three folds; the controls know the answers
    assert counts["curate_pathways"] == 3
    wanted = "results/metrics/phantom.hmhvg.ridge.morphology/fold0/seed0/phantom.programmes.tsv"
    jobs = phantom_copy.plan(wanted)
    assert Counter(job.rule for job in jobs) == {"curate_pathways": 1, "enrich_programmes": 1}
    assert not any(name.startswith("results/expression") for name in jobs[-1].inputs)
    phantom_copy.snakemake(wanted)
    table = pd.read_csv(phantom_copy.folder / wanted, sep="\t")
    assert set(table["analysis"]) == {"members", "enrichment", "ranking"}
    found = table[table["analysis"] == "enrichment"].nsmallest(3, "adjusted_p_value")
    assert found["adjusted_p_value"].max() < 0.01  # genes that are predicted alike are those drawn alike
    ranked = table[table["analysis"] == "ranking"].set_index("term")["score"]
    assert ranked["PHANTOM_COLLAGEN"] > 0 > ranked["PHANTOM_HEAT_SHOCK"]  # seen in the patch, and nowhere
