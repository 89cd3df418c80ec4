"""Which genes a method predicts: the rules, applied to the slides they are given and to no other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anndata
import h5py
import numpy as np
from anndata.io import read_elem
from scipy import sparse

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.hest_panel import hest_genes
from stainscript.genes.moments import GeneSums, StreamingMoments, pooled, sums_of
from stainscript.genes.normalise import gene_columns, library_size_of, name_of, sparse_to_space, target_matrix
from stainscript.genes.panel_file import read_panel, write_panel
from stainscript.genes.variable import highly_variable
from stainscript.types import Panel, Space, Target

__all__ = ["Rule", "read_panel", "rule_of", "select", "write_panel"]

logger = logging.getLogger(__name__)
Expression = str | Path | anndata.AnnData


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a panel is chosen. Fields and meaning are those of the config's panel section; no defaults here.

    ``top_total`` ranks sums of raw counts (the classic 250); ``top_mean`` and ``top_variance`` rank in ``space``;
    ``hmhvg`` keeps the genes within the first ``n`` by mean and by variance; ``fixed`` takes the list as it is;
    ``hest_hvg`` and ``hest_mean`` are HEST-Bench's (``genes/hest_panel.py``).
    """

    rule: Literal["hmhvg", "top_mean", "top_variance", "top_total", "fixed", "hest_hvg", "hest_mean"]
    n: int
    space: Space
    exclude_prefixes: tuple[str, ...]
    preselect_hvg: int | None
    min_spot_share: float
    scope: Literal["train", "dataset"]
    genes: tuple[str, ...] | None


def rule_of(options: Mapping[str, Any]) -> Rule:
    """A rule from the plain dict that a stage is given; every key must be there."""
    texts = {"exclude_prefixes": tuple(options["exclude_prefixes"]), "space": Space(options["space"])}
    genes = None if options["genes"] is None else tuple(options["genes"])
    return Rule(**{**options, **texts, "genes": genes})


def select(expression: Sequence[Expression], *, name: str, rule: Rule, target: Target) -> Panel:
    """Choose the panel ``name`` from the slides given: a fold's training slides, or all for scope ``dataset``.

    expression: files or AnnData of counts; each slide is read when its turn comes and dropped again. Candidates are
    the genes that every slide measures. Order: ``hmhvg`` and ``hest_hvg`` by symbol; the ``top`` rules and
    ``hest_mean`` by rank, ties by symbol.
    Mean and population variance of the panel are those of ``target`` over the spots of these slides. Sources: HINGE
    supplement A.3 and Stem (hmhvg); DKAN figure S8, measured (top_total).
    """
    _check_options(name, rule)
    if not expression:
        raise DataContractError(name, "expression", expected="at least 1 slide", found="none", remedy="see the split")
    symbol_of = _common_genes(expression)
    if rule.rule == "fixed":
        gene_ids = _listed(name, rule, symbol_of)
    elif rule.rule in ("hest_hvg", "hest_mean"):
        gene_ids = hest_genes(
            _each(expression),
            symbol_of=symbol_of,
            by="variance" if rule.rule == "hest_hvg" else "mean",
            n=rule.n,
            min_spot_share=rule.min_spot_share,
            exclude_prefixes=rule.exclude_prefixes,
            path=f"panel {name}",
        )
    else:
        gene_ids = _ranked(expression, name=name, rule=rule, symbol_of=symbol_of)
    moments, slides = StreamingMoments(len(gene_ids)), []
    for adata in _each(expression):
        moments.add(target_matrix(adata, gene_ids=gene_ids, target=target))
        slides.append(str(adata.uns["slide"]))
    logger.info("panel %s: %d genes by %s from %d slides", name, len(gene_ids), rule.rule, len(slides))
    return Panel(
        name=name,
        gene_ids=tuple(gene_ids),
        symbols=tuple(symbol_of[gene] for gene in gene_ids),
        mean=tuple(map(float, moments.mean)),
        variance=tuple(map(float, moments.variance)),
        training_slides=tuple(slides),
    )


def _ranked(expression: Sequence[Expression], *, name: str, rule: Rule, symbol_of: Mapping[str, str]) -> list[str]:
    common = sorted(symbol_of, key=lambda gene: (symbol_of[gene], gene))
    parts: list[GeneSums] = []
    variable = np.zeros(len(common), dtype=bool)
    for adata in _each(expression):
        measured = sparse.csr_matrix(adata.X)
        counts = measured[:, gene_columns(adata, common)]
        parts.append(sums_of(sparse_to_space(counts, space=rule.space, library_size=library_size_of(measured))))
        if rule.preselect_hvg is not None:
            variable[highly_variable(counts, n=rule.preselect_hvg)] = True
    sums = pooled(parts)
    keep = sums.detected >= rule.min_spot_share * sums.spots
    if rule.preselect_hvg is not None:
        keep &= variable
    if rule.exclude_prefixes:
        keep &= ~np.array([symbol_of[gene].startswith(rule.exclude_prefixes) for gene in common], dtype=bool)
    candidates = np.flatnonzero(keep)
    chosen = candidates[_choose(sums.at(candidates), rule)]
    if not chosen.size or (rule.rule != "hmhvg" and chosen.size < rule.n):
        raise DataContractError(
            f"panel {name}",
            "n",
            expected="at least 1 gene" if rule.rule == "hmhvg" else f"{rule.n} genes",
            found=f"{chosen.size} of {candidates.size} candidates ({len(common)} genes are common to all slides)",
            remedy="change n, min_spot_share, preselect_hvg or exclude_prefixes of this panel",
        )
    return [common[column] for column in chosen]


def _choose(sums: GeneSums, rule: Rule) -> np.ndarray:
    """Positions of the chosen genes among the candidates, which are in order of symbol."""
    if rule.rule == "hmhvg":
        return np.intersect1d(_top(sums.mean, rule.n), _top(sums.variance, rule.n))
    by = {"top_total": sums.total, "top_mean": sums.mean, "top_variance": sums.variance}[rule.rule]
    return _top(by, rule.n)


def _top(values: np.ndarray, n: int) -> np.ndarray:
    return np.argsort(-values, kind="stable")[:n]


def _listed(name: str, rule: Rule, symbol_of: Mapping[str, str]) -> list[str]:
    """The fixed list as gene ids; each entry is a gene id or a symbol that one gene alone carries."""
    ids_of: dict[str, list[str]] = {}
    for gene, symbol in symbol_of.items():
        ids_of.setdefault(symbol, []).append(gene)
    chosen: list[str] = []
    for entry in rule.genes or ():
        found = [entry] if entry in symbol_of else ids_of.get(entry, [])
        if not found:
            raise unknown_name(f"panel {name}", "genes", entry, [*symbol_of, *ids_of])
        if len(found) > 1:
            raise DataContractError(
                f"panel {name}",
                "genes",
                expected="one gene for each entry",
                found=f"{entry} is the symbol of {', '.join(sorted(found))}",
                remedy="give the gene id",
            )
        chosen.append(found[0])
    if len(set(chosen)) != rule.n or len(chosen) != rule.n:
        raise DataContractError(
            f"panel {name}",
            "genes",
            expected=f"{rule.n} different genes (n)",
            found=f"{len(chosen)} entries, {len(set(chosen))} different genes",
            remedy="correct n or the list",
        )
    return chosen


def _check_options(name: str, rule: Rule) -> None:
    """Refuse options that the rule would not read."""
    dead = []
    if (rule.genes is not None) != (rule.rule == "fixed"):
        dead.append(("genes", "a list for rule fixed and none for any other", rule.genes))
    if rule.rule == "top_total" and rule.space != Space.COUNTS:
        dead.append(("space", "counts, which top_total sums", rule.space.value))
    if rule.rule in ("hest_hvg", "hest_mean"):
        if rule.space != Space.COUNTS:
            dead.append(("space", f"counts, which {rule.rule} stacks", rule.space.value))
        if rule.preselect_hvg is not None:
            dead.append(("preselect_hvg", f"nothing for rule {rule.rule}", rule.preselect_hvg))
    if rule.rule == "fixed":
        dead += [
            (key, "nothing for rule fixed, which takes its list as it is", value)
            for key, value in (("preselect_hvg", rule.preselect_hvg), ("exclude_prefixes", rule.exclude_prefixes))
            if value
        ]
    for key, expected, found in dead:
        raise DataContractError(f"panel {name}", key, expected=expected, found=found, remedy="correct this panel")


def _common_genes(expression: Sequence[Expression]) -> dict[str, str]:
    """gene id → symbol of the genes that every slide measures; symbols as the first slide spells them."""
    common: dict[str, str] = {}
    for position, item in enumerate(expression):
        if isinstance(item, anndata.AnnData):
            var, path = item.var, name_of(item)
        else:
            with h5py.File(item) as handle:
                var, path = read_elem(handle["var"]), str(item)
        if not var.index.is_unique:
            raise DataContractError(
                path, "var_names", expected="each gene id once", found="repeats", remedy="ingest the slide again"
            )
        if position == 0:
            common = dict(zip(map(str, var.index), map(str, var["symbol"]), strict=True))
        else:
            measured = set(var.index)
            common = {gene: symbol for gene, symbol in common.items() if gene in measured}
    return common


def _each(expression: Sequence[Expression]) -> Iterator[anndata.AnnData]:
    for item in expression:
        yield item if isinstance(item, anndata.AnnData) else anndata.read_h5ad(item)
