"""Write the report of everything that was run, as one HTML file."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stainscript.artifacts.files import complete_file, file_sha256
from stainscript.errors import DataContractError, unknown_name
from stainscript.report.figures.distribution import distributions
from stainscript.report.figures.maps import Run, atlas, thumbnail_uri
from stainscript.report.html import experiment_labels, render
from stainscript.report.leaderboard import read_leaderboard
from stainscript.types import SlideInfo

logger = logging.getLogger(__name__)

GENE_COLUMNS = ["experiment", "fold", "seed", "slide", "gene_id", "symbol", "pcc", "in_heg", "in_hvg"]
MAP_COLUMNS = ["slide", "gene_id", "symbol", "x_px", "y_px", "measured", "predicted"]


def write_report(
    *,
    title: str,
    tables: Mapping[str, str | Path],
    slides: Sequence[str | Path],
    genes: Sequence[str | Path],
    maps: Sequence[str | Path],
    infos: Sequence[str | Path],
    thumbnails: Sequence[str | Path],
    experiments: Sequence[Mapping[str, Any]],
    out: str | Path,
) -> None:
    """Write ``report.html``, self-contained and deterministic.

    tables: experiment set → its ``leaderboard.tsv``; slides, genes, maps: Parquet files of all runs; infos,
    thumbnails: JSON and JPEG of all slides; experiments: records with name, dataset, method, encoder, protocol, seeds.
    A maps file belongs to the run that the ``slides.parquet`` in its folder states; a thumbnail to the JSON beside it.
    Raises ``DataContractError`` when a file has no such partner or names an unknown experiment.
    """
    experiments = list({e["name"]: dict(e) for e in experiments}.values())  # one may stand in several sets
    labels = experiment_labels(experiments)
    frames = {Path(path).parent: pd.read_parquet(path) for path in slides}
    runs = {folder: _run(folder, frame, experiments) for folder, frame in frames.items()}
    slide_rows = pd.concat(frames.values(), ignore_index=True)
    gene_rows = pd.concat([pd.read_parquet(path, columns=GENE_COLUMNS) for path in genes], ignore_index=True)
    map_frames = [(_owner(Path(path), runs), pd.read_parquet(path, columns=MAP_COLUMNS)) for path in maps]
    slide_infos = {Path(path): _info(Path(path)) for path in infos}
    text = render(
        title=title,
        leaderboards={name: read_leaderboard(path) for name, path in tables.items()},
        slides=slide_rows,
        infos=list(slide_infos.values()),
        experiments=experiments,
        figures=distributions(gene_rows, experiments, labels),
        atlas=atlas(
            map_frames,
            pcc=_pcc_of_drawn(gene_rows, map_frames),
            spaces=slide_rows.groupby("experiment")["space"].first().to_dict(),
            labels=labels,
            experiments={e["name"]: e for e in experiments},
            slides=_drawn_slides(slide_infos, [Path(path) for path in thumbnails], map_frames),
        ),
        inputs_sha256=_digest([*tables.values(), *slides, *genes, *maps, *infos, *thumbnails]),
    )
    with complete_file(out) as path:
        path.write_text(text, encoding="utf-8")
    logger.info("wrote %s: %d experiments, %.1f MB", out, len(experiments), len(text) / 1e6)


def _run(folder: Path, frame: pd.DataFrame, experiments: Sequence[Mapping[str, Any]]) -> Run:
    """The one run whose metrics ``folder`` holds."""
    found = frame[["experiment", "fold", "seed"]].drop_duplicates()
    if len(found) != 1:
        raise DataContractError(
            folder / "slides.parquet",
            "experiment, fold, seed",
            expected="one run",
            found=len(found),
            remedy="score again",
        )
    run = Run(experiment=found["experiment"].iloc[0], fold=int(found["fold"].iloc[0]), seed=int(found["seed"].iloc[0]))
    known = [e["name"] for e in experiments]
    if run.experiment not in known:
        raise unknown_name(folder / "slides.parquet", "experiment", run.experiment, known)
    return run


def _owner(path: Path, runs: Mapping[Path, Run]) -> Run:
    if path.parent not in runs:
        raise DataContractError(
            path,
            "run",
            expected="the slides.parquet of the same run in the same folder",
            found="none among the inputs",
            remedy="give the slides and maps files of the same runs",
        )
    return runs[path.parent]


def _info(path: Path) -> SlideInfo:
    return SlideInfo(**json.loads(path.read_text(encoding="utf-8")))


def _drawn_slides(
    infos: Mapping[Path, SlideInfo], thumbnails: Sequence[Path], maps: Sequence[tuple[Run, pd.DataFrame]]
) -> dict[tuple[str, str], tuple[SlideInfo, str]]:
    """(dataset, slide) → info and thumbnail, for the slides that some map shows."""
    names = {slide for _, frame in maps for slide in frame["slide"].unique()}
    found = {}
    for path, info in infos.items():
        picture = path.with_name(f"{info.slide}.thumbnail.jpg")
        if info.slide not in names:
            continue
        if picture not in thumbnails:
            raise DataContractError(
                picture, "thumbnail", expected="one among the inputs", found="none", remedy="give it beside its JSON"
            )
        found[info.dataset, info.slide] = (info, thumbnail_uri(picture))
    return found


def _pcc_of_drawn(genes: pd.DataFrame, maps: Sequence[tuple[Run, pd.DataFrame]]) -> dict[tuple[Run, str, str], float]:
    """(run, slide, gene id) → PCC, for the genes that some map shows."""
    drawn = {gene for _, frame in maps for gene in frame["gene_id"].unique()}
    part = genes[genes["gene_id"].isin(drawn)]
    return {
        (Run(experiment=g.experiment, fold=int(g.fold), seed=int(g.seed)), g.slide, g.gene_id): float(g.pcc)
        for g in part.itertuples(index=False)
    }


def _digest(paths: Sequence[str | Path]) -> str:
    """SHA-256 over the contents of all inputs, whatever their folders and order."""
    return hashlib.sha256("\n".join(sorted(map(file_sha256, paths))).encode()).hexdigest()
