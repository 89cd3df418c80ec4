"""Jobs of ``rules/features.smk``: patches and features. None sees expression."""

from __future__ import annotations

from typing import Any

from stainscript import encoders
from stainscript.artifacts.provenance import code_digest
from stainscript.plan.base import PlanBase
from stainscript.plan.cohorts import locate


class FeatureJobs(PlanBase):
    """Jobs of ``rules/features.smk``: patches and features. None sees expression."""

    def patch_params(self, w: Any) -> dict[str, Any]:
        view = self.config.views[w.view].model_dump(mode="json") | {"name": w.view}
        return {
            "view": view,
            "image": self.row(w).files["image"],
            "code": code_digest(["stainscript.stages.extract_patches"]),
        }

    def encode_params(self, w: Any) -> dict[str, Any]:
        encoder = self.config.encoders[w.encoder]
        modules = ["stainscript.stages.encode_patches", *encoders.code_modules(encoder.kind)]
        weights = str(locate(encoder.weights, self.repository)) if encoder.weights else None
        return {
            "encoder": encoder.model_dump(mode="json") | {"name": w.encoder, "weights": weights},
            "hardware": self.hardware("accelerator", "threads"),
            "code": code_digest(modules),
        }

    def weights_input(self, w: Any) -> list[str]:
        """The encoder's weights file, if it has one."""
        weights = self.config.encoders[w.encoder].weights
        return [str(locate(weights, self.repository))] if weights else []

    def encode_gpus(self, w: Any) -> int:
        accelerated = encoders.needs_gpu(self.config.encoders[w.encoder].kind)
        return int(accelerated and self.config.hardware.accelerator != "cpu")
