"""Choose the genes to predict, on the slides given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stainscript.genes.panel_file import write_panel
from stainscript.genes.panels import rule_of, select
from stainscript.types import Space, Target


def select_panel(
    *,
    expression: Sequence[str | Path],
    name: str,
    rule: Mapping[str, Any],
    target: Mapping[str, Any],
    out: str | Path,
) -> None:
    """Write the panel ``name`` as TSV.

    expression: counts of the slides that choose, a fold's training slides unless the rule's scope is ``dataset``;
    rule, target: the config's panel section and the protocol's target as plain dicts. Raises ``DataContractError``
    when the rule cannot be met.
    """
    wanted = Target(**{**target, "space": Space(target["space"])})
    panel = select(list(expression), name=name, rule=rule_of(rule), target=wanted)
    write_panel(out, panel, facts={"rule": dict(rule), "target": wanted.label})
