"""The genes that rank highest over the choosing slides, by mean, variance, total or "seurat_v3" rank."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import anndata
import numpy as np
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.backed import Expression
from stainscript.genes.moments import GeneSums, pooled, sums_of
from stainscript.genes.normalise import gene_columns, library_size_of, measures, sparse_to_space
from stainscript.genes.panels.rules import Rule
from stainscript.genes.variability.seurat import highly_variable

logger = logging.getLogger(__name__)


def ranked(expression: Sequence[Expression], *, name: str, rule: Rule, symbol_of: Mapping[str, str]) -> list[str]:
    """The gene ids that a ranking rule chooses among the genes of ``symbol_of``, which every slide measures.

    ``hmhvg`` in order of symbol, the others by rank, ties by symbol. Raises ``DataContractError`` when too few genes
    are left to choose from.
    """
    common = sorted(symbol_of, key=lambda gene: (symbol_of[gene], gene))
    if rule.rule == "hvg_v3":
        candidates, chosen = _by_seurat_v3(expression, common, rule=rule, symbol_of=symbol_of)
    else:
        sums, variable = _sums(expression, common, rule=rule)
        keep = allowed(common, rule=rule, symbol_of=symbol_of) & often_seen(sums, rule=rule) & variable
        candidates = np.flatnonzero(keep)
        chosen = candidates[_choose(sums.at(candidates), rule, name=name)]
    wanted = 1 if rule.rule == "hmhvg" and not rule.exactly else rule.n
    if len(chosen) < wanted:
        raise DataContractError(
            f"panel {name}",
            "n",
            expected="at least 1 gene" if wanted == 1 else f"{wanted} genes",
            found=f"{len(chosen)} of {len(candidates)} candidates ({len(common)} genes are common to all slides)",
            remedy="change n, min_spot_share, preselect_hvg, exclude_prefixes or vocabulary of this panel",
        )
    return [common[column] for column in chosen]


def allowed(genes: Sequence[str], *, rule: Rule, symbol_of: Mapping[str, str]) -> np.ndarray:
    """(G,) bool: genes whose symbol has none of the rule's prefixes."""
    return ~np.array([symbol_of[gene].startswith(rule.exclude_prefixes) for gene in genes], dtype=bool)


def often_seen(sums: GeneSums, *, rule: Rule) -> np.ndarray:
    """(G,) bool: genes detected in the rule's share of spots."""
    return sums.detected >= rule.min_spot_share * sums.spots


def each(expression: Sequence[Expression]) -> Iterator[anndata.AnnData]:
    """The slides one by one; a file is read when its turn comes and dropped again."""
    for item in expression:
        yield item if isinstance(item, anndata.AnnData) else anndata.read_h5ad(item)


def _sums(expression: Sequence[Expression], common: Sequence[str], *, rule: Rule) -> tuple[GeneSums, np.ndarray]:
    """Sums over all spots in the rule's space, and which genes the preselection keeps, (G,) bool."""
    parts: list[GeneSums] = []
    variable = np.full(len(common), rule.preselect_hvg is None)
    for adata in each(expression):
        measured = sparse.csr_matrix(adata.X)
        counts = measured[:, gene_columns(adata, common)]
        parts.append(sums_of(sparse_to_space(counts, space=rule.space, library_size=library_size_of(measured))))
        if rule.preselect_hvg is not None:
            variable[highly_variable(counts, n=rule.preselect_hvg)] = True
    return pooled(parts), variable


def _choose(sums: GeneSums, rule: Rule, *, name: str) -> np.ndarray:
    """Positions of the chosen genes among the candidates, which are in order of symbol."""
    if rule.rule == "hmhvg":
        return _high_in_both(sums, n=rule.n, exactly=rule.exactly, name=name)
    by = sums.total if rule.rule == "top_total" else sums.variance if rule.rule == "top_variance" else sums.mean
    return np.argsort(-by, kind="stable")[: rule.n]


def _high_in_both(sums: GeneSums, *, n: int, exactly: bool, name: str) -> np.ndarray:
    """Positions, ascending, of the genes within the first M by mean and by variance: M = n, or the M that leaves n."""
    needs = np.maximum(_place(sums.mean), _place(sums.variance)) + 1  # the smallest M that admits a gene
    if not exactly:
        return np.flatnonzero(needs <= n)
    if len(needs) < n:
        return np.arange(len(needs))
    both = int(np.partition(needs, n - 1)[n - 1])
    chosen = np.flatnonzero(needs <= both)
    logger.info("panel %s: the first %d by mean and by variance share %d genes", name, both, len(chosen))
    if len(chosen) > n:
        logger.info("panel %s: no size gives %d genes exactly; the first %d by symbol are kept", name, n, n)
    return chosen[:n]


def _place(values: np.ndarray) -> np.ndarray:
    """The place of each value in descending order, from 0; ties in the order given."""
    place = np.empty(len(values), dtype=np.int64)
    place[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return place


def _by_seurat_v3(
    expression: Sequence[Expression], common: Sequence[str], *, rule: Rule, symbol_of: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates, and the first n of them by the "seurat_v3" flavour in order of rank."""
    from stainscript.genes.variability.seurat_v3 import seurat_v3_ranks

    keep = allowed(common, rule=rule, symbol_of=symbol_of)
    if rule.min_spot_share:
        keep &= often_seen(_sums(expression, common, rule=rule)[0], rule=rule)
    candidates = np.flatnonzero(keep)
    genes = [common[column] for column in candidates]
    ranks = seurat_v3_ranks(list(expression), gene_ids=genes, n=rule.n, space=rule.space)
    first = np.flatnonzero(ranks >= 0)
    return candidates, candidates[first[np.argsort(ranks[first], kind="stable")]]


def measured_often(expression: Sequence[Expression], genes: Sequence[str], *, rule: Rule) -> np.ndarray:
    """(G,) bool: genes detected in the rule's share of the spots of the slides that measure them."""
    if not rule.min_spot_share:
        return np.ones(len(genes), dtype=bool)
    spots, detected = np.zeros(len(genes)), np.zeros(len(genes))
    for adata in each(expression):
        there = np.flatnonzero(measures(adata, genes))
        columns = adata.var_names.get_indexer([genes[position] for position in there])
        detected[there] += sums_of(sparse.csr_matrix(adata.X)[:, columns]).detected
        spots[there] += adata.n_obs
    return detected >= rule.min_spot_share * spots
