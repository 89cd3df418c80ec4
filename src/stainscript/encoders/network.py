"""A frozen network as an encoder: its weights loaded, batches through transform, network and pooling."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from stainscript.encoders.base import HUB, RANDOM, Card, weights_wanted
from stainscript.encoders.execution import Execution, choose_device
from stainscript.encoders.transform import Transform
from stainscript.encoders.weights import load_strictly, read_weights
from stainscript.errors import DataContractError
from stainscript.seeds import stream_seed

logger = logging.getLogger(__name__)


class TorchEncoder:
    """A network in eval mode on one device. All calls of one batch give the same bits; so do equal batches."""

    def __init__(
        self,
        forward: Callable[[torch.Tensor], torch.Tensor],
        *,
        name: str,
        width: int,
        transform: Transform,
        execution: Execution,
        weights_sha256: str,
        card: dict[str, str],
        input_px: tuple[int, int],
        batch_size: int,
    ) -> None:
        self.name, self.width, self.card, self.transform = name, width, card, card["transform"]
        self.weights_sha256, self.precision = weights_sha256, execution.precision
        self._execution, self._transform, self._forward = execution, transform, forward
        self._input_px, self._batch_size = input_px, batch_size

    def encode(self, images: np.ndarray) -> np.ndarray:
        """(S, y, x, 3) uint8 RGB → (S, D) float32, ``batch_size`` patches a forward pass."""
        starts = range(0, len(images), self._batch_size)
        features = np.empty((len(images), self.width), dtype=np.float32)
        batches = self.encode_batches(images[start : start + self._batch_size] for start in starts)
        for start, batch in zip(starts, batches, strict=True):
            features[start : start + len(batch)] = batch
        return features

    def encode_batches(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Each (B, y, x, 3) uint8 batch → (B, D) float32, in order; on a GPU a batch ahead of what is yielded.

        A batch is one forward pass as given: who cuts the same batches gets the same bits.
        """
        return self._execution.run(batches, self._features)

    def blank(self) -> np.ndarray:
        """(D,) float32: the features of an image that is zero after normalisation, encoded as any other."""
        zeros = torch.zeros(1, 3, *self._input_px, device=self._execution.device)
        return self._execution.once(self._forward, zeros)[0]

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        return self._forward(self._transform(images, reuse=True))


def load(
    module: str,
    variant: str,
    *,
    weights: str | Path | None,
    weights_sha256: str | None,
    seed: int,
    precision: str,
    batch_size: int,
    hardware: dict[str, Any],
    options: dict[str, Any],
    compile: bool,
) -> TorchEncoder:
    """The published encoder that the file ``module`` of this package describes.

    weights: the published file, the folder that holds it, or ``random`` (by seed, for tests). Raises
    ``DataContractError`` for none at all (where to ask for them), for options, and for a file that is not the one.
    """
    source = importlib.import_module(f"stainscript.encoders.{module}")
    card: Card = source.VARIANTS[variant] if variant else source.CARD
    if options:
        raise DataContractError(
            "config.yaml",
            "encoder options",
            expected=f"none for {card.name}, which is published as it is",
            found=", ".join(options),
            remedy="leave options out, or use kind timm:<model>, which takes them",
        )
    if weights is None or weights == HUB:
        raise weights_wanted(card, path="config.yaml", field=f"encoders.<name of {card.name}>.weights", found=weights)
    execution = Execution.on(
        choose_device(hardware), threads=hardware.get("threads"), precision=precision, compile=compile
    )
    network, identity, origin = _network(source, card, variant, weights=weights, sha256=weights_sha256, seed=seed)
    transform = Transform(
        resize_px=card.resize_px,
        crop_px=None if card.resize_px is None else (card.input_px, card.input_px),
        mode=card.interpolation,
        mean=card.mean,
        std=card.std,
    )
    texts = {"licence": card.licence, "weights": origin, "transform": card.transform}
    return TorchEncoder(
        execution.prepare(network, pool=getattr(source, "pool", None)),
        name=card.name,
        width=card.width,
        transform=transform,
        execution=execution,
        weights_sha256=identity,
        card=texts | {"pooling": card.pooling, "citation": card.citation},
        input_px=(card.input_px, card.input_px),
        batch_size=batch_size,
    )


def build(source: ModuleType, variant: str, **shrink: Any) -> torch.nn.Module:
    """The network of an encoder's file."""
    return source.network(variant, **shrink) if hasattr(source, "VARIANTS") else source.network(**shrink)


def left_out(source: ModuleType, variant: str) -> tuple[str, ...]:
    """What the published file holds and the encoder does not use, by name or by the first parts of names."""
    chosen = getattr(source, "left_out", None)
    return chosen(variant) if chosen else getattr(source, "LEFT_OUT", ())


def build_random(name: str, seed: int, make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """What ``make`` builds, with weights drawn by ``seed``; the global generators stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, "encoder", name))
        return make()


def _network(
    source: ModuleType, card: Card, variant: str, *, weights: str | Path, sha256: str | None, seed: int
) -> tuple[torch.nn.Module, str, str]:
    """The network with its weights, their identity, and where they come from in words."""
    if weights == RANDOM:
        network = build_random(card.name, seed, lambda: build(source, variant))
        return network, f"random:{seed}", f"random, from seed {seed}"
    path = Path(weights) / card.file if Path(weights).is_dir() else Path(weights)
    if not path.is_file():
        raise weights_wanted(card, path=path, field=f"encoders.<name of {card.name}>.weights", found="no such file")
    tensors, identity = read_weights(path, sha256=sha256)
    with torch.device("meta"):  # shapes alone: the file's tensors take their places, nothing is drawn or copied
        network = build(source, variant)
    load_strictly(
        network,
        tensors,
        path=path,
        without=left_out(source, variant),
        rename=getattr(source, "rename", None),
        remedy=f"give the published file: {card.how_to_get}",
        assign=True,
    )
    return network, identity, f"file {path.name}"
