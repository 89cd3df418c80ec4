"""A problem small enough to fit in a moment, with a signal that features carry."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from stainscript import methods, seeds
from stainscript.batches.batch import SpotBatch, join
from stainscript.batches.dataset import carve_validation
from stainscript.methods.base import FitData, ProblemSpec, State
from stainscript.training.run import RunContext
from stainscript.types import Panel, Space, Target

SPOTS, GENES, WIDTH = 30, 12, 6
VIEWS = ("patch", "region")

# what a method needs to be told to be fitted in a moment; everything else is its default
QUICK = {"hest_probe": {"components": 3}, "mlp": {"hidden": 8, "epochs": 6, "batch_size": 16}}


def make_slide(name: str) -> SpotBatch:
    """One slide of 30 spots on a 5 × 6 grid; 12 genes are linear in 6 features, with noise."""
    rng = seeds.generator(0, "toy", name)
    weights = seeds.generator(0, "toy", "weights").normal(size=(WIDTH, GENES))
    grid = np.stack(np.divmod(np.arange(SPOTS), 6), axis=1)
    features = {view: rng.normal(loc=2, scale=3, size=(SPOTS, WIDTH)).astype(np.float32) for view in VIEWS}
    signal = features["patch"] @ weights + grid @ rng.normal(size=(2, GENES))
    target = (10 + signal + rng.normal(size=(SPOTS, GENES))).astype(np.float32)
    return SpotBatch(
        slides=(name,),
        patients=(f"patient of {name}",),
        slide_index=np.zeros(SPOTS, dtype=np.int64),
        spot_id=np.asarray([f"{name}:{row}x{col}" for row, col in grid], dtype=object),
        features=features,
        xy_um=(grid[:, ::-1] * 200.0 + [300.0, 500.0]).astype(np.float32),
        grid=grid,
        extent_um=np.tile(np.float32([2000, 2500]), (SPOTS, 1)),
        target=target,
        answers=target + np.float32(0.25),
    )


@dataclass(frozen=True)
class Toy:
    """Three slides to fit on, a fourth to predict."""

    spec: ProblemSpec
    data: FitData
    test: SpotBatch

    def seen_by(self, cfg: object) -> Toy:
        """The same, reduced to what the method says it needs."""

        def reduced(batch: SpotBatch, *, fitting: bool) -> SpotBatch:
            answers = batch.answers if cfg.needs.answers and not fitting else None
            features = {view: batch.features[view] for view in cfg.needs.views}
            return dataclasses.replace(
                batch, features=features, answers=answers, target=batch.target if fitting else None
            )

        data = FitData(train=reduced(self.data.train, fitting=True), val=reduced(self.data.val, fitting=True))
        spec = dataclasses.replace(self.spec, feature_width=dict.fromkeys(cfg.needs.views, WIDTH))
        return Toy(spec, data, reduced(self.test, fitting=False))

    def fit(self, name: str, *, seed: int = 0, **options: object) -> tuple[object, Toy, State]:
        cfg = methods.configure(name, QUICK.get(name, {}) | options)
        seen = self.seen_by(cfg)
        run = RunContext(name="toy", seed=seed, accelerator="cpu")
        return cfg, seen, methods.load(name).fit(cfg, seen.spec, seen.data, run)

    def predict(self, name: str, *, seed: int = 0, **options: object) -> np.ndarray:
        cfg, seen, state = self.fit(name, seed=seed, **options)
        return methods.load(name).predict(cfg, seen.spec, state, seen.test, seeds.generator(seed, "predict"))


@pytest.fixture(scope="session")
def toy() -> Toy:
    genes = tuple(f"ENSG{n:05d}" for n in range(GENES))
    panel = Panel(
        name="toy",
        gene_ids=genes,
        symbols=genes,
        mean=(1.0,) * GENES,
        variance=(1.0,) * GENES,
        training_slides=("a", "b", "c"),
    )
    spec = ProblemSpec(panel=panel, target=Target(space=Space.LOG1P), feature_width=dict.fromkeys(VIEWS, WIDTH))
    train, val = carve_validation(join([make_slide(name) for name in "abc"]), fraction=0.2, seed=0)
    return Toy(spec, FitData(train=train, val=val), make_slide("d"))
