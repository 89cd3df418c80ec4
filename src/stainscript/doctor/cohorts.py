"""Sheets against files: which slides of a dataset can be used here, which cannot, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stainscript.config import Config, Dataset
from stainscript.datasets import base
from stainscript.doctor.findings import SHOWN, Finding, few, from_error
from stainscript.errors import StainscriptError
from stainscript.plan.cohorts import Row, locate, read_cohorts


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One dataset as it is here: its usable slides by name, none where it cannot be read, and what was found."""

    rows: dict[str, Row] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    error: StainscriptError | None = None  # what a run would end with
    rootless: bool = False  # nobody said where its files are


def survey(config: Config, name: str, *, repository: Path) -> Survey:
    """Join the sheet of dataset ``name`` with the files under its root, as a run does."""
    dataset = config.datasets[name]
    rootless = dataset.generator is None and dataset.root is None
    try:
        listed = _listed(dataset, locate(dataset.sheet, repository))
    except StainscriptError as error:
        return Survey(findings=[from_error(error, subject=name)], error=error, rootless=rootless)
    refused = None
    try:
        rows = read_cohorts(config, datasets=[name], repository=repository)[name]
        findings = [_summary(name, dataset, rows, total=len(listed))]
    except StainscriptError as error:
        finding = from_error(error, subject=name)
        of_root = rootless and f"datasets.{name}.root" in finding.found  # said of all datasets together
        rows, findings, refused = {}, [] if of_root else [finding], error
    findings += _options(name, dataset, rows)
    findings += _excluded(name, dataset)
    findings += _left_out(name, dataset, [cells for cells in listed if cells["slide"] not in rows], any_here=bool(rows))
    return Survey(rows=rows, findings=findings, error=refused, rootless=rootless)


def findings(surveys: Mapping[str, Survey], *, fetched: Collection[str]) -> list[Finding]:
    """All datasets' findings, those without a root in one. fetched: datasets that ``snakemake download`` knows."""
    found = [finding for survey in surveys.values() for finding in survey.findings]
    rootless = [name for name, survey in surveys.items() if survey.rootless]
    if not rootless:
        return found
    remedy = (
        f"set datasets.{rootless[0]}.root in config.yaml, or pass --config 'datasets={{{rootless[0]}: {{root: DIR}}}}'"
    )
    if rootless[0] in fetched:
        fetch = f"snakemake download --config 'download=[{rootless[0]}]' 'datasets={{{rootless[0]}: {{root: DIR}}}}'"
        remedy += f"; to fetch the files: {fetch}"
    remedy += "; likewise for the others" if len(rootless) > 1 else ""
    text = "no root: nobody said in which folder the raw files are"
    return [*found, Finding(level="missing", subject=", ".join(rootless), found=text, remedy=remedy)]


def fetched(config: Config, names: Iterable[str], *, repository: Path) -> set[str]:
    """Those datasets of which a manifest says where the files come from."""
    chosen = {name: config.datasets[name] for name in names}
    manifests = {
        name: dataset.downloads or f"workflow/sheets/downloads/{Path(dataset.sheet).name}"
        for name, dataset in chosen.items()
    }
    return {name for name, file in manifests.items() if Path(file).is_file() or (repository / file).is_file()}


def _listed(dataset: Dataset, sheet: Path) -> list[dict[str, str]]:
    """Rows of the sheet that the dataset is made of, excluded slides among them."""
    rows = base.read_sheet(sheet)
    return [cells for cells in rows if all(cells.get(column) == cell for column, cell in dataset.only.items())]


def _summary(name: str, dataset: Dataset, rows: dict[str, Row], *, total: int) -> Finding:
    measured = sum(row.measured for row in rows.values())
    if dataset.generator is not None:
        found = f"{len(rows)} slides ({measured} with expression), drawn by {dataset.generator}"
    else:
        found = f"{len(rows)} of {total} slides are used and have all their files ({measured} with expression)"
    return Finding(level="ok", subject=name, found=found)


def _options(name: str, dataset: Dataset, rows: dict[str, Row]) -> list[Finding]:
    """Options that a layout does not have or does not take: a run would find them when it ingests."""
    findings = []
    for layout in sorted({row.layout for row in rows.values() if not row.generated}):
        try:
            base.checked_options(base.load(layout), dataset.options)
        except StainscriptError as error:
            findings.append(from_error(error, subject=f"{name} options"))
    return findings


def _excluded(name: str, dataset: Dataset) -> list[Finding]:
    given = list(dataset.exclude.items())
    findings = [
        Finding(level="note", subject=f"{name} {slide}", found=f"excluded: {reason}") for slide, reason in given[:SHOWN]
    ]
    if len(given) > SHOWN:
        others = few([slide for slide, _ in given[SHOWN:]], shown=3 * SHOWN)
        findings.append(Finding(level="note", subject=name, found=f"{len(given) - SHOWN} more excluded: {others}"))
    return findings


def _left_out(name: str, dataset: Dataset, absent: list[dict[str, str]], *, any_here: bool) -> list[Finding]:
    """Slides whose files are not all here, in one line with the first reasons."""
    root = None if dataset.root is None else Path(dataset.root).expanduser()
    if dataset.generator is not None or root is None or not root.is_dir():
        return []
    reasons = []
    for cells in absent:
        if cells["slide"] in dataset.exclude:
            continue
        layout = base.load(cells["layout"])
        try:
            reason = layout.missing(cells, root, **base.file_options(layout, dataset.options))
        except StainscriptError:  # of the options: already among the findings
            return []
        if reason is not None:
            reasons.append(f"{cells['slide']} ({reason})")
    if not reasons:
        return []
    found = f"{len(reasons)} left out for want of files: {few(reasons)}"
    remedy = f"put the files under {dataset.root}" + ("; the run goes on without these slides" if any_here else "")
    return [Finding(level="note", subject=name, found=found, remedy=remedy)]
