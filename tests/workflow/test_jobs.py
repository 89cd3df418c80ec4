"""What runs again after what: the job lists that DESIGN rule 4 promises."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

RIDGE = "phantom.hmhvg.ridge.morphology"


def test_a_fresh_folder_plans_methods_times_folds_times_seeds_fits(fresh, tmp_path: Path) -> None:
    space = fresh(tmp_path)
    counts = space.counts()
    assert [path.name for path in space.folder.iterdir() if path.name != ".snakemake"] == ["config.yaml"]
    assert counts["fit"] == 8 * 3
    unmeasured = 2 * 3  # two methods also predict the slide without expression, in every fold
    assert counts["predict"] + counts["predict_control"] == 8 * 6 + unmeasured
    assert counts["predict_control"] == 2 * 6
    assert counts["score"] == 8 * 3
    assert (counts["ingest_slide"], counts["ingest_image"]) == (6, 1)
    assert (counts["check_slide"], counts["encode_slide"]) == (7, 7)
    assert counts["extract_patches"] == counts["fetch_weights"] == counts["download_file"] == 0
    assert counts["select_panel"] == 3
    assert counts["tabulate"] == counts["write_report"] == counts["make_split"] == 1


def test_a_finished_run_has_nothing_to_do(phantom_run) -> None:
    assert phantom_run.plan() == []


def test_forcing_one_fold_runs_that_fold_and_what_aggregates_it(phantom_run) -> None:
    jobs = phantom_run.plan("--forcerun", f"results/runs/{RIDGE}/fold1/seed0/checkpoint.safetensors")
    assert_one_fold(jobs)


def test_a_lost_fold_is_made_again_alone(phantom_copy) -> None:
    for kind in ("runs", "predictions", "metrics"):
        shutil.rmtree(phantom_copy.folder / "results" / kind / RIDGE / "fold1")
    assert_one_fold(phantom_copy.plan())


def assert_one_fold(jobs) -> None:
    own = [job for job in jobs if job.rule in {"fit", "predict", "score"}]
    assert sorted(job.rule for job in own) == ["fit", *["predict"] * 3, "score"]  # two test slides, one unmeasured
    assert {(job.wildcards["experiment"], job.wildcards["fold"]) for job in own} == {(RIDGE, "1")}
    assert sorted(job.rule for job in jobs if job not in own) == ["tabulate", "write_report"]


def test_one_option_of_mlp_reruns_mlp_only(phantom_copy) -> None:
    phantom_copy.configure(lambda c: c["methods"]["mlp"]["options"].update(epochs=7))
    jobs = phantom_copy.plan()
    own = [job for job in jobs if job.rule not in {"tabulate", "write_report"}]
    assert {job.wildcards["experiment"] for job in own} == {"phantom.hmhvg.mlp.morphology"}
    assert sorted({job.rule for job in own}) == ["fit", "predict", "score"]
    assert sum(job.rule == "fit" for job in own) == 3


def test_another_method_adds_exactly_its_own_jobs(phantom_copy) -> None:
    phantom_copy.configure(
        lambda c: c["methods"].update(
            ridge_strong={"method": "ridge", "options": {"alpha": 1000.0, "select": "fixed"}},
            ridge_idle={"method": "ridge"},  # an entry that no experiment names
        )
    )
    controls = ("oracle", "ceiling", "mean", "shuffled", "coordinates", "nearest")
    phantom_copy.compare_only(*controls, "ridge", "mlp", "ridge_strong")
    jobs = phantom_copy.plan()
    own = [job for job in jobs if job.rule not in {"tabulate", "write_report"}]
    assert {job.wildcards["experiment"] for job in own} == {"phantom.hmhvg.ridge_strong.morphology"}
    assert Counter(job.rule for job in own) == {"fit": 3, "predict": 6, "score": 3}


def test_how_often_a_fit_saves_and_how_many_threads_decode_rerun_nothing(phantom_copy) -> None:
    phantom_copy.configure(lambda c: c["hardware"].update(save_every_s=5, workers=7))
    assert phantom_copy.plan() == []


def test_a_changed_constant_in_evaluation_reruns_scoring_only(edited_copy) -> None:
    path = edited_copy.repository / "src/stainscript/evaluation/correlation.py"
    path.write_text(path.read_text() + "\nPLANTED_CONSTANT = 1\n")
    counts = edited_copy.counts()
    assert set(counts) == {"score", "tabulate", "write_report"}
    assert counts["score"] == 8 * 3


def test_a_changed_constant_in_one_method_reruns_that_method_only(edited_copy) -> None:
    path = edited_copy.repository / "src/stainscript/methods/ridge/method.py"
    path.write_text(path.read_text() + "\nPLANTED_CONSTANT = 1\n")
    own = [job for job in edited_copy.plan() if job.rule in {"fit", "predict", "predict_control"}]
    assert {job.wildcards["experiment"] for job in own} == {RIDGE}


def test_comments_docstrings_and_touches_rerun_nothing(edited_copy) -> None:
    sources = edited_copy.repository
    for path in [*sources.rglob("*.py"), *sources.rglob("*.smk"), sources / "Snakefile"]:
        path.write_text(path.read_text() + "\n# a comment\n")
    for path in [*sources.glob("envs/*.yaml"), *sources.rglob("*.tsv")]:
        os.utime(path)
    for path in sources.glob("envs/*.yaml"):
        path.write_text("# a comment\n" + path.read_text())
    module = sources / "src/stainscript/evaluation/errors.py"
    module.write_text(module.read_text().replace('"""', '"""Reworded. ', 1))
    assert edited_copy.plan() == []


def test_touched_raw_files_rerun_nothing(phantom_copy) -> None:
    touched = [path for path in (phantom_copy.folder / "results/raw").rglob("*") if path.is_file()]
    for path in touched:
        os.utime(path)
    assert len(touched) > 20
    assert phantom_copy.plan() == []


def test_a_changed_pin_reruns_the_jobs_of_that_environment(edited_copy) -> None:
    path = edited_copy.repository / "envs/report.yaml"
    path.write_text(path.read_text() + "  - a-new-package=1.0\n")
    assert set(edited_copy.counts()) == {"tabulate", "write_report"}


def test_deleted_tables_are_rebuilt_from_metrics_alone(phantom_copy) -> None:
    shutil.rmtree(phantom_copy.folder / "results/tables")
    assert set(phantom_copy.counts()) == {"tabulate", "write_report"}


def test_the_first_lines_name_the_default_profile(phantom_run) -> None:
    done = phantom_run.snakemake("--dry-run")
    assert "profiles/default" in done.stdout + done.stderr


def test_every_rule_has_log_benchmark_and_environment(repository: Path) -> None:
    text = "".join(path.read_text() for path in sorted((repository / "workflow/rules").glob("*.smk")))
    blocks = re.split(r"\n\s*rule\b", text)[1:]  # what another `use`s, it has from that one
    targets = [block for block in blocks if "output:" not in block]
    assert [block.split(":")[0].strip() for block in targets] == ["download"]
    blocks = [block for block in blocks if block not in targets]
    assert len(blocks) >= 15
    for block in blocks:
        for directive in ("log:", "benchmark:", "conda:", "script:"):
            assert f"    {directive}" in block, (block.splitlines()[0], directive)
