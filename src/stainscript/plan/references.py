"""Published tables: your own copies checked while planning, the others fetched by ``rules/references.smk``."""

from __future__ import annotations

import functools
from typing import Any

from stainscript.artifacts.provenance import folder_digest
from stainscript.config.references import BUILTIN
from stainscript.plan import paths
from stainscript.plan.base import PlanBase
from stainscript.plan.cohorts import locate


class ReferenceJobs(PlanBase):
    """Jobs of ``rules/references.smk``, and where a table is found."""

    def reference(self, name: str) -> str:
        """The file of a reference: your own copy, or where it is fetched to."""
        entry = self.config.references[name]
        if entry.file is not None:
            return str(locate(entry.file, self.repository))
        return paths.reference(name, entry.published_name)

    def gene_table(self, dataset: str) -> list[str]:
        """The table of gene names for a dataset's species; none where the built-in one serves."""
        chosen = getattr(self.config.identifiers, self.config.datasets[dataset].species)
        return [] if chosen == BUILTIN else [self.reference(chosen)]

    @functools.cached_property
    def built_in_tables(self) -> str:
        """Digest of the gene names and printed lists that the package brings: they are no job's inputs."""
        return folder_digest(self.repository / "src/stainscript/genes/data")

    def gene_names(self, dataset: str) -> dict[str, Any]:
        """By which names a dataset's genes are known."""
        return {"species": self.config.datasets[dataset].species, "tables": self.built_in_tables}

    def reference_params(self, w: Any) -> dict[str, Any]:
        """No digest of code: what was fetched and checked is not fetched again because a program changed."""
        return self.config.references[w.reference].model_dump(mode="json", exclude={"file"})
