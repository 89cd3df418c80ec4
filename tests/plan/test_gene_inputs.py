"""Gene inputs while they are planned: which files a job reads, what it is told, and what is refused before any job."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.options import rule_of as description_rule
from stainscript.genes.groups.rules import rule_of as group_rule
from stainscript.genes.tokens.rules import token_rule
from stainscript.plan.jobs import Plan

GRID = {"datasets": ["phantom"], "protocols": ["hmhvg"]}


@pytest.fixture
def plan(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """The repository's config with a change, in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def make(change: Callable[[dict], object] = lambda c: None) -> Plan:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        change(raw)
        return Plan(raw, repository=repository)

    return make


def asking(**wanted: object) -> Callable[[dict], None]:
    return lambda config: config.update(experiments=[], genes=[GRID | wanted])


def wildcards(**changes: str) -> SimpleNamespace:
    return SimpleNamespace(**{"dataset": "phantom", "split": "leave_one_patient_out", "fold": "0"} | changes)


def test_nothing_is_asked_for_by_default(plan) -> None:
    assert plan().gene_inputs() == []


def test_a_grid_alone_brings_its_dataset_its_protocol_and_its_folds(plan) -> None:
    made = plan(asking(statistics=True))
    assert made.gene_inputs() == [
        f"results/genes/phantom/leave_one_patient_out/fold{n}/statistics.parquet" for n in "012"
    ]
    assert made.tables() == made.metrics() == []


def test_only_the_training_side_of_a_fold_is_read(plan) -> None:
    made = plan(asking(statistics=True))
    read = made.training_slides(wildcards())
    assert [Path(path).stem for path in read] == ["P2L", "P2V", "P3L", "P3V"]
    assert made.universe_input(wildcards(pathways="phantom")) == read
    assert made.training_slide(wildcards(slide="P2V")) == read[1]
    with pytest.raises(DataContractError, match=r"tokens of P1V for fold 0.*expected a training slide"):
        made.training_slide(wildcards(slide="P1V"))


def test_every_shipped_rule_is_complete_and_meant(plan) -> None:
    made = plan()
    for name in made.config.tokens:
        token_rule(made.token_params(wildcards(tokens=name))["rule"])
    for name in made.config.groups:
        group_rule(made.group_params(wildcards(groups=name))["rule"])
    for name in made.config.descriptions:
        description_rule(made.description_params(wildcards(descriptions=name))["rule"])


def test_a_token_rule_is_its_preset_but_for_what_the_config_gives(plan) -> None:
    def change(config: dict) -> None:
        config["references"]["v"] = {"file": str(Path(__file__)), "licence": "MIT"}
        config["tokens"]["mine"] = {"kind": "rank", "preset": "release", "vocabulary": "v", "length": 7}

    made = plan(change)
    rule = made.token_params(wildcards(tokens="mine"))["rule"]
    assert (rule["length"], rule["id_offset"], rule["mean_rounding"], rule["gene_merge"]) == (7, 30, "half_up", "first")
    assert made.token_references(wildcards(tokens="mine")) == {"vocabulary": str(Path(__file__))}


def test_what_a_description_says_of_the_tissue_is_the_datasets(plan) -> None:
    rule = plan().description_params(wildcards(descriptions="dkan"))["rule"]
    assert rule["rewrite"]["disease"] == "human breast cancer"
    assert rule["ncbi"]["key_env"] == "NCBI_API_KEY"


def test_an_own_copy_of_a_table_is_read_in_place_and_another_fetched(plan, tmp_path: Path) -> None:
    own = tmp_path / "hgnc.txt"
    own.write_text("symbol\n")

    def change(config: dict) -> None:
        config["identifiers"]["human"] = "hgnc"
        config["references"]["hgnc"]["file"] = str(own)

    assert plan(change).gene_table("phantom") == [str(own)]
    fetched = plan(lambda config: config["identifiers"].update(human="hgnc"))
    assert fetched.gene_table("phantom") == ["results/references/hgnc/hgnc_complete_set.txt"]
    assert plan().gene_table("phantom") == []


def test_the_built_in_tables_are_part_of_what_a_panel_depends_on(plan) -> None:
    made = plan()
    params = made.panel_params(wildcards(panel="hmhvg", protocol="hmhvg"))
    assert params["names"] == {"species": "human", "tables": made.built_in_tables}


def no_file(config: dict) -> None:
    config["identifiers"]["human"] = "hgnc"
    config["references"]["hgnc"]["file"] = "/none/hgnc.txt"
    config["genes"] = [GRID | {"groups": ["genar"]}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (asking(groups=["genra"]), r"genes\.0\.groups: .*'genra'.*did you mean 'genar'"),
        (asking(text_encoders=["tfidf"]), "text_encoders embed descriptions"),
        (asking(protocols=["hmhvgg"]), "protocols: .*'hmhvgg'.*did you mean 'hmhvg'"),
        (lambda c: c["identifiers"].update(human="hgcn"), r"identifiers\.human: .*'hgcn'.*did you mean 'hgnc'"),
        (lambda c: c["tokens"]["stamp"].update(means="x"), r"tokens\.stamp\.means: .*'x'"),
        (lambda c: c["tokens"]["genar"].update(length=3), "length: not read by kind count"),
        (lambda c: c["tokens"].update(t={"kind": "rank"}), "a vocabulary .a reference., or vocab: build"),
        (lambda c: c["groups"]["genar"].update(gene_sets="hallmark"), r"groups\.genar\.gene_sets: .*order pathway"),
        (lambda c: c["groups"]["genar"].update(printed="genar/her2st"), "groups: printed"),
        (lambda c: c["panels"]["hmhvg"].update(n=None), "panel hmhvg: n: expected a number"),
        (lambda c: c["panels"]["top250_her2st"].update(printed=None), "panel top250_her2st: printed"),
        (lambda c: c["pathways"]["go"].update(universe="file"), "universe_file goes with universe released or file"),
        (lambda c: c["references"]["hgnc"].update(msigdb="h.all"), "file, url or msigdb"),
        (lambda c: c["descriptions"]["offline"].update(ncbi={}), "ncbi belongs to source: ncbi"),
        (lambda c: c["text_encoders"]["tfidf"].update(weights="hub") or asking_text(c), "null, for tfidf has none"),
        (lambda c: c["text_encoders"]["tfidf"].update(kind="tfid") or asking_text(c), "'tfid'.*did you mean 'tfidf'"),
        (lambda c: c["identifiers"].update(names="symbol"), "identifiers.names: expected published, as ceiling's"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_job(plan, change, words: str) -> None:
    with pytest.raises(DataContractError, match=words):
        plan(change)


def asking_text(config: dict) -> None:
    asking(descriptions=["offline"], text_encoders=["tfidf"])(config)


def test_a_table_that_is_not_there_is_named_when_it_is_first_needed(plan) -> None:
    with pytest.raises(DataContractError, match=r"/none/hgnc\.txt: path: expected an existing file"):
        plan(no_file).gene_table("phantom")


@pytest.mark.parametrize("field", ["key_env", "base_url"])
def test_a_key_in_the_config_is_refused_and_not_shown(plan, field: str) -> None:
    secret = "sk-proj-abcdef1234567890abcdef1234567890"
    value = secret if field == "key_env" else f"https://user:{secret}@api.openai.com/v1"
    with pytest.raises(DataContractError, match=f"rewrite.{field}: expected no secret") as caught:
        plan(lambda config: config["descriptions"]["dkan"]["rewrite"].update({field: value}))
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_masked_genes_and_subsets_over_all_slides_exclude_each_other(plan, tmp_path: Path) -> None:
    own = tmp_path / "workflow/protocols"
    own.mkdir(parents=True)
    (own / "full.yaml").write_text(
        yaml.safe_dump(
            {
                "source": "test",
                "target": {"space": "log1p"},
                "panel": "measured",
                "split": "leave_one_patient_out",
                "subsets": {"scope": "dataset"},
            }
        )
    )
    with pytest.raises(DataContractError, match=r"full\.yaml: subsets\.scope: expected train, for panel measured"):
        plan(asking(protocols=["full"], statistics=True))
