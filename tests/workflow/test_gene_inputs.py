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
    "groups": ["genar", "genar_pathway"],
    "pathways": ["phantom"],
    "descriptions": ["offline"],
    "text_encoders": ["tfidf"],
}
SLIDES = ("P1V", "P1L", "P2V", "P2L", "P3V", "P3L")
FOLD_OF_P1 = 0  # patients are held out in order
PANEL = "genar200.by_patient"


def ask(config: dict) -> None:
    config["genes"] = [GRID]
    config["groups"]["genar_pathway"]["gene_sets"] = "phantom_sets"
    config["panels"]["genar200"]["n"] = 80  # of the 120 genes that the tiny phantom has
    for name in ("genar", "genar_pathway"):
        config["groups"][name]["scales"] = [1, 4, 8, 40, 80]


PROTOCOL = {  # the repository's with GenAR's panel, whose size its scales divide
    "source": "test",
    "target": {"space": "log2p1"},
    "panel": "genar200",
    "split": "leave_one_patient_out",
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
    return space.folder / f"results/genes/phantom/leave_one_patient_out/fold{number}"


def training(space, number: int) -> set[str]:
    folds = json.loads((space.folder / "results/splits/phantom/leave_one_patient_out.json").read_text())["folds"]
    return {*folds[number]["train"], *folds[number]["val"]}


def test_the_jobs_are_one_a_fold_and_for_tokens_one_a_training_slide(planned) -> None:
    assert Counter(job.rule for job in planned) == {
        "select_panel": 3,
        "gene_statistics": 3,
        "tokenise_slide": 3 * 4,
        "tokenise_counts": 3 * 4,
        "group_genes": 3 * 2,
        "curate_pathways": 3,
        "enrich_groups": 3 * 2,
        "describe_genes": 3,
        "embed_genes": 3,
    }


def test_no_job_of_a_fold_reads_the_counts_of_its_test_slides(planned, made) -> None:
    read = 0
    for job in planned:
        slides = {Path(name).stem for name in job.inputs if name.startswith("results/expression/")}
        assert slides <= training(made, int(job.wildcards["fold"])), job
        read += len(slides)
    assert read > 50


def test_a_test_slide_is_tokenised_for_no_fold_that_tests_it(made) -> None:
    wanted = "results/genes/phantom/leave_one_patient_out/fold0/stamp.tokens/P1V"
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
    text = done.folder / f"results/gene_text/phantom/leave_one_patient_out/fold0/{PANEL}/offline"
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
    jobs = space.plan()
    gene_side = {"select_panel", *Counter(job.rule for job in space.plan("genes"))}
    assert {"select_panel", "gene_statistics", "group_genes", "tokenise_slide", "fit"} <= {job.rule for job in jobs}
    touched = {(job.rule, int(job.wildcards["fold"])) for job in jobs if job.rule in gene_side | {"fit", "predict"}}
    assert {number for _, number in touched} == {1, 2}  # fold 0 tests P1: its fits and its normalisation stand
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
        assert Counter(job.rule for job in space.plan("genes")) == {"tokenise_slide": 12}
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
