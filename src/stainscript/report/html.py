"""The self-contained report: one HTML file with tables, distributions and maps, and no request to anywhere."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

import stainscript
from stainscript.report.blocks import CONTROLS, UNDEFINED
from stainscript.report.leaderboard import blocks

TEMPLATES = Path(__file__).with_name("templates")
SCRIPTS = ("tables.js", "colours.js", "distributions.js", "drawing.js", "maps.js")
HEAT_METRIC, HEAT_SUBSET = "pcc", "all"


def experiment_labels(experiments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Experiment → the shortest text that tells it apart within its dataset and protocol."""

    def short(e: Mapping[str, Any]) -> str:
        return f"{e['method']}, {e['encoder']}" if e["encoder"] not in ("", "none") else str(e["method"])

    seen = Counter((e["dataset"], e["protocol"], short(e)) for e in experiments)
    unique = {e["name"]: seen[e["dataset"], e["protocol"], short(e)] == 1 for e in experiments}
    return {e["name"]: short(e) if unique[e["name"]] else f"{short(e)} ({e['name']})" for e in experiments}


def overview(
    slides: pd.DataFrame, infos: Sequence[Any], experiments: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What was run, a row a dataset: slides, patients, spots scored, protocols, experiments, folds, seeds."""
    rows = []
    for dataset in dict.fromkeys(e["dataset"] for e in experiments):
        here = [e for e in experiments if e["dataset"] == dataset]
        mine = [info for info in infos if info.dataset == dataset]
        scored = slides[slides["experiment"].isin([e["name"] for e in here])]
        rows.append(
            {
                "dataset": dataset,
                "slides": sum(info.has_expression for info in mine),
                "unmeasured": sum(not info.has_expression for info in mine),
                "patients": len({info.patient for info in mine}),
                "spots": int(scored.groupby("slide")["n_spots"].max().sum()),
                "protocols": ", ".join(dict.fromkeys(e["protocol"] for e in here)),
                "experiments": len(here),
                "folds": int(scored.groupby("experiment")["fold"].nunique().max()) if len(scored) else 0,
                "seeds": ", ".join(map(str, sorted({seed for e in here for seed in e["seeds"]}))),
            }
        )
    return rows


def slide_tables(
    slides: pd.DataFrame, experiments: Sequence[Mapping[str, Any]], labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """PCC of each slide under each experiment (mean over folds and seeds), a table a dataset and protocol."""
    chosen = slides[(slides["metric"] == HEAT_METRIC) & (slides["subset"] == HEAT_SUBSET)]
    means = chosen.groupby(["experiment", "slide"])["value"].mean()
    tables = []
    for dataset, protocol in dict.fromkeys((e["dataset"], e["protocol"]) for e in experiments):
        here = [e for e in experiments if (e["dataset"], e["protocol"]) == (dataset, protocol)]
        here.sort(key=lambda e: e["method"] in CONTROLS)
        names = sorted(chosen.loc[chosen["experiment"].isin([e["name"] for e in here]), "slide"].unique())
        rows = []
        for e in here:
            values = [float(means.get((e["name"], slide), math.nan)) for slide in names]
            cells = [{"text": _short(v), "value": v, "colour": _heat(v)} for v in values]
            rows.append({"label": labels[e["name"]], "control": e["method"] in CONTROLS, "cells": cells})
        tables.append({"dataset": dataset, "protocol": protocol, "slides": names, "rows": rows})
    return tables


def render(
    *,
    title: str,
    leaderboards: Mapping[str, pd.DataFrame],
    slides: pd.DataFrame,
    infos: Sequence[Any],
    experiments: Sequence[Mapping[str, Any]],
    figures: Sequence[Mapping[str, Any]],
    atlas: Mapping[str, Any],
    inputs_sha256: str,
) -> str:
    """The whole report as text; the same arguments give the same bytes.

    leaderboards: set → tidy leaderboard; slides: rows of all ``slides.parquet``; infos: ``SlideInfo`` records;
    experiments: records (name, dataset, method, encoder, protocol, seeds); figures: ``distributions(...)``;
    atlas: ``maps.atlas(...)``; inputs_sha256: digest of everything the report was made from.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels = experiment_labels(experiments)
    return environment.get_template("report.html").render(
        title=title,
        css=_verbatim("report.css"),
        scripts=[_verbatim(name) for name in SCRIPTS],
        overview=overview(slides, infos, experiments),
        sets={name: blocks(frame) for name, frame in leaderboards.items()},
        slide_tables=slide_tables(slides, experiments, labels),
        undefined=UNDEFINED,
        figures=figures,
        atlas=atlas,
        figures_json=_json(figures),
        atlas_json=_json(atlas),
        inputs_sha256=inputs_sha256,
        version=stainscript.__version__,
    )


def _verbatim(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _json(value: object) -> Markup:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # nothing in the data can end the script element


def _short(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _heat(value: float) -> str:
    """Blue for positive, orange for negative, deeper with size; pale enough for dark text."""
    if math.isnan(value):
        return "transparent"
    channel = "0 114 178" if value >= 0 else "213 94 0"
    return f"rgb({channel} / {min(abs(value), 1) * 0.65:.2f})"
