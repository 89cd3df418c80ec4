"""µm per pixel of every slide and whether its spots lie on tissue: by what is stated, and by what was found before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from stainscript.config import Config
from stainscript.datasets.hest_release import pixel_size, read_metadata
from stainscript.datasets.scale import MPP_TOLERANCE
from stainscript.doctor.findings import SHOWN, Finding, counted, few, from_error
from stainscript.errors import StainscriptError
from stainscript.plan import paths
from stainscript.plan.cohorts import Row
from stainscript.slides.base import unreadable
from stainscript.slides.open import PLAIN_STARTS, open_slide

READERS = 8  # slides opened at once: their headers come from a disk or a network
USUAL_MPP = (0.1, 2.0)  # µm per pixel of full-resolution scans; 40× is 0.25, ST's 20× about 0.7


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One slide's µm per pixel, where it comes from, its size in pixels, and what is wrong with it."""

    slide: str
    mpp: float | None = None  # None: known at ingest alone
    source: str = ""
    size_px: tuple[int, int] | None = None
    problem: Finding | None = None


def look(cohort: Mapping[str, Row]) -> list[Scale]:
    """Every slide of one dataset: the ingested record where there is one, else sheet, metadata or spot grid."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(_look, cohort.values()))


def findings(name: str, scales: list[Scale]) -> list[Finding]:
    """One line for the dataset's slides, and one for each of the first that are at fault or unusual."""
    if not scales:
        return []
    good = [scale for scale in scales if scale.source]
    known = sorted(scale.mpp for scale in good if scale.mpp is not None)
    ends = [f"{mpp:.3g}" for mpp in (*known[:1], *known[-1:])]
    values = f"{' to '.join(dict.fromkeys(ends))} µm/px, " if ends else ""
    sources = Counter(scale.source for scale in good)
    listed = ", ".join(f"{source} ({count})" for source, count in sources.most_common())
    found = (
        [Finding(level="ok", subject=name, found=f"{counted(len(good), 'slide')}: {values}from {listed}")]
        if good
        else []
    )
    problems = [scale.problem for scale in scales if scale.problem is not None]
    for level in ("missing", "note"):
        those = [problem for problem in problems if problem.level == level]
        found += those[:SHOWN]
        if len(those) > SHOWN:
            names = few([problem.subject.split()[-1] for problem in those[SHOWN:]], shown=3 * SHOWN)
            also = f"{len(those) - SHOWN} more with a scale that is missing, contradicted or unusual: {names}"
            found.append(Finding(level=level, subject=name, found=also, remedy=those[0].remedy))
    return found


def quality(name: str, config: Config, cohort: Mapping[str, Row]) -> list[Finding]:
    """The verdicts on slides that were checked here before: all in one line, those that did not pass by name."""
    counts: Counter[str] = Counter()
    deviating = []
    for row in cohort.values():
        numbers = _verdict(row)
        if numbers is None:
            continue
        counts[numbers["verdict"]] += 1
        if numbers["verdict"] != "pass":
            deviating.append(_deviation(row, numbers, stops=config.quality.on_fail == "error"))
    if not counts:
        return []
    words = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    found = [Finding(level="ok", subject=name, found=f"{counts.total()} of {len(cohort)} slides checked: {words}")]
    found += deviating[:SHOWN]
    if len(deviating) > SHOWN:
        others = few([finding.subject.split()[-1] for finding in deviating[SHOWN:]], shown=3 * SHOWN)
        found.append(Finding(level="note", subject=name, found=f"{len(deviating) - SHOWN} more did not pass: {others}"))
    return found


def _look(row: Row) -> Scale:
    record = Path(paths.info(row.dataset, row.slide))
    if record.is_file():
        info = json.loads(record.read_text())
        size = (info["width_px"], info["height_px"])
        return _judged(row, info["mpp"], f"{info['mpp_source']}, as ingested", size=size)
    if row.generated:
        return Scale(slide=row.slide, source="the drawing, when it is made")
    if "image" not in row.files:
        return Scale(slide=row.slide, source="stored patches")
    try:
        stated, size = _stated(Path(row.files["image"]))
        released = _released(row)
    except StainscriptError as error:
        return Scale(slide=row.slide, problem=from_error(error, subject=f"{row.dataset} {row.slide}"))
    if row.cells.get("mpp"):
        return _of_sheet(row, stated if released is None else released, size)
    if released is not None:
        return _judged(row, released, "the dataset's metadata", size=size)
    if stated is not None:
        return _judged(row, stated, "metadata", size=size)
    if row.measured:
        return Scale(slide=row.slide, source="the spot grid, at ingest", size_px=size)
    found = "no µm/px in sheet or metadata, and no spots to tell it"
    return Scale(slide=row.slide, problem=_problem(row, "missing", found, _fill(row)))


def _stated(image: Path) -> tuple[float | None, tuple[int, int]]:
    """µm per pixel by the image's metadata, and its size. Plain images state no scale; they are not decoded."""
    if image.is_file() and image.suffix.lower() != ".mrxs":
        with image.open("rb") as handle:
            plain = handle.read(4).startswith(PLAIN_STARTS)
        if plain:
            try:
                with Image.open(image) as opened:
                    return None, opened.size
            except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
                raise unreadable(image, "image", expected="a JPEG or PNG", found=error) from error
    with open_slide(image) as slide:
        return slide.mpp, (slide.width_px, slide.height_px)


def _released(row: Row) -> float | None:
    """µm per pixel by a file that the dataset brings for it (HEST's ``metadata/``), which outranks the image's own."""
    if "metadata" not in row.files:
        return None
    path = Path(row.files["metadata"])
    return pixel_size(read_metadata(path), path=path)


def _of_sheet(row: Row, stated: float | None, size: tuple[int, int]) -> Scale:
    """The sheet's value, against the metadata's: without spots nobody can tell which of two is right."""
    mpp = float(row.cells["mpp"])
    if stated is None or abs(mpp - stated) <= MPP_TOLERANCE * stated:
        return _judged(row, mpp, "sheet", size=size)
    found = f"{mpp:.4g} µm/px in the sheet, {stated:.4g} in the metadata"
    if row.measured:
        problem = _problem(row, "note", f"{found}: the sheet holds if the spot grid agrees with it", _fill(row))
        return Scale(slide=row.slide, mpp=mpp, source="sheet", size_px=size, problem=problem)
    remedy = "correct the sheet's column mpp or empty it; if the metadata are wrong, remove them from the image"
    return Scale(slide=row.slide, problem=_problem(row, "missing", found, remedy), size_px=size)


def _judged(row: Row, mpp: float, source: str, *, size: tuple[int, int]) -> Scale:
    problem = None
    if not USUAL_MPP[0] <= mpp <= USUAL_MPP[1]:
        found = f"{mpp:.3g} µm/px by {source}: unusual for a scanned slide"
        problem = _problem(row, "note", found, f"compare with the scanner's objective; if it is wrong, {_fill(row)}")
    return Scale(slide=row.slide, mpp=mpp, source=source, size_px=size, problem=problem)


def _problem(row: Row, level: Any, found: str, remedy: str) -> Finding:
    return Finding(level=level, subject=f"{row.dataset} {row.slide}", found=found, remedy=remedy)


def _fill(row: Row) -> str:
    return f"fill the sheet's column mpp for slide {row.slide}"


def _verdict(row: Row) -> dict[str, Any] | None:
    """The slide's quality record, or the copy that a failed check leaves beside its log."""
    record = Path(paths.quality(row.dataset, row.slide))
    kept = Path(paths.path("logs", "check_slide", f"{row.dataset}.{row.slide}"), record.name)
    for path in (record, kept):
        if path.is_file():
            return json.loads(path.read_text()) | {"folder": path.parent}
    return None


def _deviation(row: Row, numbers: Mapping[str, Any], *, stops: bool) -> Finding:
    picture = Path(numbers["folder"]) / Path(paths.quality(row.dataset, row.slide, "jpg")).name
    remedy = f"look at {picture}; correct the positions, or datasets.{row.dataset}.exclude: {{{row.slide}: <reason>}}"
    if numbers["verdict"] == "fail" and stops:
        remedy += "; quality.on_fail: warn goes on"
    found = f"{numbers['verdict']}: {'; '.join(numbers['reasons'])}"
    return _problem(row, "missing" if numbers["verdict"] == "fail" and stops else "note", found, remedy)
