"""Jobs of ``rules/fit.smk``: fits, and predictions that never see the answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stainscript.artifacts.provenance import code_digest, digest_of
from stainscript.plan import paths
from stainscript.plan.base import PlanBase, leaves
from stainscript.plan.experiments import Experiment


class FitJobs(PlanBase):
    """Jobs of ``rules/fit.smk``: fits, and predictions that never see the answers."""

    def fit_files(self, w: Any) -> dict[str, Any]:
        """Files of a fit by role and slide; ``fit_inputs`` is the same as a flat list."""
        e, fold = self.of(w)
        slides = {name: self.slide_files(e, name) for name in (*fold.train, *fold.val)}
        for name, files in slides.items():
            files["expression"] = paths.expression(e.dataset, name)
        return {"panel": self.panel_file(e, fold.index), "slides": slides}

    def fit_inputs(self, w: Any) -> list[str]:
        return list(leaves(self.fit_files(w)))

    def fit_params(self, w: Any) -> dict[str, Any]:
        e, fold = self.of(w)
        protocol = self.protocol(e)
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
            "hardware": self._fit_hardware(e),
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

    def _fit_hardware(self, e: Experiment) -> dict[str, Any]:
        """A method without use for a GPU depends on the number of threads alone."""
        if e.needs.gpu:
            return self.hardware("accelerator", "devices", "precision", "threads")
        return {"accelerator": "cpu", "devices": 1, "precision": "32-true"} | self.hardware("threads")

    def fit_gpus(self, w: Any) -> int:
        e, _ = self.of(w)
        return self.config.hardware.devices if e.needs.gpu and self.config.hardware.accelerator != "cpu" else 0

    def predict_inputs(self, w: Any) -> list[str]:
        """A checkpoint, features and coordinates: never the slide's expression (the answer wall)."""
        e, _ = self.of(w)
        checkpoint = paths.run(e.name, w.fold, w.seed, "checkpoint.safetensors")
        return [checkpoint, *leaves(self.slide_files(e, w.slide))]

    def answers_input(self, w: Any) -> str:
        """What a control is made of: the measured slide, or the folder with the phantom's true expectation."""
        e, _ = self.of(w)
        if e.needs.answers == "measured":
            return paths.expression(e.dataset, w.slide)
        return paths.raw(e.dataset, w.slide)

    def predict_params(self, w: Any) -> dict[str, Any]:
        e, _ = self.of(w)
        answers = self.answers_input(w) if e.needs.answers else None
        return {
            "files": self.slide_files(e, w.slide),
            "checkpoint": paths.run(e.name, w.fold, w.seed, "checkpoint.safetensors"),
            "hardware": self.hardware("accelerator", "threads") if e.needs.gpu else None,
            "answers": f"{answers}/truth/expected.h5ad" if e.needs.answers == "expected" else answers,
            "code": code_digest(["stainscript.stages.predict", f"stainscript.methods.{e.method}.method"]),
        }
