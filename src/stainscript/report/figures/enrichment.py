"""Dot plot of pathways in gene groups as SVG: size is the number of shared genes, colour how unlikely that many are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from stainscript.errors import DataContractError
from stainscript.genes.pathways.enrichment import ADJUSTED
from stainscript.report.figures import svg

HEAD_PX = 17
STEP_PX, RADIUS_PX, GAP_PX = 24, 10.0, 12  # between rows and columns; of the largest dot; around parts
LEGEND_PX, BAR_PX = 170, 140  # width of the legend; length of its colour bar
LEAST_P = 1e-300


@dataclass(frozen=True, kw_only=True)
class _Chart:
    """What is drawn: the terms and groups that share genes, in order, and the dots; ``p`` is the p-value in use."""

    terms: list[str]
    groups: list[str]
    dots: pd.DataFrame
    p: str
    top: float  # upper end of the colours, −log10 p
    most: int  # genes of the largest dot
    left_out: int  # groups that share no gene with the terms shown


def dot_plot(table: pd.DataFrame, *, title: str, terms: int = 20, alpha: float = 0.05) -> str:
    """The SVG; table: rows of ``genes.enrichment.enrich`` or of several with the same columns.

    Shown are the ``terms`` with the lowest p-values, each once, beside the groups that share a gene with one of them;
    a term stands in the order of the group that it is most unlikely in. Dots with p ≤ ``alpha`` have a dark rim. The
    p-value is the adjusted one where the table has it, and the axis says which. Raises ``DataContractError`` when no
    group shares a gene with a term.
    """
    chart = _chart(table, terms)
    left = max(svg.width(term) for term in chart.terms) + 2 * GAP_PX
    below = max(svg.width(group) for group in chart.groups) + GAP_PX
    head = HEAD_PX + svg.FONT_PX + 4 * GAP_PX
    grid_width, grid_height = len(chart.groups) * STEP_PX, len(chart.terms) * STEP_PX
    note = _note(chart, len(table["term"].unique()), alpha)
    width = max(
        left + grid_width + 2 * GAP_PX + LEGEND_PX,
        svg.BOLD * svg.width(title, HEAD_PX) + 2 * GAP_PX,
        svg.width(note) + 2 * GAP_PX,
    )
    height = head + max(grid_height + below, BAR_PX + 12 * GAP_PX + 4 * STEP_PX) + GAP_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label={quoteattr(title)} '
        f'font-family="&quot;Liberation Sans&quot;, Arial, sans-serif" font-size="{svg.FONT_PX}" fill="{svg.INK}">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        svg.text(GAP_PX, GAP_PX + HEAD_PX, title, size=HEAD_PX, weight=600),
        svg.text(GAP_PX, 2 * GAP_PX + HEAD_PX + svg.FONT_PX, note, fill=svg.SOFT),
        *_grid(chart, left, head),
        *_dots(chart, left, head, alpha),
        *_legend(chart, left + grid_width + 2 * GAP_PX, head, alpha),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _chart(table: pd.DataFrame, terms: int) -> _Chart:
    p = ADJUSTED if ADJUSTED in table.columns else "nominal_p_value"
    shared = table[table["overlap_size"] > 0]
    if shared.empty:
        raise DataContractError(
            "enrichment figure",
            "overlap_size",
            expected="a group and a term that share a gene",
            found="none",
            remedy="use the same kind of gene names for groups and terms",
        )
    ranked = shared.sort_values([p, "nominal_p_value", "term", "group"], kind="stable")
    best = ranked.drop_duplicates("term").head(terms)
    best = best.sort_values(["group", p, "nominal_p_value", "term"], kind="stable")
    dots = shared[shared["term"].isin(best["term"])].sort_values(["group", "term"], kind="stable")
    strength = -np.log10(dots[p].clip(lower=LEAST_P).to_numpy(dtype=np.float64))
    dots = dots.assign(strength=np.abs(strength))  # −log10 of 1 is −0.0
    return _Chart(
        terms=best["term"].tolist(),
        groups=sorted(dots["group"].unique()),
        dots=dots,
        p=p,
        top=max(float(dots["strength"].max()), -math.log10(0.05)),
        most=int(dots["overlap_size"].max()),
        left_out=table["group"].nunique() - dots["group"].nunique(),
    )


def _note(chart: _Chart, tested: int, alpha: float) -> str:
    strong = int((chart.dots[chart.p] <= alpha).sum())
    kind = "adjusted p" if chart.p == ADJUSTED else "nominal p (not adjusted)"
    verb = "group shares" if chart.left_out == 1 else "groups share"
    left_out = f"; {chart.left_out} {verb} no gene with them" if chart.left_out else ""
    pairs = "pair" if strong == 1 else "pairs"
    return f"{len(chart.terms)} of {tested} gene sets{left_out}. {strong} {pairs} with {kind} ≤ {alpha:g}"


def _grid(chart: _Chart, left: float, top: float) -> list[str]:
    right, bottom = left + len(chart.groups) * STEP_PX, top + len(chart.terms) * STEP_PX
    parts = []
    for row, term in enumerate(chart.terms):
        y = top + (row + 0.5) * STEP_PX
        parts.append(svg.line(left, y, right, y))
        parts.append(svg.text(left - GAP_PX / 2, y + svg.FONT_PX * 0.35, term, anchor="end"))
    for column, group in enumerate(chart.groups):
        x = left + (column + 0.5) * STEP_PX
        parts.append(svg.line(x, top, x, bottom))
        at, y = x + svg.FONT_PX * 0.35, bottom + GAP_PX / 2
        parts.append(svg.text(at, y, group, anchor="end", turn=f"rotate(-90 {at:.1f} {y:.1f})"))
    return parts


def _dots(chart: _Chart, left: float, top: float, alpha: float) -> list[str]:
    row_of = {term: row for row, term in enumerate(chart.terms)}
    column_of = {group: column for column, group in enumerate(chart.groups)}
    parts = []
    for dot in chart.dots.itertuples():
        p = getattr(dot, chart.p)
        x, y = left + (column_of[dot.group] + 0.5) * STEP_PX, top + (row_of[dot.term] + 0.5) * STEP_PX
        told = (
            f"{dot.group}, {dot.term}: {dot.overlap_size} of {dot.group_size} genes ({dot.overlap_genes}), p = {p:.2g}"
        )
        parts.append(
            svg.dot(x, y, _radius(dot.overlap_size, chart.most), svg.colour(dot.strength / chart.top), p <= alpha, told)
        )
    return parts


def _legend(chart: _Chart, left: float, top: float, alpha: float) -> list[str]:
    parts = [svg.text(left, top + svg.FONT_PX, "shared genes", weight=600)]
    y = top + svg.FONT_PX + GAP_PX
    for genes in sorted({1, (1 + chart.most) // 2, chart.most}):
        parts.append(svg.dot(left + RADIUS_PX, y + STEP_PX / 2, _radius(genes, chart.most), "#ffffff", False, ""))
        parts.append(svg.text(left + 2 * RADIUS_PX + GAP_PX, y + STEP_PX / 2 + svg.FONT_PX * 0.35, f"{genes}"))
        y += STEP_PX
    y += 2 * GAP_PX
    kind = "adjusted p" if chart.p == ADJUSTED else "nominal p"
    parts.append(svg.text(left, y, f"−log₁₀ {kind}", weight=600))
    y += GAP_PX
    steps = 40
    for step in range(steps):
        share = 1 - (step + 0.5) / steps
        parts.append(
            f'<rect x="{left:.1f}" y="{y + step * BAR_PX / steps:.1f}" width="16" height="{BAR_PX / steps + 0.5:.1f}" '
            f'fill="{svg.colour(share)}"/>'
        )
    for value in _ticks(chart.top):
        at = y + BAR_PX * (1 - value / chart.top)
        parts.append(svg.line(left + 16, at, left + 21, at, stroke=svg.INK))
        parts.append(svg.text(left + 26, at + svg.FONT_PX * 0.35, f"{value:g}"))
    y += BAR_PX + 2 * GAP_PX
    parts.append(svg.dot(left + RADIUS_PX, y, RADIUS_PX * 0.7, "#ffffff", True, ""))
    parts.append(svg.text(left + 2 * RADIUS_PX + GAP_PX, y + svg.FONT_PX * 0.35, f"p ≤ {alpha:g}"))
    return parts


def _ticks(top: float) -> list[float]:
    """Round values from 0 to ``top``, three to six of them."""
    power = 10.0 ** math.floor(math.log10(top))
    step = next(factor * power for factor in (0.2, 0.5, 1, 2) if top / (factor * power) <= 5)
    return [round(n * step, 10) for n in range(int(top / step + 1e-9) + 1)]


def _radius(genes: int, most: int) -> float:
    """Areas are in proportion to the number of genes; the smallest dot can still be seen."""
    return max(RADIUS_PX * math.sqrt(genes / most), 2.5)
