"""Over-representation of gene sets in groups of genes: the upper tail of the hypergeometric distribution.

GenAR's release tests each pair against a nominal background of 20,000 genes and corrects for nothing; its columns are
kept. What is asked by default here is another question: among the genes that could have been in a group at all (a
panel, or what was measured), corrected for the number of pairs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import stats

from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.pathways.redundancy import membership

logger = logging.getLogger(__name__)

Correction = Literal["fdr_bh", "fdr_by", "bonferroni", "holm", "none"]
Family = Literal["all", "group"]

NOMINAL_BACKGROUND = 20_000  # genes; GenAR's release
COLUMNS = (
    *("group", "term", "group_size", "reference_size", "overlap_size", "overlap_genes"),
    *("nominal_p_value", "multiple_testing_adjusted", "background_size"),
)
ADJUSTED = "adjusted_p_value"  # a tenth column where a correction was made


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Groups and terms that are tested, in order of name, within a background of ``size`` genes."""

    groups: dict[str, frozenset[str]]
    terms: dict[str, frozenset[str]]
    size: int


def enrich(
    groups: Mapping[str, Sequence[str]],
    terms: Mapping[str, Sequence[str]],
    *,
    background: int | Sequence[str] = NOMINAL_BACKGROUND,
    correction: Correction = "fdr_bh",
    family: Family = "all",
) -> pd.DataFrame:
    """Every group with every term, in order of name: columns ``COLUMNS``, and ``ADJUSTED`` unless correction is none.

    groups, terms: name → genes, under the same names, compared as written. background: genes, to which groups and terms
    are cut first (those without a gene there are not tested); or their number, nothing being cut, as GenAR's release
    does (``background=20_000, correction="none"`` is its table). p = P(overlap or more) when ``group_size`` genes are
    drawn from the background. family: a correction over all pairs, or over the terms of each group. Raises
    ``DataContractError`` when groups and terms hold more genes than the background, or nothing is left to test.
    """
    if correction not in get_args(Correction):
        raise unknown_name("enrichment", "correction", correction, get_args(Correction))
    if family not in get_args(Family):
        raise unknown_name("enrichment", "family", family, get_args(Family))
    prepare = _nominal if isinstance(background, int | np.integer) else _within
    pairs = prepare(groups, terms, background)
    genes = sorted(frozenset().union(*pairs.groups.values(), *pairs.terms.values()))
    in_group, in_term = membership(list(pairs.groups.values()), genes), membership(list(pairs.terms.values()), genes)
    overlap = (in_group @ in_term.T).toarray()  # (groups, terms)
    group_size, term_size = np.diff(in_group.indptr), np.diff(in_term.indptr)
    p_value = upper_tail(
        overlap, background_size=pairs.size, term_size=term_size[None, :], group_size=group_size[:, None]
    )
    shared = np.full(overlap.shape, "", dtype=object)
    members, references = list(pairs.groups.values()), list(pairs.terms.values())
    for group, term in np.argwhere(overlap > 0):
        shared[group, term] = ",".join(sorted(members[group] & references[term]))
    n_groups, n_terms = overlap.shape
    frame = pd.DataFrame(
        {
            "group": np.repeat(np.array(list(pairs.groups), dtype=object), n_terms),
            "term": np.tile(np.array(list(pairs.terms), dtype=object), n_groups),
            "group_size": np.repeat(group_size, n_terms),
            "reference_size": np.tile(term_size, n_groups),
            "overlap_size": overlap.ravel(),
            "overlap_genes": shared.ravel(),
            "nominal_p_value": p_value.ravel(),
            "multiple_testing_adjusted": correction != "none",
            "background_size": pairs.size,
        }
    )[list(COLUMNS)]
    if correction != "none":
        families = [p_value.ravel()] if family == "all" else list(p_value)
        frame[ADJUSTED] = np.concatenate([adjusted(one, correction=correction) for one in families])
    return frame


def upper_tail(
    overlap: np.ndarray, *, background_size: int, term_size: np.ndarray, group_size: np.ndarray
) -> np.ndarray:
    """P(X ≥ overlap) for X hypergeometric: ``group_size`` genes drawn of ``background_size``, ``term_size`` marked.

    The arrays broadcast. Equal triples are worked out once: the same few come back in most of many thousand pairs.
    """
    triples = np.stack([one.ravel() for one in np.broadcast_arrays(overlap, term_size, group_size)], axis=1)
    unique, inverse = np.unique(triples, axis=0, return_inverse=True)
    tails = stats.hypergeom.sf(unique[:, 0] - 1, background_size, unique[:, 1], unique[:, 2])
    shape = np.broadcast_shapes(np.shape(overlap), np.shape(term_size), np.shape(group_size))
    return np.asarray(tails)[inverse.ravel()].reshape(shape)


def adjusted(p_values: np.ndarray, *, correction: Correction) -> np.ndarray:
    """p-values corrected for their number by statsmodels; ``none`` gives them back."""
    if correction == "none" or not len(p_values):
        return np.asarray(p_values, dtype=np.float64)
    from statsmodels.stats.multitest import multipletests

    return multipletests(p_values, method=correction)[1]


def _nominal(groups: Mapping[str, Sequence[str]], terms: Mapping[str, Sequence[str]], size: int) -> _Pairs:
    named = [{name: frozenset(sets[name]) for name in sorted(sets)} for sets in (groups, terms)]
    found = len(frozenset().union(*named[0].values(), *named[1].values()))
    if found > size or size < 1:
        raise _wrong(
            "background_size", f"the {found} genes of groups and terms, or more", size, "raise background_size"
        )
    return _tested(*named, size=size)


def _within(
    groups: Mapping[str, Sequence[str]], terms: Mapping[str, Sequence[str]], background: Sequence[str]
) -> _Pairs:
    inside = frozenset(background)
    left = []
    for what, sets in (("groups", groups), ("terms", terms)):
        cut = {name: inside & frozenset(sets[name]) for name in sorted(sets)}
        off = len(frozenset().union(*sets.values()) - inside)
        empty = [name for name, genes in cut.items() if not genes]
        if off or empty:
            logger.info(
                "%s: %d genes are not in the background of %d; %d of %d have no gene there and are not tested",
                *(what, off, len(inside), len(empty), len(cut)),
            )
        left.append({name: genes for name, genes in cut.items() if genes})
    return _tested(*left, size=len(inside))


def _tested(groups: dict[str, frozenset[str]], terms: dict[str, frozenset[str]], *, size: int) -> _Pairs:
    for what, sets in (("groups", groups), ("terms", terms)):
        if not sets:
            found = f"none of {what} has a gene in the background of {size}"
            raise _wrong(what, "one or more with a gene in it", found, "use the same kind of names in all three")
    return _Pairs(groups=groups, terms=terms, size=size)


def _wrong(field: str, expected: object, found: object, remedy: str) -> DataContractError:
    return DataContractError("enrichment", field, expected=expected, found=found, remedy=remedy)
