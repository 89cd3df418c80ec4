"""Sheets against files: which slides of a dataset can be used here, which cannot, and why."""

from __future__ import annotations

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


def survey(config: Config, name: str, *, repository: Path) -> Survey:
    """Join the sheet of dataset ``name`` with the files under its root, as a run does."""
    dataset = config.datasets[name]
    try:
        listed = _listed(dataset, locate(dataset.sheet, repository))
    except StainscriptError as error:
        return Survey(findings=[from_error(error, subject=name)])
    try:
        rows = read_cohorts(config, datasets=[name], repository=repository)[name]
        findings = [_summary(name, dataset, rows, total=len(listed))]
    except StainscriptError as error:
        rows, findings = {}, [_refused(error, name, listed, repository)]
    findings += _options(name, dataset, rows)
    findings += _excluded(name, dataset)
    findings += _left_out(name, dataset, [cells for cells in listed if cells["slide"] not in rows], any_here=bool(rows))
    return Survey(rows=rows, findings=findings)


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


def _refused(error: StainscriptError, name: str, listed: list[dict[str, str]], repository: Path) -> Finding:
    """The error that a run would end with; where the root is at fault, with the way to fetch the files."""
    finding = from_error(error, subject=name)
    layouts = sorted({cells["layout"] for cells in listed})
    sources = [repository / "workflow" / "sheets" / "downloads" / f"{layout}.tsv" for layout in layouts]
    if "root" not in finding.remedy or not any(path.is_file() for path in sources):
        return finding
    fetch = f"snakemake download --config 'download=[{name}]' 'datasets={{{name}: {{root: DIR}}}}'"
    remedy = f"{finding.remedy}; to fetch the files: {fetch}"
    return Finding(level="missing", subject=name, found=finding.found, remedy=remedy)


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
