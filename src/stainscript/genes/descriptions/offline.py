"""Descriptions without network and weights: the family that the symbol tells, and the gene sets that name the gene."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stainscript.genes.descriptions.families import TABLE_DATE, stem_of, table_sha256, terms_of
from stainscript.types import canonical_json

_COLLECTION = re.compile(r"^(HALLMARK|GO(BP|CC|MF)?|KEGG(_MEDICUS)?|REACTOME|WP|BIOCARTA|PID|HP)_")
_ACCESSION = re.compile(r"\s*\((GO:\d+|R-[A-Z]{3}-\d+|WP\d+)\)\s*$")


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What is derived of one gene; either text may be empty."""

    functionality: str
    phenotype: str

    @property
    def summary(self) -> str:
        """Both in one line, for a model that rewrites it."""
        return "; ".join(part for part in (self.functionality, self.phenotype) if part)


def derive(symbol: str, *, sets: Sequence[str]) -> Derived:
    """Key terms of one gene. functionality: its families' terms and the stem of its symbol; phenotype: the gene sets
    that it is a member of, in words."""
    stem = stem_of(symbol)
    terms = (*terms_of(symbol), *((f"family {stem}",) if stem else ()))
    return Derived(functionality=", ".join(terms), phenotype=", ".join(map(in_words, sets)))


def memberships(
    gene_sets: Mapping[str, Sequence[str]], *, most: int, identity: Callable[[str], str]
) -> dict[str, tuple[str, ...]]:
    """gene → the sets that hold it, the smallest ``most`` of them, smallest first, ties by name.

    identity: maps a gene of a set to the name by which it is looked up (its current symbol).
    """
    members = {name: {identity(gene) for gene in genes} for name, genes in gene_sets.items()}
    found: dict[str, list[str]] = {}
    for name in sorted(members, key=lambda name: (len(members[name]), name)):
        for gene in members[name]:
            found.setdefault(gene, []).append(name)
    return {gene: tuple(names[:most]) for gene, names in found.items()}


def in_words(name: str) -> str:
    """A set's name as a reader says it: ``HALLMARK_DNA_REPAIR`` → ``dna repair``, accessions left out."""
    words = _ACCESSION.sub("", name)
    return _COLLECTION.sub("", words).replace("_", " ").lower().strip() or name


def release_of(gene_sets: Mapping[str, Sequence[str]] | None) -> str:
    """The identity of what the descriptions are derived from: the table of families and the gene sets."""
    families = f"families {TABLE_DATE} {table_sha256()[:12]}"
    if gene_sets is None:
        return families
    sets = canonical_json([[name, list(genes)] for name, genes in gene_sets.items()])
    return f"{families}, {len(gene_sets)} gene sets {hashlib.sha256(sets.encode()).hexdigest()[:12]}"
