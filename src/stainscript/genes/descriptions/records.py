"""One description a gene, and the file of them: a JSON object a line, in the order of the genes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stainscript.artifacts.files import complete_file
from stainscript.errors import DataContractError, unknown_name
from stainscript.genes.descriptions.validate import object_text

TextSource = Literal["values", "raw_json", "summary"]
TEXT_SOURCES: tuple[TextSource, ...] = ("values", "raw_json", "summary")
REMEDY = "delete the file and let describe_genes write it again"


@dataclass(frozen=True, kw_only=True)
class Description:
    """What one gene does, as text, and where the text comes from.

    functionality, phenotype: the two values that a text encoder reads beside the symbol; a free description (strategy
    ``no_constraint``) and a summary that was not rewritten stand in ``functionality``, and ``phenotype`` is empty.
    summary: the source's own text, empty where the source has none. raw: the model's whole answer. date: the day (ISO,
    UTC) on which the text was fetched or answered; for ``names`` the day of the table of families.
    """

    gene_id: str
    symbol: str
    functionality: str
    phenotype: str
    summary: str
    source: str  # "names" or "ncbi"
    source_release: str
    model: str = ""  # "" where no model rewrote it
    strategy: str = ""  # "full", "no_constraint", "no_summary", or "" likewise
    disease: str = ""
    prompt_sha256: str = ""
    date: str = ""
    raw: str = ""

    def text(self, source: TextSource = "values") -> str:
        """The string that a text encoder embeds; never empty, because the symbol stands in where there is no text.

        ``values``: symbol, functionality and phenotype in one line (the DKAN spec's reading; the paper names none).
        ``raw_json``: the JSON object of the model's answer as it was written, or one of the values where no model was
        asked. ``summary``: the source's text before any rewriting.
        """
        if source == "values":
            return " ".join(part for part in (self.symbol, self.functionality, self.phenotype) if part)
        if source == "summary":
            return self.summary or self.symbol
        if source != "raw_json":
            raise unknown_name("a text encoder's options", "text_source", str(source), TEXT_SOURCES)
        if self.raw:
            return object_text(self.raw)
        values = {"gene symbol": self.symbol, "functionality": self.functionality, "phenotype": self.phenotype}
        return json.dumps(values, ensure_ascii=False)


FIELDS = tuple(field.name for field in dataclasses.fields(Description))


def write_descriptions(path: str | Path, descriptions: Sequence[Description]) -> None:
    """Write one JSON object a line, all lines or no file."""
    lines = [json.dumps(dataclasses.asdict(one), ensure_ascii=False) + "\n" for one in descriptions]
    with complete_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def read_descriptions(path: str | Path) -> list[Description]:
    """Read what ``write_descriptions`` wrote; raises ``DataContractError`` for a line that is no description, and for
    a gene that has two."""
    found: dict[str, Description] = {}
    # Not splitlines(): a summary may hold characters that it takes for the end of a line.
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").rstrip("\n").split("\n"), start=1):
        one = _description(path, number, line)
        if one.gene_id in found:
            raise DataContractError(
                path, f"line {number}", expected="each gene once", found=f"{one.gene_id} again", remedy=REMEDY
            )
        found[one.gene_id] = one
    return list(found.values())


def _description(path: str | Path, number: int, line: str) -> Description:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        row = None
    if not isinstance(row, dict) or set(row) != set(FIELDS):
        found = "no JSON object" if not isinstance(row, dict) else ", ".join(sorted(set(row) ^ set(FIELDS))) + " differ"
        raise DataContractError(
            path, f"line {number}", expected=f"a JSON object with {', '.join(FIELDS)}", found=found, remedy=REMEDY
        )
    wrong = [name for name in FIELDS if not isinstance(row[name], str)]
    if wrong:
        raise DataContractError(
            path, f"line {number}", expected="text in every field", found=f"none in {', '.join(wrong)}", remedy=REMEDY
        )
    return Description(**row)


def check_panel(descriptions: Sequence[Description], gene_ids: Sequence[str], path: str | Path) -> list[Description]:
    """The descriptions of ``gene_ids``, in that order; raises ``DataContractError`` naming genes that have none.

    path: the file of the descriptions, for the message.
    """
    known = {one.gene_id: one for one in descriptions}
    missing = [gene for gene in gene_ids if gene not in known]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise DataContractError(
            path,
            "gene_id",
            expected=f"a description of each of the panel's {len(gene_ids)} genes",
            found=f"none of {shown}: these are the descriptions of another panel",
            remedy="run describe_genes with this panel among its panels",
        )
    return [known[gene] for gene in gene_ids]
