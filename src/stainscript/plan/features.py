"""Jobs of ``rules/features.smk``: quality, patches and features. None sees expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stainscript import encoders
from stainscript.artifacts.provenance import code_digest
from stainscript.plan import paths
from stainscript.plan.base import PlanBase, weights_file

GPU_WORKERS = 4  # threads that decode beside a GPU, where the config names no number


class FeatureJobs(PlanBase):
    """Jobs of ``rules/features.smk``: quality, patches and features. None sees expression."""

    def quality_params(self, w: Any) -> dict[str, Any]:
        return {
            "image": self.image_file(w),
            "options": self.config.quality.model_dump(mode="json"),
            "code": code_digest(["stainscript.stages.check_slide"]),
        }

    def quality_input(self, w: Any) -> list[str]:
        """The slide's quality, which stops a bad one here; ready-made patches have no slide to look at."""
        return [paths.quality(w.dataset, w.slide)] if "image" in self.row(w).files else []

    def behind_ancient(self) -> list[str]:
        """Made files that later jobs take as ``ancient``: quality, and drawn raw folders. Targets ask for them by name.

        Snakemake looks at nothing behind a job that is to run again (after a kill, or for a new threshold) but through
        inputs that are not ``ancient``: without such a way to the target, jobs still to do there would be lost.
        """
        slides = {(dataset, slide) for dataset, _, _, slide in self.encodings()}
        rows = [self.cohorts[dataset][slide] for dataset, slide in sorted(slides)]
        drawn = [paths.raw(row.dataset, row.slide) for row in rows if row.generated]
        return drawn + [paths.quality(row.dataset, row.slide) for row in rows if "image" in row.files]

    def patch_params(self, w: Any) -> dict[str, Any]:
        return {
            "view": self.config.views[w.view].spec(w.view),
            "image": self.image_file(w),
            "code": code_digest(["stainscript.stages.extract_patches"]),
        }

    def encodings(self) -> list[tuple[str, str, str, str]]:
        """(dataset, view, encoder, slide) of all features that experiments read or the config asks for."""
        read = {
            (e.dataset, self.protocol(e).views[role], encoder, slide)
            for e in self.experiments.values()
            for role in e.needs.views
            for encoder in e.encoders
            for slide, row in self.cohorts[e.dataset].items()
            if row.measured or e.unmeasured
        }
        return sorted(read | set(self._asked_for()))

    def features_alone(self) -> list[str]:
        """The stores that the config asks for under ``features``."""
        return sorted(paths.features(*where) for where in self._asked_for())

    def kept_patches(self) -> list[str]:
        """Patch stores that the run is asked for: all that are encoded, with ``keep_patches``."""
        if not self.config.keep_patches:
            return []
        return sorted({paths.patches(dataset, view, slide) for dataset, view, _, slide in self.encodings()})

    def passes(self) -> dict[str, list[str]]:
        """Views that are cut in one pass over a slide, by the name they share (``cut_with``)."""
        found: dict[str, list[str]] = {}
        for name, view in self.config.views.items():
            if view.cut_with is not None:
                found.setdefault(view.cut_with, []).append(name)
        return found

    def cut_alone(self) -> list[str]:
        """Views that have a pass of their own."""
        return [name for name, view in self.config.views.items() if view.cut_with is None]

    def encode_params(self, views: list[str] | None = None) -> Callable[[Any], dict[str, Any]]:
        """Params of the job that encodes ``views`` together, or the wildcard's own."""

        def params(w: Any) -> dict[str, Any]:
            encoder = self.config.encoders[w.encoder]
            modules = ["stainscript.stages.encode_slide", *encoders.code_modules(encoder.kind)]
            unread = set() if encoder.weights == "hub" else {"revision"}  # the fetched file itself is `ancient`
            return {
                "encoder": encoder.model_dump(mode="json", exclude=unread)
                | {"name": w.encoder, "weights": self._weights(w.encoder)},
                "views": {name: self.config.views[name].spec(name) for name in views or [w.view]},
                "image": self.image_file(w),
                "hardware": self.hardware("accelerator", "threads"),
                "code": code_digest(modules),
            }

        return params

    def weights_input(self, w: Any) -> list[str]:
        """The encoder's weights file, if it has one."""
        weights = self._weights(w.encoder)
        return [weights] if weights not in (None, "random") else []

    def watched_weights(self, w: Any, ancient: Callable[[str], Any]) -> list[Any]:
        """The same, ``ancient`` where the user brought the file; one that was fetched anew encodes again."""
        fetched = self.config.encoders[w.encoder].weights == "hub"
        return [path if fetched else ancient(path) for path in self.weights_input(w)]

    def encode_gpus(self, w: Any) -> int:
        accelerated = encoders.needs_gpu(self.config.encoders[w.encoder].kind)
        return int(accelerated and self.config.hardware.accelerator != "cpu")

    def encodes_on_gpu(self) -> bool:
        """Whether any encoder in use is a network."""
        used = {encoder for _, _, encoder, _ in self.encodings()}
        return any(encoders.needs_gpu(self.config.encoders[name].kind) for name in used)

    def fetch_params(self, w: Any) -> dict[str, Any]:
        entry = self.config.encoders[w.encoder]
        return {"kind": entry.kind, "revision": entry.revision, "sha256": entry.weights_sha256}

    def encode_workers(self, w: Any) -> int:
        """Threads that decode: as configured, else more where a GPU would wait for them."""
        chosen = self.config.hardware.workers
        waiting = self.config.hardware.accelerator == "gpu" and encoders.needs_gpu(self.config.encoders[w.encoder].kind)
        return chosen or (GPU_WORKERS if waiting else 1)

    def encode_threads(self, w: Any) -> int:
        return max(self.config.hardware.threads, self.encode_workers(w))

    def _weights(self, encoder: str) -> str | None:
        """Where the job finds the encoder's weights: a file, ``random``, or ``None``."""
        entry = self.config.encoders[encoder]
        if entry.weights in (None, "random"):
            return entry.weights
        if entry.weights == "hub":
            return paths.weights(encoder, encoders.card(entry.kind).file)
        return str(weights_file(entry, repository=self.repository, field=f"encoders.{encoder}.weights"))

    def _asked_for(self) -> list[tuple[str, str, str, str]]:
        return [
            (dataset, view, encoder, slide)
            for wanted in self.config.features
            for dataset in wanted.datasets
            for view in wanted.views
            for encoder in wanted.encoders
            for slide in self.cohorts[dataset]
        ]
