"""Jobs of ``rules/score.smk``: metrics, tables, the report; and the files that a run is asked for."""

from __future__ import annotations

from typing import Any

from stainscript.artifacts.provenance import code_digest, folder_digest
from stainscript.plan import paths
from stainscript.plan.base import PlanBase
from stainscript.plan.experiments import Experiment
from stainscript.splits.hest_bench import is_task
from stainscript.types import Fold


class ScoreJobs(PlanBase):
    """Jobs of ``rules/score.smk``: metrics, tables, the report; and the files that a run is asked for."""

    def tables(self) -> list[str]:
        sets = self.config.experiment_sets
        every = [paths.table(name, suffix) for name in sets for suffix in ("tsv", "md", "tex")]
        names = ("hest_bench.tsv", "hest_bench.md", "hest_bench_tasks.tsv")
        return every + [paths.hest_table(chosen, name) for chosen in sets if self._is_hest(chosen) for name in names]

    def _is_hest(self, chosen: str) -> bool:
        """Whether every dataset of the set is a task of HEST-Bench: it then gets that benchmark's table too."""
        return all(is_task(e.dataset) for e in self.experiments.values() if chosen in e.sets)

    def hest_table_params(self, w: Any) -> dict[str, Any]:
        return {
            "experiments": self._rows(w.chosen),
            "code": code_digest(["stainscript.stages.tabulate_hest_bench"]),
        }

    def report(self) -> list[str]:
        """The report, where there are experiments to report."""
        return [paths.REPORT] if self.experiments else []

    def metrics(self, *, chosen: str | None = None, kind: str = "slides") -> list[str]:
        """Metrics files of all experiments, or of those of one set."""
        return [
            paths.metrics(name, fold.index, seed, kind)
            for name, e in self.experiments.items()
            if chosen is None or chosen in e.sets
            for fold in self.folds_of(e)
            for seed in e.seeds
        ]

    def programmes(self) -> list[str]:
        """What predictions show of the pathways that experiment sets name; controls are left out."""
        return sorted(
            {
                paths.programmes(name, fold.index, seed, pathways)
                for name in self.honest
                for chosen in self.experiments[name].sets
                for pathways in self.config.experiment_sets[chosen].pathways
                for fold in self.folds_of(self.experiments[name])
                for seed in self.experiments[name].seeds
            }
        )

    def programme_inputs(self, w: Any) -> dict[str, Any]:
        e, fold = self.of(w)
        protocol = self.protocol(e)
        where = (e.dataset, protocol.split, fold.index, f"{protocol.panel}.{e.protocol}")
        return {
            "predictions": [paths.predicted(e.name, w.fold, w.seed, name) for name in fold.test],
            "pathways": paths.pathways(*where, w.pathways),
            "metrics": paths.metrics(e.name, w.fold, w.seed, "genes"),
        }

    def programme_params(self, w: Any) -> dict[str, Any]:
        return {
            "rule": self.config.programmes.model_dump(mode="json"),
            "code": code_digest(["stainscript.stages.enrich_programmes"]),
        }

    def unmeasured_predictions(self) -> list[str]:
        """Predictions for slides that have no expression."""
        return [
            paths.predicted(name, fold.index, seed, row.slide)
            for name, e in self.experiments.items()
            if e.unmeasured
            for row in self.cohorts[e.dataset].values()
            if not row.measured
            for fold in self.folds_of(e)
            for seed in e.seeds
        ]

    def splits(self) -> list[str]:
        return [paths.split(*pair) for pair in self.folds]

    def score_files(self, w: Any) -> dict[str, Any]:
        e, fold = self.of(w)
        return {
            "predictions": [paths.predicted(e.name, w.fold, w.seed, name) for name in fold.test],
            "expression": [paths.expression(e.dataset, name) for name in fold.test],
            "panel": self.panel_file(e, fold.index),
            "cohort": self.cohort_files(e) if self.protocol(e).subsets.scope == "dataset" else [],
        }

    def score_params(self, w: Any) -> dict[str, Any]:
        e, _ = self.of(w)
        protocol = self.protocol(e)
        drawn = sorted({gene for name in e.sets for gene in self.config.experiment_sets[name].map_genes})
        return {
            "target": protocol.target.model_dump(mode="json"),
            "subsets": protocol.subsets.model_dump(mode="json"),
            "dataset": e.dataset,
            "map_genes": drawn,
            "code": code_digest(["stainscript.stages.score"]),
        }

    def table_params(self, w: Any) -> dict[str, Any]:
        return {
            "experiments": self._rows(w.chosen),
            "bootstrap": self.config.bootstrap,
            "code": code_digest(["stainscript.stages.tabulate"]),
        }

    def report_files(self) -> dict[str, Any]:
        slides = sorted({(e.dataset, name) for e in self.experiments.values() for name in self.test_slides(e)})
        return {
            "tables": [paths.table(name, "tsv") for name in self.config.experiment_sets],
            "slides": self.metrics(),
            "genes": self.metrics(kind="genes"),
            "maps": self.metrics(kind="maps"),
            "infos": [paths.info(*pair) for pair in slides],
            "thumbnails": [paths.thumbnail(*pair) for pair in slides],
        }

    def report_params(self) -> dict[str, Any]:
        sets = self.config.experiment_sets
        return {
            "title": "; ".join(chosen.title for chosen in sets.values()),
            "sets": list(sets),
            "experiments": [row | {"set": name} for name in sets for row in self._rows(name)],
            "code": code_digest(["stainscript.stages.write_report"]),
            "templates": folder_digest(self.repository / "src/stainscript/report/templates"),
        }

    def _rows(self, chosen: str) -> list[dict[str, Any]]:
        return [
            {
                "name": e.name,
                "dataset": e.dataset,
                "method": e.entry,
                "encoder": e.encoder,
                "protocol": e.protocol,
                "seeds": list(e.seeds),
                "note": self._note(e),
            }
            for e in self.experiments.values()
            if chosen in e.sets
        ]

    def _note(self, e: Experiment) -> str:
        """Every switch by which the protocol lets test slides, or their patients, into the training side."""
        protocol = self.protocol(e)
        switches = {
            "genes chosen on all slides, test slides included": self.config.panels[protocol.panel].scope == "dataset",
            "genes of a given list, chosen elsewhere; HEST-Bench chose its own on all slides": bool(
                self.config.panels[protocol.panel].genes_file
            ),
            "HEG and HVG by the labels of all slides": protocol.subsets.scope == "dataset",
            "slides of one patient on both sides": any(self._shares_patients(e, fold) for fold in self.folds_of(e)),
        }
        return "; ".join(text for text, on in switches.items() if on)

    def _shares_patients(self, e: Experiment, fold: Fold) -> bool:
        patients = [{self.cohorts[e.dataset][name].patient for name in side} for side in (fold.train, fold.test)]
        return bool(patients[0] & patients[1])
