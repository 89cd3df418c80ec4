"""The whole examination: every check is made, also where an earlier one found something missing."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from stainscript import encoders
from stainscript.config import Config, load
from stainscript.doctor import cohorts, copies, cost, genes, jobs, machine, patients, scales, weights
from stainscript.doctor.findings import Chapters, Finding, few, from_error, missing_in
from stainscript.encoders.base import HUB, RANDOM
from stainscript.errors import StainscriptError
from stainscript.plan import paths
from stainscript.plan.experiments import expand
from stainscript.plan.jobs import Plan


def examine(raw: Mapping[str, Any], *, repository: str | Path) -> Chapters:
    """Check what the config's experiments need, before any job. raw: the merged config.

    No job is started; Snakemake's dry run, which counts them, leaves its folder .snakemake.

    Raises nothing of this package's: what a run would end with becomes a finding, beside everything else.
    """
    repository = Path(repository)
    try:
        config = load(dict(raw), folders=("workflow", repository / "workflow"))
    except StainscriptError as error:
        here = machine.disk(paths.RESULTS, needed_bytes=0)
        return [("Config", [from_error(error, subject="config")]), ("Machine", here)]
    grids = [grid for chosen in config.experiment_sets.values() for grid in chosen.grids]
    alone = {name for wanted in (*config.features, *config.genes) for name in wanted.datasets}
    datasets = sorted({name for grid in grids for name in grid.datasets} | alone)
    grids += config.genes
    pairs = {(name, config.protocols[p].split) for grid in grids for name in grid.datasets for p in grid.protocols}
    surveys = {name: cohorts.survey(config, name, repository=repository) for name in datasets}
    rows = {name: found.rows for name, found in surveys.items() if found.rows}
    looked = {name: scales.look(found) for name, found in rows.items()}
    used = _encoders(config)
    of_encoder = dict(zip(used, weights.weights(config, used, repository=repository), strict=True))
    chapters: Chapters = [
        ("Datasets", cohorts.findings(surveys, fetched=cohorts.fetched(config, datasets, repository=repository))),
        ("Scale", [finding for name in rows for finding in scales.findings(name, looked[name])]),
        ("Spots on tissue", [finding for name in rows for finding in scales.quality(name, config, rows[name])]),
        ("Duplicate slides", copies.copies(rows)),
        ("Patients", [*patients.splits(config, rows, pairs), *patients.between(rows)]),
        ("Encoders", list(of_encoder.values())),
        ("Genes", genes.genes(config, datasets=datasets, repository=repository)),
    ]
    chapters = [(title, findings) for title, findings in chapters if findings]
    known = {str(found.error) for found in surveys.values()} | {text.found for text in missing_in(chapters)}
    return [*chapters, *_run(raw, config, repository, known, _without_weights(config, of_encoder), looked)]


def _encoders(config: Config) -> list[str]:
    """Encoders that some experiment reads features of; where the experiments are at fault, all that the sets name."""
    try:
        return sorted({name for e in expand(config).values() for name in e.encoders})
    except StainscriptError:
        grids = [grid for chosen in config.experiment_sets.values() for grid in chosen.grids]
        return sorted({part for grid in grids for joined in grid.encoders for part in joined.split("+")})


def _wants_gpu(config: Config) -> bool:
    """Whether an encoder in use is a network, or a method trains one."""
    try:
        trains = any(e.needs.gpu for e in expand(config).values())
    except StainscriptError:
        trains = False
    return trains or any(encoders.needs_gpu(config.encoders[name].kind) for name in _encoders(config))


def _run(
    raw: Mapping[str, Any],
    config: Config,
    repository: Path,
    known: Collection[str],
    absent: list[str],
    looked: Mapping[str, list[scales.Scale]],
) -> Chapters:
    """What the run will be; where the plan cannot be made, why (unless that is ``known``), and the machine alone.

    absent: encoders without their weights, whose jobs are counted all the same.
    """
    wanted = _wants_gpu(config)
    raw = _as_if_there(raw, absent)
    options = {"accelerator": config.hardware.accelerator, "devices": config.hardware.devices}
    try:
        plan = Plan(copy.deepcopy(dict(raw)), repository=repository)
        dry = jobs.dry_run(raw, snakefile=repository / "Snakefile")
    except StainscriptError as error:
        stopped = from_error(error, subject="plan")
        if {str(error), stopped.found} & set(known):
            found = "not known until what is missing above is here"
            stopped = Finding(level="note", subject="jobs, GPU-hours and disk", found=found)
        here = [*machine.disk(paths.RESULTS, needed_bytes=0), *machine.gpus(wanted=wanted, **options)]
        return [("Machine", here), ("Run", [stopped])]
    estimate = cost.estimate(plan, scales=looked, outputs=dry.outputs)
    run = jobs.findings(dry, cost=estimate)
    if absent:
        run.insert(0, Finding(level="note", subject="counted", found=f"as if the weights of {few(absent)} were here"))
    here = [*machine.disk(paths.RESULTS, needed_bytes=estimate.bytes), *machine.gpus(wanted=wanted, **options)]
    return [("Machine", here), ("Run", run)]


def _without_weights(config: Config, of_encoder: Mapping[str, Finding]) -> list[str]:
    """Encoders in use whose file of weights is not here, so that no plan can be made with them."""
    return [
        name
        for name, finding in of_encoder.items()
        if finding.level == "missing"
        and not (config.encoders[name].weights == HUB and weights.on_hub(config.encoders[name].kind))
    ]


def _as_if_there(raw: Mapping[str, Any], absent: Iterable[str]) -> dict[str, Any]:
    """The config with random weights for those, so that jobs and hours can be told all the same."""
    changed = copy.deepcopy(dict(raw))
    for name in absent:
        changed["encoders"][name] |= {"weights": RANDOM, "weights_sha256": None}
    return changed
