"""Pathways from gene sets: cut to a universe, filtered by size and by overlap, mapped to a panel.

HistoPrism section 3.3 and the rule of its release. Sizes are counted after the sets are cut to the universe; the
filters work on symbols and leave Hallmark sets whole; mapping to gene ids comes last.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.identifiers.names import GeneNames, match
from stainscript.genes.pathways.redundancy import Redundant, Ties, drop_larger, keep_largest
from stainscript.genes.pathways.universe import MeasuredIn, Universe, UniverseKind
from stainscript.types import Panel

# The start of a set's name → the collection that MSigDB files it under.
COLLECTIONS = {
    "HALLMARK_": "hallmark",
    "GOBP_": "go_bp",
    "GOCC_": "go_cc",
    "GOMF_": "go_mf",
    "REACTOME_": "reactome",
    "KEGG_": "kegg",
    "WP_": "wikipathways",
    "PID_": "pid",
    "BIOCARTA_": "biocarta",
    "HP_": "hpo",
}
OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class CurationRule:
    """How sets become pathways; the defaults are those of HistoPrism's release."""

    universe: UniverseKind  # no default: the release does not say which it used
    measured_in: MeasuredIn = "every"  # universe measured: genes of every slide, or of any
    compare: Literal["written", "current"] = "written"  # current: an old symbol of the universe finds its gene
    min_size: int = 50  # genes, after the cut to the universe; HistoPrism section 3.3
    max_size: int = 100
    whole: tuple[str, ...] = ("hallmark",)  # collections that no filter touches
    redundancy: Literal["keep_largest", "drop_larger", "none"] = "keep_largest"  # drop_larger: the paper's words
    tau: float = 0.1  # the highest Jaccard index that two kept sets may have
    ties: Ties = "second"  # drop_larger: which of two sets of equal size goes
    min_mapped: int = 1  # pathways with fewer genes in the panel are marked unusable


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """One pathway: its symbols in the order of the source, and, once mapped, its gene ids in the panel."""

    name: str
    collection: str
    genes: tuple[str, ...]
    gene_ids: tuple[str, ...] = ()
    usable: bool = True


@dataclass(frozen=True, kw_only=True)
class Curation:
    """The pathways in order, the sets that overlapped too much, and the number of sets and genes at every step.

    Collections left whole come first, by name; then the kept sets, largest first (``drop_larger``: by name).
    """

    pathways: tuple[Pathway, ...]
    redundant: tuple[Redundant, ...]
    counts: Mapping[str, Any]


def rule_of(options: Mapping[str, Any]) -> CurationRule:
    """A rule from the plain dict that a stage is given; raises ``DataContractError`` for what cannot be meant."""
    known = {field.name for field in dataclasses.fields(CurationRule)}
    for name in options:
        if name not in known:
            raise unknown_name("pathways", "rule", name, known)
    if "universe" not in options:
        raise _wrong("universe", f"one of {', '.join(get_args(UniverseKind))}", "none", "name the universe")
    rule = CurationRule(**{**options, "whole": tuple(options.get("whole", CurationRule.whole))})
    choices = {
        "universe": get_args(UniverseKind),
        "measured_in": get_args(MeasuredIn),
        "compare": ("written", "current"),
        "redundancy": ("keep_largest", "drop_larger", "none"),
        "ties": get_args(Ties),
    }
    for field, allowed in choices.items():
        if getattr(rule, field) not in allowed:
            raise unknown_name("pathways", field, str(getattr(rule, field)), allowed)
    for name in rule.whole:
        if name not in (*COLLECTIONS.values(), OTHER):
            raise unknown_name("pathways", "whole", name, (*COLLECTIONS.values(), OTHER))
    if not 1 <= rule.min_size <= rule.max_size:
        raise _wrong("min_size", "1 ≤ min_size ≤ max_size", f"{rule.min_size} and {rule.max_size}", "correct the sizes")
    if not 0 <= rule.tau <= 1:
        raise _wrong("tau", "a Jaccard index from 0 to 1", rule.tau, "correct tau")
    if rule.min_mapped < 0:
        raise _wrong("min_mapped", "0 or more genes", rule.min_mapped, "correct min_mapped")
    return rule


def collection_of(name: str) -> str:
    """The collection that the name of a set begins with, else ``other``."""
    return next((collection for start, collection in COLLECTIONS.items() if name.startswith(start)), OTHER)


def curate(
    sets: Mapping[str, Sequence[str]], *, rule: CurationRule, universe: Universe, names: GeneNames | None = None
) -> Curation:
    """The pathways of ``sets`` (name → symbols), not yet mapped to a panel.

    universe: cuts the sets, whose order of genes stays; names: needed to compare current symbols. The order in which
    the sets come does not matter. Raises ``DataContractError`` when no set is left.
    """
    sets = {name: tuple(dict.fromkeys(genes)) for name, genes in sets.items()}
    inside = _inside(sets, rule, universe, names)
    cut = {name: tuple(gene for gene in genes if gene in inside) for name, genes in sets.items()}
    whole = sorted(name for name in sets if collection_of(name) in rule.whole)
    filtered = set(sets) - set(whole)
    sized = {name: cut[name] for name in sorted(filtered) if rule.min_size <= len(cut[name]) <= rule.max_size}
    kept, redundant = _without_redundancy(sized, rule)
    order = [*whole, *kept]
    if not order:
        largest = max((len(cut[name]) for name in filtered), default=0)
        expected = f"a set of {rule.min_size} to {rule.max_size} genes of the universe"
        raise _wrong(
            "sets", expected, f"none of {len(sets)}, the largest has {largest}", "widen the sizes or the universe"
        )
    counts = {
        "sets_read": len(sets),
        "genes_read": len({gene for genes in sets.values() for gene in genes}),
        "genes_in_universe": len(inside),
        "sets_without_gene_in_universe": sum(not genes for genes in cut.values()),
        "sets_left_whole": len(whole),
        "sets_too_small": sum(len(cut[name]) < rule.min_size for name in filtered),
        "sets_too_large": sum(len(cut[name]) > rule.max_size for name in filtered),
        "sets_of_right_size": len(sized),
        "sets_redundant": len(redundant),
        "sets_kept": len(order),
        "sets_kept_by_collection": dict(sorted(Counter(map(collection_of, order)).items())),
        "genes_kept": len({gene for name in order for gene in cut[name]}),
    }
    pathways = (Pathway(name=name, collection=collection_of(name), genes=cut[name]) for name in order)
    return Curation(pathways=tuple(pathways), redundant=tuple(redundant), counts=counts)


def map_to_panel(
    curation: Curation,
    *,
    panel: Panel | None,
    names: GeneNames | None = None,
    symbol_ids: Mapping[str, str] | None = None,
    min_mapped: int = 1,
) -> Curation:
    """The same pathways with the gene ids that their symbols have in ``panel``; genes off the panel are dropped.

    symbol_ids: symbol → gene id, as HistoPrism's release has it; without it ``names`` decides: a symbol of the panel,
    else a gene id of it, that is the same gene. A gene that two symbols of a pathway mean is there once. Pathways with
    fewer than ``min_mapped`` gene ids are marked. Without a panel every id of ``symbol_ids`` counts.
    """
    symbols = list(dict.fromkeys(gene for pathway in curation.pathways for gene in pathway.genes))
    if symbol_ids is not None:
        on_panel = None if panel is None else set(panel.gene_ids)
        id_of = {gene: symbol_ids[gene] for gene in symbols if gene in symbol_ids}
        id_of = {gene: gene_id for gene, gene_id in id_of.items() if on_panel is None or gene_id in on_panel}
    elif panel is not None and names is not None:
        pairs = zip(reversed(panel.symbols), reversed(panel.gene_ids), strict=True)  # of equal symbols the first wins
        by_symbol = dict(pairs)
        id_of = {gene: by_symbol[found] for gene, found in match(symbols, panel.symbols, names=names).items()}
        rest = [gene for gene in symbols if gene not in id_of]
        id_of |= match(rest, panel.gene_ids, names=names)
    else:
        raise ValueError("either symbol_ids, or a panel and names")
    pathways = []
    for pathway in curation.pathways:
        gene_ids = tuple(dict.fromkeys(id_of[gene] for gene in pathway.genes if gene in id_of))
        pathways.append(dataclasses.replace(pathway, gene_ids=gene_ids, usable=len(gene_ids) >= min_mapped))
    counts = {
        **curation.counts,
        "genes_mapped": len(id_of),
        "genes_off_panel": len(symbols) - len(id_of),
        "gene_ids": len(set(id_of.values())),
        "pathways_unusable": sum(not pathway.usable for pathway in pathways),
    }
    return dataclasses.replace(curation, pathways=tuple(pathways), counts=counts)


def _inside(
    sets: Mapping[str, Sequence[str]], rule: CurationRule, universe: Universe, names: GeneNames | None
) -> set[str]:
    """The symbols of the sets that the universe has."""
    genes = list(dict.fromkeys(gene for listed in sets.values() for gene in listed))
    if universe.symbols is None:
        return set(genes)
    if rule.compare == "written":
        return set(genes) & set(universe.symbols)
    if names is None:
        raise ValueError("compare: current needs names")
    return set(match(genes, universe.symbols, names=names))


def _without_redundancy(sets: Mapping[str, Sequence[str]], rule: CurationRule) -> tuple[list[str], list[Redundant]]:
    if rule.redundancy == "none":
        return sorted(sets, key=lambda name: (-len(sets[name]), name)), []
    if rule.redundancy == "drop_larger":
        return drop_larger(sets, tau=rule.tau, ties=rule.ties)
    return keep_largest(sets, tau=rule.tau)


def _wrong(field: str, expected: object, found: object, remedy: str) -> DataContractError:
    return DataContractError("pathways", field, expected=expected, found=found, remedy=remedy)
