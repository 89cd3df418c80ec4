"""A list of genes found among the genes of the slides: by id, by symbol, by an old or a current name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stainscript.errors import DataContractError

if TYPE_CHECKING:
    from stainscript.genes.identifiers.names import GeneNames

SHOWN = 5  # genes that a message names


def listed(
    entries: Sequence[str], *, symbol_of: Mapping[str, str], names: GeneNames | None, field: str, panel: str
) -> list[str]:
    """The gene ids that a list means, in its order.

    entries: gene ids or symbols; symbol_of: gene id → symbol of the genes that any slide measures; names: ``None``:
    only equal names match. field: the option that holds the list, panel: its name, for messages. Raises
    ``DataContractError`` for an entry that no slide measures (with a guess), that is the symbol of several genes, or
    that means the gene of another entry.
    """
    ids_of: dict[str, list[str]] = {}
    for gene, symbol in symbol_of.items():
        ids_of.setdefault(symbol, []).append(gene)
    found = {entry: [entry] if entry in symbol_of else ids_of.get(entry, []) for entry in entries}
    rest = [entry for entry in entries if not found[entry]]
    if rest and names is not None:
        from stainscript.genes.identifiers.names import match

        by_symbol, by_id = match(rest, list(ids_of), names=names), match(rest, list(symbol_of), names=names)
        for entry in rest:
            if entry in by_symbol:
                found[entry] = ids_of[by_symbol[entry]]
            elif entry in by_id:
                found[entry] = [by_id[entry]]
    absent = [entry for entry in entries if not found[entry]]
    if absent:
        raise _absent(absent, known=[*ids_of, *symbol_of], field=field, panel=panel)
    entry_of: dict[str, str] = {}
    for entry in entries:
        if len(found[entry]) > 1:
            ids = ", ".join(sorted(found[entry]))
            raise _wrong(panel, field, "one gene for each entry", f"{entry} is the symbol of {ids}", "give the gene id")
        gene = found[entry][0]
        if gene in entry_of:
            raise _wrong(
                panel, field, "different genes", f"{entry_of[gene]} and {entry} are one gene, {gene}", "list it once"
            )
        entry_of[gene] = entry
    return list(entry_of)


def _absent(absent: Sequence[str], *, known: Sequence[str], field: str, panel: str) -> DataContractError:
    near = difflib.get_close_matches(absent[0], known, n=3)
    more = f" and {len(absent) - 1} more ({', '.join(absent[1 : 1 + SHOWN])})" if len(absent) > 1 else ""
    guess = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return DataContractError(
        f"panel {panel}",
        field,
        expected="genes that at least one of the slides measures",
        found=f"{absent[0]!r}{more}",
        remedy=f"{guess}Correct the list, or give a table of gene names that has them",
    )


def _wrong(panel: str, field: str, expected: str, found: str, remedy: str) -> DataContractError:
    return DataContractError(f"panel {panel}", field, expected=expected, found=found, remedy=remedy)
