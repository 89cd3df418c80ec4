"""A leaderboard in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from stainscript.report.blocks import UNDEFINED, Block, Cell, Row
from stainscript.report.leaderboard import blocks


def to_markdown(frame: pd.DataFrame) -> str:
    """A leaderboard as Markdown: a table a block, best contender in bold, undefined values as a dash."""
    return "\n".join(_markdown(block) for block in blocks(frame))


def to_latex(frame: pd.DataFrame) -> str:
    """A leaderboard as LaTeX: a ``tabular`` with booktabs rules a block, controls below a rule."""
    return "\n".join(_latex(block) for block in blocks(frame))


def _headings(block: Block) -> list[str]:
    return [
        ", ".join([column.title, column.scope, *([] if block.one_space else [column.space])])
        + (" ↓" if column.lower_is_better else " ↑")
        for column in block.columns
    ]


def _label(row: Row) -> str:
    return f"{row.method} ({row.experiment})" if row.repeated else row.method


def _markdown(block: Block) -> str:
    def text(cell: Cell | None) -> str:
        if cell is None:
            return ""
        if not cell.defined:
            return f"{UNDEFINED} ({cell.n_defined} defined)"
        value = f"**{cell.value}**" if cell.best else cell.value
        spread = f" ± {cell.spread}" if cell.spread else ""
        return value + spread + (f" ({cell.interval})" if cell.interval else "")

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = [f"### {block.heading}", "", line(["method", "encoder", *_headings(block)])]
    lines.append(line(["---", "---", *["---:"] * len(block.columns)]))
    for row in block.rows:
        name = f"*{_label(row)}*" if row.control else _label(row)
        lines.append(line([name, row.encoder, *map(text, row.cells)]))
    lines += ["", f"This protocol: {block.note}."] if block.note else []
    lines += ["", "Mean ± sd over folds (95 % patient-level bootstrap interval); controls in italics.", ""]
    return "\n".join(lines)


def _latex(block: Block) -> str:
    def text(cell: Cell | None) -> str:
        if cell is None:
            return ""
        if not cell.defined:
            return "--"
        value = rf"\mathbf{{{cell.value}}}" if cell.best else cell.value
        spread = rf" \pm {cell.spread}" if cell.spread else ""
        return f"${value}{spread}$".replace("−", "-").replace("∞", r"\infty")

    def line(cells: Iterable[str]) -> str:
        return " & ".join(cells) + r" \\"

    headings = [_escape(h).replace("↓", r"$\downarrow$").replace("↑", r"$\uparrow$") for h in _headings(block)]
    note = [f"% this protocol: {block.note}"] if block.note else []
    lines = [f"% {block.heading}", *note, rf"\begin{{tabular}}{{ll{'r' * len(block.columns)}}}", r"\toprule"]
    lines += [line(["method", "encoder", *headings]), r"\midrule"]
    controls_begun = False
    for row in block.rows:
        if row.control and not controls_begun:
            controls_begun = True
            lines += [r"\midrule"] if row is not block.rows[0] else []
        lines.append(line([_escape(_label(row)), _escape(row.encoder), *map(text, row.cells)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "×": r"$\times$"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)
