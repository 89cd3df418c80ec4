"""Group the genes of a panel by a rule, from the counts of the slides given and of no other."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from stainscript.errors import DataContractError
from stainscript.genes.backed import CountsHead, Expression, read_head
from stainscript.genes.groups.capped import capped_groups
from stainscript.genes.groups.counts import panel_counts
from stainscript.genes.groups.order import OLDER_REFINE_N_INIT, two_stage_order, z_scores
from stainscript.genes.groups.pathway import memberships, pathway_groups
from stainscript.genes.groups.records import GeneGroups, list_sha256
from stainscript.genes.groups.rules import GroupRule
from stainscript.genes.groups.scales import scale_dims
from stainscript.genes.panels import printed
from stainscript.types import Panel

if TYPE_CHECKING:
    from stainscript.genes.identifiers.names import GeneNames

logger = logging.getLogger(__name__)


def group(
    panel: Panel,
    *,
    expression: Sequence[Expression],
    rule: GroupRule,
    gene_sets: Mapping[str, Sequence[str]] | None = None,
    names: GeneNames | None = None,
) -> GeneGroups:
    """Order and groups of the panel's genes; always from the panel's own order, so a grouped list is never regrouped.

    expression: files or AnnData of counts of a fold's training slides; gene_sets: set → symbols, for ``pathway``;
    names: by which old and current symbols are one gene (``pathway``, ``printed``). Raises ``DataContractError`` when
    a slide did not take part in choosing the panel, when scales do not fit it, or when the rule cannot be met.
    """
    dims = scale_dims(rule.scales, genes=len(panel))
    heads = [read_head(item) for item in expression]
    _require_training(panel, heads)
    groups = _groups(panel, expression, rule=rule, gene_sets=gene_sets, names=names)
    order = [int(position) for part in groups for position in part]
    symbols = [panel.symbols[position] for position in order]
    logger.info(
        "groups of panel %s: %d genes in %d groups by %s from %d slides",
        panel.name,
        len(order),
        len(groups),
        rule.order,
        len(heads),
    )
    return GeneGroups(
        dataset=heads[0].dataset,
        panel=panel.name,
        panel_sha256=panel.sha256,
        rule=asdict(rule) | {"scales": rule.scales if isinstance(rule.scales, str) else list(rule.scales)},
        training_slides=tuple(head.slide for head in heads),
        total_spots=sum(head.shape[0] for head in heads),
        clustered_order=tuple(order),
        order=tuple(panel.gene_ids[position] for position in order),
        symbols=tuple(symbols),
        groups=tuple(tuple(panel.gene_ids[position] for position in part) for part in groups),
        scale_dims=dims,
        source_gene_list_sha256=list_sha256(panel.symbols),
        output_gene_list_sha256=list_sha256(symbols),
    )


def _groups(
    panel: Panel,
    expression: Sequence[Expression],
    *,
    rule: GroupRule,
    gene_sets: Mapping[str, Sequence[str]] | None,
    names: GeneNames | None,
) -> Sequence[Sequence[int] | np.ndarray]:
    """Positions of the panel's genes, group by group."""
    match rule.order:
        case "two_stage":
            return _two_stages(panel, expression, rule)
        case "random":
            return shuffled(_two_stages(panel, expression, rule), seed=rule.seed)
        case "capped":
            profiles = z_scores(panel_counts(expression, panel.gene_ids), axis=rule.zscore_axis)
            sizes = {"k": rule.clusters, "min_size": rule.min_size, "max_size": rule.max_size}
            return capped_groups(profiles, **sizes, seed=rule.seed, n_init=rule.n_init)
        case "pathway":
            member = memberships(panel.symbols, gene_sets or {}, names=names)
            profiles = z_scores(panel_counts(expression, panel.gene_ids), axis=rule.zscore_axis)
            return pathway_groups(profiles, member, weight=rule.weight, k=rule.clusters)
        case "printed":
            return as_printed(panel, rule.printed, names=names)
    return alone(len(panel))


def alone(genes: int) -> list[list[int]]:
    """Each gene its own group, in the order of the panel."""
    return [[position] for position in range(genes)]


def shuffled(groups: Sequence[Sequence[int] | np.ndarray], *, seed: int) -> list[list[int]]:
    """The same sizes of groups over the genes in a random order: Python's shuffle of the list, as GenAR's control."""
    order = [int(position) for part in groups for position in part]
    random.Random(seed).shuffle(order)
    cuts = np.cumsum([len(part) for part in groups])
    return [order[stop - len(part) : stop] for part, stop in zip(groups, cuts, strict=True)]


def as_printed(panel: Panel, name: str, *, names: GeneNames | None) -> list[list[int]]:
    """The groups that a paper prints; genes without a printed group come last, each alone, in the panel's order.

    Raises ``DataContractError`` for a list without groups, or when not one of its genes is in the panel.
    """
    known = printed.groups(name)
    if not known:
        with_groups = [other for other in printed.names() if printed.groups(other)]
        raise DataContractError(
            "groups",
            "printed",
            expected=f"a list with printed groups: {', '.join(with_groups)}",
            found=name,
            remedy="use one of these",
        )
    place = {symbol: position for position, symbol in enumerate(panel.symbols)}
    listed = [symbol for part in known for symbol in part]
    entry_of = {symbol: symbol for symbol in listed if symbol in place}
    if names is not None:
        from stainscript.genes.identifiers.names import match

        entry_of = match(listed, panel.symbols, names=names) | entry_of
    groups = [[place[entry_of[symbol]] for symbol in part if symbol in entry_of] for part in known]
    groups = [part for part in groups if part]
    taken = [position for part in groups for position in part]
    if not taken or len(set(taken)) < len(taken):
        raise DataContractError(
            f"groups of panel {panel.name}",
            "printed",
            expected=f"genes of {name}, each once",
            found="none of them" if not taken else "two printed names of one gene",
            remedy="group the panel that the list belongs to",
        )
    logger.info("panel %s: %d of %d genes have a printed group of %s", panel.name, len(taken), len(panel), name)
    return groups + [[position] for position in range(len(panel)) if position not in set(taken)]


def _two_stages(panel: Panel, expression: Sequence[Expression], rule: GroupRule) -> Sequence[np.ndarray]:
    found = two_stage_order(
        panel_counts(expression, panel.gene_ids),
        seed=rule.seed,
        major=rule.major,
        target_size=rule.target_size,
        zscore_axis=rule.zscore_axis,
        n_init=rule.n_init,
        refine_n_init=rule.n_init if rule.zscore_axis == "gene" else OLDER_REFINE_N_INIT,
    )
    return found.groups


def _require_training(panel: Panel, heads: Sequence[CountsHead]) -> None:
    """Refuse slides that the panel was not chosen on: one of them may be the fold's test slide."""
    strange = [head.slide for head in heads if head.slide not in panel.training_slides]
    if strange or not heads:
        raise DataContractError(
            f"groups of panel {panel.name}",
            "expression",
            expected=f"slides that chose the panel: {', '.join(panel.training_slides)}",
            found=", ".join(strange) or "none",
            remedy="group on the fold's training slides",
        )
