"""``Plan``: inputs, params and resources of every rule, from the config and the sheets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from stainscript import encoders
from stainscript.artifacts.provenance import code_digest, digest_of, environment_digest, folder_digest
from stainscript.config import Config, load
from stainscript.errors import DataContractError
from stainscript.plan import paths
from stainscript.plan.cohorts import Row, locate, read_cohorts
from stainscript.plan.experiments import Experiment, expand
from stainscript.splits.check import check_folds
from stainscript.splits.schemes import make_folds
from stainscript.types import Fold


class Plan:
    """Everything the Snakefile asks. ``w`` is always a rule's wildcards.

    Params hold just what a step depends on: its options, the digest of its code and of its environment. Inputs of
    different jobs never overlap more than needed, so that a changed fold or option reruns only what it touches.
    """

    def __init__(self, raw: dict[str, Any], *, repository: str | Path) -> None:
        self.repository = Path(repository)
        self.config: Config = load(raw, folders=("workflow", self.repository / "workflow"))
        self.experiments: dict[str, Experiment] = expand(self.config)
        self._check_encoders()
        self._check_answers()
        datasets = sorted({e.dataset for e in self.experiments.values()})
        self.cohorts: dict[str, dict[str, Row]] = read_cohorts(
            self.config, datasets=datasets, repository=self.repository
        )
        pairs = sorted({(e.dataset, self._protocol(e).split) for e in self.experiments.values()})
        self.folds: dict[tuple[str, str], list[Fold]] = {pair: self._folds(*pair) for pair in pairs}

    # names for wildcard constraints

    @property
    def measured(self) -> list[str]:
        return sorted({row.slide for rows in self.cohorts.values() for row in rows.values() if row.measured})

    @property
    def unmeasured(self) -> list[str]:
        return sorted({row.slide for rows in self.cohorts.values() for row in rows.values() if not row.measured})

    @property
    def controls(self) -> list[str]:
        """Experiments whose method is handed the answers: the oracle and the ceiling."""
        return sorted(name for name, e in self.experiments.items() if e.needs.answers)

    @property
    def honest(self) -> list[str]:
        return sorted(set(self.experiments) - set(self.controls))

    # targets

    def tables(self) -> list[str]:
        return [paths.table(name, suffix) for name in self.config.experiment_sets for suffix in ("tsv", "md", "tex")]

    def metrics(self, *, chosen: str | None = None, kind: str = "slides") -> list[str]:
        """Metrics files of all experiments, or of those of one set."""
        return [
            paths.metrics(name, fold.index, seed, kind)
            for name, e in self.experiments.items()
            if chosen is None or chosen in e.sets
            for fold in self._folds_of(e)
            for seed in e.seeds
        ]

    def unmeasured_predictions(self) -> list[str]:
        """Predictions for slides that have no expression."""
        return [
            paths.predicted(name, fold.index, seed, row.slide)
            for name, e in self.experiments.items()
            if e.unmeasured
            for row in self.cohorts[e.dataset].values()
            if not row.measured
            for fold in self._folds_of(e)
            for seed in e.seeds
        ]

    def splits(self) -> list[str]:
        return [paths.split(*pair) for pair in self.folds]

    # raw slides → slides, expression

    def raw_params(self, w: Any) -> dict[str, Any]:
        dataset = self.config.datasets[w.dataset]
        module = f"stainscript.datasets.{dataset.generator}"
        return {
            "options": dataset.options,
            "code": code_digest(["stainscript.stages.draw_phantom", module]),
        }

    def raw_inputs(self, w: Any) -> list[str]:
        """What a slide is read from: its raw files, or the folder that the generator draws."""
        row = self._row(w)
        return [paths.raw(w.dataset, w.slide)] if row.generated else sorted(set(row.files.values()))

    def image_input(self, w: Any) -> str:
        row = self._row(w)
        return paths.raw(w.dataset, w.slide) if row.generated else row.files["image"]

    def ingest_params(self, w: Any) -> dict[str, Any]:
        row = self._row(w)
        modules = ["stainscript.stages.ingest_slide", f"stainscript.datasets.{row.layout}"]
        params = {
            "row": row.cells,
            "files": row.files,
            "options": {} if row.generated else self.config.datasets[w.dataset].options,
            "code": code_digest(modules),
            "drawn": digest_of(self.raw_params(w)) if row.generated else None,
        }
        return params | {"dataset": w.dataset}

    # patches, features

    def patch_params(self, w: Any) -> dict[str, Any]:
        view = self.config.views[w.view].model_dump(mode="json") | {"name": w.view}
        return {
            "view": view,
            "image": self._row(w).files["image"],
            "code": code_digest(["stainscript.stages.extract_patches"]),
        }

    def encode_params(self, w: Any) -> dict[str, Any]:
        encoder = self.config.encoders[w.encoder]
        modules = ["stainscript.stages.encode_patches", *encoders.code_modules(encoder.kind)]
        weights = str(locate(encoder.weights, self.repository)) if encoder.weights else None
        return {
            "encoder": encoder.model_dump(mode="json") | {"name": w.encoder, "weights": weights},
            "hardware": self._hardware("accelerator", "threads"),
            "code": code_digest(modules),
        }

    def weights_input(self, w: Any) -> list[str]:
        """The encoder's weights file, if it has one."""
        weights = self.config.encoders[w.encoder].weights
        return [str(locate(weights, self.repository))] if weights else []

    def encode_gpus(self, w: Any) -> int:
        accelerated = encoders.needs_gpu(self.config.encoders[w.encoder].kind)
        return int(accelerated and self.config.hardware.accelerator != "cpu")

    # splits, panels

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

    def panel_params(self, w: Any) -> dict[str, Any]:
        return {
            "rule": self.config.panels[w.panel].model_dump(mode="json"),
            "target": self.config.protocols[w.protocol].target.model_dump(mode="json"),
            "code": code_digest(["stainscript.stages.select_panel"]),
        }

    # fit, predict

    def fit_files(self, w: Any) -> dict[str, Any]:
        """Files of a fit by role and slide; ``fit_inputs`` is the same as a flat list."""
        e, fold = self._of(w)
        slides = {name: self._slide_files(e, name) for name in (*fold.train, *fold.val)}
        for name, files in slides.items():
            files["expression"] = paths.expression(e.dataset, name)
        return {"panel": self._panel(e, fold.index), "slides": slides}

    def fit_inputs(self, w: Any) -> list[str]:
        return list(_leaves(self.fit_files(w)))

    def fit_params(self, w: Any) -> dict[str, Any]:
        e, fold = self._of(w)
        protocol = self._protocol(e)
        rows = self.cohorts[e.dataset]
        environment = self.environment("train")
        spec = {
            "experiment": e.name,
            "fold": fold.index,
            "seed": int(w.seed),
            "dataset": e.dataset,
            "method": e.method,
            "options": e.options,
            "target": protocol.target.model_dump(mode="json"),
            "train": list(fold.train),
            "val": list(fold.val),
            "val_spot_fraction": fold.val_spot_fraction,
            "patients": {name: rows[name].patient for name in (*fold.train, *fold.val)},
            "views": {role: list(e.encoders) for role in e.needs.views},
            "hardware": self._hardware("accelerator", "devices", "precision", "threads"),
        }
        code = code_digest(["stainscript.stages.fit", f"stainscript.methods.{e.method}.method"])
        digests = {
            "config": digest_of(spec),
            "code": code,
            "environment": environment,
            "split": digest_of(asdict(fold)),
        }
        params = {"spec": spec | {"digests": digests}, "files": self.fit_files(w), "code": code}
        return params | {"resume": paths.path(".resume", digest_of(params))}

    def fit_gpus(self, w: Any) -> int:
        e, _ = self._of(w)
        return self.config.hardware.devices if e.needs.gpu and self.config.hardware.accelerator != "cpu" else 0

    def predict_inputs(self, w: Any) -> list[str]:
        """A checkpoint, features and coordinates: never the slide's expression (the answer wall)."""
        e, _ = self._of(w)
        checkpoint = paths.run(e.name, w.fold, w.seed, "checkpoint.safetensors")
        return [checkpoint, *_leaves(self._slide_files(e, w.slide))]

    def answers_input(self, w: Any) -> str:
        """What a control is made of: the measured slide, or the folder with the phantom's true expectation."""
        e, _ = self._of(w)
        if e.needs.answers == "measured":
            return paths.expression(e.dataset, w.slide)
        return paths.raw(e.dataset, w.slide)

    def predict_params(self, w: Any) -> dict[str, Any]:
        e, _ = self._of(w)
        answers = self.answers_input(w) if e.needs.answers else None
        return {
            "files": self._slide_files(e, w.slide),
            "checkpoint": paths.run(e.name, w.fold, w.seed, "checkpoint.safetensors"),
            "hardware": self._hardware("accelerator", "threads") if e.needs.gpu else None,
            "answers": f"{answers}/truth/expected.h5ad" if e.needs.answers == "expected" else answers,
            "code": code_digest(["stainscript.stages.predict", f"stainscript.methods.{e.method}.method"]),
        }

    # score, tables, report

    def score_files(self, w: Any) -> dict[str, Any]:
        e, fold = self._of(w)
        return {
            "predictions": [paths.predicted(e.name, w.fold, w.seed, name) for name in fold.test],
            "expression": [paths.expression(e.dataset, name) for name in fold.test],
            "panel": self._panel(e, fold.index),
            "cohort": self._cohort(e) if self._protocol(e).subsets.scope == "dataset" else [],
        }

    def score_params(self, w: Any) -> dict[str, Any]:
        e, _ = self._of(w)
        protocol = self._protocol(e)
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
        slides = sorted({(e.dataset, name) for e in self.experiments.values() for name in self._test_slides(e)})
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

    def environment(self, name: str) -> str:
        """Digest of ``envs/<name>.yaml`` as parsed."""
        return environment_digest(self.repository / "envs" / f"{name}.yaml")

    # private

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
        protocol = self._protocol(e)
        switches = {
            "genes chosen on all slides, test slides included": self.config.panels[protocol.panel].scope == "dataset",
            "HEG and HVG by the labels of all slides": protocol.subsets.scope == "dataset",
            "slides of one patient on both sides": any(self._shares_patients(e, fold) for fold in self._folds_of(e)),
        }
        return "; ".join(text for text, on in switches.items() if on)

    def _shares_patients(self, e: Experiment, fold: Fold) -> bool:
        patients = [{self.cohorts[e.dataset][name].patient for name in side} for side in (fold.train, fold.test)]
        return bool(patients[0] & patients[1])

    def _check_encoders(self) -> None:
        for name in sorted({part for e in self.experiments.values() for part in e.encoders}):
            encoders.check(self.config.encoders[name].kind, field=f"encoders.{name}.kind")

    def _check_answers(self) -> None:
        for e in self.experiments.values():
            if e.needs.answers == "expected" and self.config.datasets[e.dataset].generator is None:
                raise DataContractError(
                    "config.yaml",
                    f"methods.{e.entry}",
                    expected=f"a generated dataset, whose true expectation is known, for {e.method}",
                    found=f"{e.dataset}, which is measured",
                    remedy=f"leave {e.entry} out of this dataset's grids; oracle brackets measured data",
                )

    def _folds(self, dataset: str, split: str) -> list[Fold]:
        chosen = self.config.splits[split]
        slides = [(row.slide, row.patient) for row in self.cohorts[dataset].values() if row.measured]
        folds = make_folds(
            scheme=chosen.scheme,
            slides=slides,
            only=chosen.slides,
            n_folds=chosen.n_folds,
            test=chosen.test,
            validation=chosen.validation.model_dump(),
            seed=chosen.seed,
        )
        check_folds(
            folds, patients=dict(slides), name=f"{dataset}.{split}", allow_shared_patients=chosen.allow_shared_patients
        )
        return folds

    def _hardware(self, *keys: str) -> dict[str, Any]:
        values = self.config.hardware.model_dump(mode="json")
        return {key: values[key] for key in keys}

    def _protocol(self, e: Experiment) -> Any:
        return self.config.protocols[e.protocol]

    def _folds_of(self, e: Experiment) -> list[Fold]:
        return self.folds[e.dataset, self._protocol(e).split]

    def _test_slides(self, e: Experiment) -> list[str]:
        return sorted({name for fold in self._folds_of(e) for name in fold.test})

    def _of(self, w: Any) -> tuple[Experiment, Fold]:
        e = self.experiments[w.experiment]
        return e, self._folds_of(e)[int(w.fold)]

    def _row(self, w: Any) -> Row:
        return self.cohorts[w.dataset][w.slide]

    def _panel(self, e: Experiment, fold: int) -> str:
        protocol = self._protocol(e)
        return paths.panel(e.dataset, protocol.split, fold, protocol.panel, e.protocol)

    def _cohort(self, e: Experiment) -> list[str]:
        return [paths.expression(e.dataset, name) for name, row in self.cohorts[e.dataset].items() if row.measured]

    def _slide_files(self, e: Experiment, slide: str) -> dict[str, Any]:
        views = self._protocol(e).views
        return {
            "info": paths.info(e.dataset, slide),
            "spots": paths.spots(e.dataset, slide),
            "features": {
                role: [paths.features(e.dataset, views[role], encoder, slide) for encoder in e.encoders]
                for role in e.needs.views
            },
        }


def _leaves(value: Any) -> Any:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
