"""A multilayer perceptron on one view's features, trained spot by spot on the mean squared error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from stainscript.batches.batch import SpotBatch
from stainscript.batches.samplers import ShuffledSpots
from stainscript.batches.standardise import by_slide, column_means, moments
from stainscript.losses.regression import mse
from stainscript.losses.terms import LossTerms
from stainscript.methods.base import ProblemSpec
from stainscript.methods.gradient import GradientMethod
from stainscript.methods.mlp.config import Config
from stainscript.methods.mlp.network import Network


class Mlp(GradientMethod):
    """The plainest trained method: what others must pass to have earned their architecture."""

    name: ClassVar[str] = "mlp"
    Config: ClassVar[type] = Config

    def build(self, cfg: Config, spec: ProblemSpec, train: SpotBatch | None) -> nn.Module:
        network = Network(
            width_in=spec.feature_width[cfg.view],
            hidden=cfg.hidden,
            depth=cfg.depth,
            dropout=cfg.dropout,
            genes=len(spec.panel),
        )
        if train is not None:
            mean, spread = moments(train.features[cfg.view])
            network.standardise.mean.copy_(torch.as_tensor(mean))
            network.standardise.spread.copy_(torch.as_tensor(spread))
            network.offset.mean.copy_(torch.as_tensor(column_means(train.target, mask=train.target_mask)))
        return network

    def sampler(self, cfg: Config) -> ShuffledSpots:
        return ShuffledSpots(batch_size=cfg.batch_size)

    def prepare(self, cfg: Config, batch: SpotBatch) -> SpotBatch:
        return by_slide(batch, view=cfg.view) if cfg.standardise == "slide" else batch

    def forward(
        self, cfg: Config, network: nn.Module, batch: SpotBatch, generator: np.random.Generator | None
    ) -> Tensor:
        return network(batch.features[cfg.view])

    def loss(self, cfg: Config, network: nn.Module, batch: SpotBatch) -> LossTerms:
        return mse(network(batch.features[cfg.view]), batch.target, mask=batch.target_mask)


METHOD = Mlp()
