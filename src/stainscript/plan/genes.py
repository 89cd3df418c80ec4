"""Jobs of ``rules/genes.smk``: splits, and panels on each fold's training slides."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stainscript.artifacts.provenance import code_digest
from stainscript.genes.panels.gene_list import read_gene_list
from stainscript.genes.panels.rules import check_rule, rule_of
from stainscript.plan import paths
from stainscript.plan.cohorts import in_root
from stainscript.plan.references import ReferenceJobs


class GeneJobs(ReferenceJobs):
    """Jobs of ``rules/genes.smk``: splits, and panels on each fold's training slides."""

    def __init__(self, raw: dict[str, Any], *, repository: str | Path) -> None:
        super().__init__(raw, repository=repository)
        for name, panel in self.config.panels.items():
            options = panel.model_dump(mode="json", exclude={"genes_file", "vocabulary"})
            listed = {"genes": ["listed in genes_file"]} if panel.genes_file is not None else {}
            check_rule(name, rule_of(options | listed))

    def split_params(self, w: Any) -> dict[str, Any]:
        split = self.config.splits[w.split]
        return {
            "scheme": split.scheme,
            "seed": split.seed,
            "folds": [asdict(fold) for fold in self.folds[w.dataset, w.split]],
            "code": code_digest(["stainscript.stages.make_split"]),
        }

    def panel_inputs(self, w: Any) -> list[str]:
        fold = self.folds[w.dataset, w.split][int(w.fold)]
        rows = self.cohorts[w.dataset]
        every = [name for name, row in rows.items() if row.measured]
        train = set(fold.train) | set(fold.val)
        scope = self.config.panels[w.panel].scope
        return [paths.expression(w.dataset, name) for name in every if scope == "dataset" or name in train]

    def panel_vocabulary(self, w: Any) -> list[str]:
        """The vocabulary that a panel's candidates must lie in, if it names one."""
        chosen = self.config.panels[w.panel].vocabulary
        return [] if chosen is None else [self.reference(chosen)]

    def panel_params(self, w: Any) -> dict[str, Any]:
        panel = self.config.panels[w.panel]
        rule = panel.model_dump(mode="json", exclude={"genes_file", "vocabulary"})
        if panel.genes_file is not None:
            rule["genes"] = list(read_gene_list(in_root(self.config, w.dataset, panel.genes_file)))
        return {
            "rule": rule,
            "target": self.config.protocols[w.protocol].target.model_dump(mode="json"),
            "names": self.gene_names(w.dataset),
            "code": code_digest(["stainscript.stages.select_panel"]),
        }
