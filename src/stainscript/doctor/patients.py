"""Who stands on both sides: patients within a dataset's splits, donors and slides that two datasets share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from stainscript.config import Config
from stainscript.datasets.overlaps import shared_donors
from stainscript.doctor.findings import Finding, counted, few, from_error
from stainscript.errors import StainscriptError
from stainscript.plan.cohorts import Row
from stainscript.plan.folds import folds_of
from stainscript.types import Fold

APART = "never train on one and test on the other, or leave these slides out of one by its exclude list"


def splits(config: Config, cohorts: Mapping[str, Mapping[str, Row]], pairs: Iterable[tuple[str, str]]) -> list[Finding]:
    """Each (dataset, split) in use: its folds, and the patients that it puts into both train and test."""
    return [
        _of_split(config, dataset, split, cohorts[dataset]) for dataset, split in sorted(pairs) if dataset in cohorts
    ]


def between(cohorts: Mapping[str, Mapping[str, Row]]) -> list[Finding]:
    """Donors that stand under two names, and slides (HEST ids) that stand in two datasets or twice in one."""
    cells = {name: [row.cells for row in rows.values()] for name, rows in cohorts.items()}
    findings = [_twice_in(name, rows) for name, rows in cohorts.items()]
    within = {name: shared_donors(rows) for name, rows in cells.items()}
    findings += [_renamed(name, found) for name, found in within.items()]
    for first, second in combinations(sorted(cohorts), 2):
        found = [pair for pair in shared_donors(cells[first] + cells[second]) if pair not in within[first]]
        found = [pair for pair in found if pair not in within[second]]
        findings += [_shared_donors(first, second, found), _shared_slides(first, second, cohorts)]
    made = [finding for finding in findings if finding is not None]
    if made or not cohorts:
        return made
    alone = "no patient named twice" if len(cohorts) == 1 else "no known donor or slide in two of them"
    return [Finding(level="ok", subject="known overlaps", found=f"{', '.join(sorted(cohorts))}: {alone}")]


def _of_split(config: Config, dataset: str, split: str, cohort: Mapping[str, Row]) -> Finding:
    subject = f"{dataset}, {split}"
    patients = {row.slide: row.patient for row in cohort.values() if row.measured}
    try:
        folds = folds_of(config, dataset=dataset, split=split, patients=patients)
    except StainscriptError as error:
        return from_error(error, subject=subject)
    shared = _on_both_sides(folds, patients)
    if shared:
        found = f"{len(folds)} folds; patients in both train and test: {few(shared)} (allow_shared_patients is set)"
        remedy = "right where the protocol means it; leave_one_patient_out keeps patients apart"
        return Finding(level="note", subject=subject, found=found, remedy=remedy)
    used = {slide for fold in folds for slide in (*fold.train, *fold.val, *fold.test)}
    people = len({patients[slide] for slide in used})
    found = f"{len(folds)} folds of {len(used)} slides and {people} patients, none of them on both sides"
    return Finding(level="ok", subject=subject, found=found)


def _on_both_sides(folds: Iterable[Fold], patients: Mapping[str, str]) -> list[str]:
    shared = set()
    for fold in folds:
        shared |= {patients[s] for s in fold.test} & {patients[s] for s in (*fold.train, *fold.val)}
    return sorted(shared)


def _twice_in(name: str, rows: Mapping[str, Row]) -> Finding | None:
    by_id: dict[str, list[str]] = {}
    for row in rows.values():
        if row.cells.get("hest_id"):
            by_id.setdefault(row.cells["hest_id"], []).append(row.slide)
    twice = [f"{hest_id} ({', '.join(slides)})" for hest_id, slides in by_id.items() if len(slides) > 1]
    if not twice:
        return None
    remedy = "correct the sheet's column hest_id; if it is right, exclude all but one"
    return Finding(level="note", subject=name, found=f"one HEST id, several slides: {few(twice)}", remedy=remedy)


def _renamed(name: str, found: list[tuple[tuple[str, str], tuple[str, str]]]) -> Finding | None:
    if not found:
        return None
    remedy = "give both one name in the sheet's column patient, so that folds keep them together, or exclude one"
    return Finding(level="note", subject=name, found=f"one donor, two names: {few(_named(found))}", remedy=remedy)


def _shared_donors(first: str, second: str, found: list[tuple[tuple[str, str], tuple[str, str]]]) -> Finding | None:
    if not found:
        return None
    subject = f"{first} and {second}"
    return Finding(level="note", subject=subject, found=f"the same donors: {few(_named(found))}", remedy=APART)


def _named(found: list[tuple[tuple[str, str], tuple[str, str]]]) -> list[str]:
    return [f"{one_layout} {one} = {other_layout} {other}" for (one_layout, one), (other_layout, other) in found]


def _shared_slides(first: str, second: str, cohorts: Mapping[str, Mapping[str, Row]]) -> Finding | None:
    ids = [
        {row.cells["hest_id"]: row.slide for row in cohorts[name].values() if row.cells.get("hest_id")}
        for name in (first, second)
    ]
    shared = [f"{slide} = {ids[1][key]} ({key})" for key, slide in ids[0].items() if key in ids[1]]
    if not shared:
        return None
    found = f"the same by HEST id: {counted(len(shared), 'slide')}: {few(shared)}"
    return Finding(level="note", subject=f"{first} and {second}", found=found, remedy=APART)
