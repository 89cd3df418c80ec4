"""A network with two parameters and a batch that it can learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from stainscript import seeds
from stainscript.batches.batch import SpotBatch
from stainscript.batches.samplers import ShuffledSpots
from stainscript.losses.regression import mse
from stainscript.training.phase import Phase
from stainscript.training.run import RunContext


class Line(nn.Module):
    """y = w·x, with dropout, so that random states matter."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.weight = nn.Linear(4, 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.weight(self.dropout(values))


def spots(count: int, *names: object, noise: float = 0.1) -> SpotBatch:
    rng = seeds.generator(0, *names)
    values = rng.normal(size=(count, 4)).astype(np.float32)
    slope = np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0], [-1.0, 1.0]])
    zeros = np.zeros((count, 2), dtype=np.float32)
    return SpotBatch(
        slides=("a",),
        patients=("p",),
        slide_index=np.zeros(count, dtype=np.int64),
        spot_id=np.arange(count).astype(str).astype(object),
        features={"patch": values},
        xy_um=zeros,
        grid=zeros,
        extent_um=zeros,
        target=(values @ slope + noise * rng.normal(size=(count, 2))).astype(np.float32),
    )


def make_phase(**changes: object) -> Phase:
    options: dict = {
        "name": "fit",
        "loss": lambda network, batch: mse(network(batch.features["patch"]), batch.target),
        "sampler": ShuffledSpots(batch_size=8),
        "optimiser": lambda network: torch.optim.AdamW(network.parameters(), lr=0.05),
        "schedule": lambda optimiser: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10),
        "epochs": 10,
    }
    return Phase(**(options | changes))


def make_run(**changes: object) -> RunContext:
    return RunContext(**({"name": "toy", "seed": 0, "accelerator": "cpu", "save_every_s": 0.0} | changes))


@pytest.fixture(scope="session")
def line():
    return Line


@pytest.fixture(scope="session")
def phase():
    return make_phase


@pytest.fixture(scope="session")
def run():
    return make_run


@pytest.fixture(scope="session")
def train_spots() -> SpotBatch:
    return spots(40, "train")


@pytest.fixture(scope="session")
def val_spots() -> SpotBatch:
    return spots(20, "val")
