"""The genes of a slide under one nomenclature: names mapped, columns of one gene merged while they are counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from stainscript.artifacts.files import write_json
from stainscript.errors import unknown_name
from stainscript.genes.identifiers.names import GeneNames, ensembl_id

if TYPE_CHECKING:
    from anndata import AnnData

Nomenclature = Literal["published", "symbol", "ensembl"]
Merge = Literal["sum", "first"]
SEPARATOR = "|"  # between the published names of a merged gene in var["published"]


@dataclass(frozen=True, kw_only=True)
class IdentifierReport:
    """What became of the names of one slide; every published name is counted in one group, ``merged`` apart.

    unchanged, by_current, by_ensembl: numbers of names that were right already, were a current symbol or an Ensembl id
    (its version removed); by_previous, by_alias: published name → new name; unmapped: names the table does not have;
    ambiguous: name → the current symbols that claim it; kept_apart: alias → the symbol that the slide counts besides
    it. The last three groups keep their published name. merged: new name → the columns that became one.
    """

    species: str
    release: str
    to: str
    gene_merge: str
    genes_before: int
    genes_after: int
    unchanged: int
    by_current: int
    by_ensembl: int
    by_previous: Mapping[str, str]
    by_alias: Mapping[str, str]
    unmapped: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    kept_apart: Mapping[str, str]
    merged: Mapping[str, tuple[str, ...]]

    @property
    def numbers(self) -> dict[str, int]:
        """The size of each group."""
        groups = {key: value for key, value in dataclasses.asdict(self).items() if not isinstance(value, str)}
        return {key: value if isinstance(value, int) else len(value) for key, value in groups.items()}

    def to_json(self) -> dict[str, object]:
        """Plain values: the fields, and ``numbers``."""
        return {**dataclasses.asdict(self), "numbers": self.numbers}

    def write(self, path: str | Path) -> None:
        """Write the report as JSON, completely or not at all."""
        write_json(path, self.to_json())


def harmonise(
    adata: AnnData, *, names: GeneNames, to: Nomenclature, gene_merge: Merge = "sum"
) -> tuple[AnnData, IdentifierReport]:
    """The slide with its genes named as ``to`` says, and the report of what was done; the input is left as it is.

    adata: counts (spot, gene), ``var_names`` the published gene ids, ``var["symbol"]`` if known. published: only
    columns of exactly the same name are merged, nothing else changes. symbol, ensembl: current symbols, Ensembl gene
    ids without version; a name that the table does not resolve keeps its published form, so that no count is lost.
    Genes are in the order of their first column. ``var["symbol"]`` becomes the current symbol where it is known, and
    ``var["published"]`` the published names, joined by ``|``.
    An alias is not followed when the slide counts that gene under a better name too: what was annotated apart is not
    one gene. A previous symbol is followed, as the nomenclature says that the two are one.
    gene_merge: ``sum`` adds the counts of the columns of a gene; ``first`` keeps the first column, as STAMP's released
    tokeniser does. Raises ``DataContractError`` for an unknown ``to`` or ``gene_merge``.
    """
    if to not in get_args(Nomenclature):
        raise unknown_name("identifiers", "to", to, get_args(Nomenclature))
    if gene_merge not in get_args(Merge):
        raise unknown_name("identifiers", "gene_merge", gene_merge, get_args(Merge))
    published = [str(name) for name in adata.var_names]
    plan = _Plan(published, names=names, to=to)
    codes, targets = pd.factorize(np.array(plan.targets, dtype=object))
    first = np.unique(codes, return_index=True)[1]
    result = adata[:, first].copy()
    if len(first) < len(codes) and gene_merge == "sum":
        result.X = _summed(adata.X, codes)
        for key, layer in adata.layers.items():
            result.layers[key] = _summed(layer, codes)
    merged = _merged(codes, targets, published)
    if to != "published":
        _rename(result, adata, plan=plan, codes=codes, first=first, targets=targets)
    return result, plan.report(gene_merge=gene_merge, genes_after=len(first), merged=merged)


class _Plan:
    """For each published name the new one, and the group of the report it falls in."""

    def __init__(self, published: Sequence[str], *, names: GeneNames, to: Nomenclature) -> None:
        self.names, self.to, self.published = names, to, published
        claims = [names.claims(name) for name in published]
        better = {found[0] for way, found in claims if way in ("current", "previous", "ensembl")}
        resolved = [self._resolve(name, *claim, better) for name, claim in zip(published, claims, strict=True)]
        self.groups = [group for group, _, _ in resolved]
        self.targets = [target for _, target, _ in resolved]
        self.symbols = [symbol for _, _, symbol in resolved]

    def _resolve(self, name: str, way: str, found: tuple[str, ...], better: set[str]) -> tuple[str, str, str | None]:
        """Group, new name and current symbol of a name that was found so."""
        if self.to == "published":
            return "unchanged", name, None
        if way == "ambiguous":
            return "ambiguous", name, None
        if way == "alias" and found[0] in better:
            return "kept_apart", name, None
        symbol = found[0] if found else None
        target = symbol if self.to == "symbol" else (ensembl_id(name) or self.names.ensembl(symbol or ""))
        if target is None:
            return "unmapped", name, symbol
        if target == name:
            return "unchanged", name, symbol
        return f"by_{'ensembl' if ensembl_id(name) else way}", target, symbol

    def report(self, *, gene_merge: Merge, genes_after: int, merged: Mapping[str, tuple[str, ...]]) -> IdentifierReport:
        def pick(group: str) -> dict[str, str]:
            rows = zip(self.groups, self.published, self.targets, strict=True)
            return {name: target for found, name, target in rows if found == group}

        return IdentifierReport(
            species=self.names.species,
            release=self.names.release,
            to=self.to,
            gene_merge=gene_merge,
            genes_before=len(self.published),
            genes_after=genes_after,
            unchanged=self.groups.count("unchanged"),
            by_current=self.groups.count("by_current"),
            by_ensembl=self.groups.count("by_ensembl"),
            by_previous=pick("by_previous"),
            by_alias=pick("by_alias"),
            unmapped=tuple(pick("unmapped")),
            ambiguous={name: self.names.claims(name)[1] for name in pick("ambiguous")},
            kept_apart={name: self.names.claims(name)[1][0] for name in pick("kept_apart")},
            merged=merged,
        )


def _summed(values: np.ndarray | sparse.spmatrix, codes: np.ndarray) -> sparse.csr_matrix:
    """Columns with the same code added; values: (S, G), codes: (G,) from 0. Returns CSR of the same number type."""
    values = sparse.csr_matrix(values)
    ones = np.ones(len(codes), dtype=values.dtype)
    select = sparse.csr_matrix((ones, (np.arange(len(codes)), codes)), shape=(len(codes), int(codes.max()) + 1))
    summed = values @ select  # (S, G) @ (G, merged)
    summed.sort_indices()
    return summed


def _merged(codes: np.ndarray, targets: np.ndarray, published: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """New name → the published names of its columns, for genes with several."""
    sources: dict[str, list[str]] = {}
    for column in _of_several(codes):
        sources.setdefault(targets[codes[column]], []).append(published[column])
    return {target: tuple(columns) for target, columns in sources.items()}


def _of_several(codes: np.ndarray) -> np.ndarray:
    """Columns whose code another column has too."""
    return np.flatnonzero(np.bincount(codes)[codes] > 1) if len(codes) else codes


def _rename(
    result: AnnData, adata: AnnData, *, plan: _Plan, codes: np.ndarray, first: np.ndarray, targets: np.ndarray
) -> None:
    """Set ``var_names``, ``var["symbol"]`` and ``var["published"]`` of the merged slide."""
    own = np.array(plan.published, dtype=object)
    shown = adata.var["symbol"].to_numpy(dtype=object) if "symbol" in adata.var else own
    before = adata.var["published"].to_numpy(dtype=object) if "published" in adata.var else own
    published = before[first]
    columns = _of_several(codes)
    for code, together in pd.Series(columns).groupby(codes[columns]):
        parts = [name for column in together for name in str(before[column]).split(SEPARATOR)]
        published[code] = SEPARATOR.join(dict.fromkeys(parts))
    result.var_names = pd.Index(targets, dtype=object, name=adata.var_names.name)
    result.var["symbol"] = [plan.symbols[column] or str(shown[column]) for column in first]
    result.var["published"] = published
