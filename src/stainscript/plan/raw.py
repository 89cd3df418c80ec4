"""Jobs of ``rules/raw.smk``: raw files → slides, spots, expression."""

from __future__ import annotations

from typing import Any

from stainscript.artifacts.provenance import code_digest, digest_of
from stainscript.plan import paths
from stainscript.plan.references import ReferenceJobs


class RawJobs(ReferenceJobs):
    """Jobs of ``rules/raw.smk``: raw files → slides, spots, expression."""

    def raw_params(self, w: Any) -> dict[str, Any]:
        dataset = self.config.datasets[w.dataset]
        module = f"stainscript.datasets.{dataset.generator}"
        return {
            "options": dataset.options,
            "code": code_digest(["stainscript.stages.draw_phantom", module]),
        }

    def raw_inputs(self, w: Any) -> list[str]:
        """What a slide is read from: its raw files, or the folder that the generator draws."""
        row = self.row(w)
        return [paths.raw(w.dataset, w.slide)] if row.generated else sorted(set(row.files.values()))

    def image_file(self, w: Any) -> str:
        """The file that a slide's pixels are read from: its image, or ready-made patches where there is none."""
        files = self.row(w).files
        return files["image"] if "image" in files else files["patches"]

    def image_input(self, w: Any) -> str:
        """The same as an input: a generated image lies in a folder that its rule declares."""
        return paths.raw(w.dataset, w.slide) if self.row(w).generated else self.image_file(w)

    def ingest_params(self, w: Any) -> dict[str, Any]:
        row = self.row(w)
        modules = ["stainscript.stages.ingest_slide", f"stainscript.datasets.{row.layout}"]
        params = {
            "row": {name: cell for name, cell in row.cells.items() if name != "note"},
            "files": row.files,
            "options": {} if row.generated else self.config.datasets[w.dataset].options,
            "code": code_digest(modules),
            "naming": self.naming(w.dataset),
            "tables": self.built_in_tables,
            "drawn": digest_of(self.raw_params(w)) if row.generated else None,
        }
        return params | {"dataset": w.dataset}

    def naming(self, dataset: str) -> dict[str, Any]:
        """How the dataset's genes are named (fields of ``stages.ingest_slide.Naming``)."""
        chosen = self.config.identifiers
        return {"names": chosen.names, "merge": chosen.merge, "species": self.config.datasets[dataset].species}
