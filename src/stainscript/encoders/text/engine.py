"""A published text encoder at work: texts to tokens, tokens in batches through the network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from stainscript.encoders.base import RANDOM
from stainscript.encoders.execution import Execution, choose_device
from stainscript.encoders.network import build_random
from stainscript.encoders.text.base import TextCard, width_of
from stainscript.encoders.text.folder import check_config, locate, read_network, read_tokens
from stainscript.encoders.text.reduction import check_dimension, finish
from stainscript.encoders.text.tokens import Tokens, for_tests
from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)


class Embedder(torch.nn.Module):
    """Ids and mask, both (B, L) → (B, D)."""

    def __init__(self, source: ModuleType, network: torch.nn.Module, pooling: str) -> None:
        super().__init__()
        self.network, self._embed, self._pooling = network, source.embed, pooling

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return self._embed(self.network, *batch, self._pooling)


class TorchTextEncoder:
    """A network in eval mode on one device. A text's vector does not depend on the others, but for rounding."""

    def __init__(
        self,
        embedder: Embedder,
        *,
        name: str,
        width: int,
        pooling: str,
        tokens: Tokens,
        max_length: int,
        execution: Execution,
        weights_sha256: str,
        card: dict[str, str],
        batch_size: int,
        dimension: int | None,
        normalise: bool,
    ) -> None:
        self.name, self.pooling, self.max_length, self.card = name, pooling, max_length, card
        self.weights_sha256, self.precision, self.truncated = weights_sha256, execution.precision, 0
        self._tokens, self._width, self._batch_size = tokens, width, batch_size
        self._dimension, self._normalise = dimension, normalise
        self._execution, self._forward = execution, execution.prepare(embedder)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """G texts → (G, D) float32, in order. Texts of like length share a batch; how many were cut is logged."""
        wanted = self._width if self._dimension is None else self._dimension
        if wanted != self._width:
            check_dimension(wanted, genes=len(texts), width=self._width, what="the encoder's width")
        ids, self.truncated = self._tokens.cut(texts, self.max_length)
        if self.truncated:
            logger.warning(
                "%s: %d of %d texts are longer than %d tokens and were cut",
                self.name,
                self.truncated,
                len(texts),
                self.max_length,
            )
        raw = np.empty((len(ids), self._width), dtype=np.float32)
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            raw[rows] = self._execution.once(self._forward, self._batch([ids[row] for row in rows]))
        self._refuse_infinite(raw)
        return finish(raw, dimension=self._dimension, normalise=self._normalise)

    def _batch(self, ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L) ids and bool mask on the device, padded on the right to the longest text."""
        lengths = np.array([len(one) for one in ids])
        mask = np.arange(lengths.max()) < lengths[:, None]
        padded = np.full(mask.shape, self._tokens.pad, dtype=np.int64)
        padded[mask] = np.concatenate([np.asarray(one, dtype=np.int64) for one in ids])
        device = self._execution.device
        return torch.from_numpy(padded).to(device), torch.from_numpy(mask).to(device)

    def _refuse_infinite(self, raw: np.ndarray) -> None:
        if np.isfinite(raw).all():
            return
        text, column = np.argwhere(~np.isfinite(raw))[0]
        raise DataContractError(
            "config.yaml",
            f"embeddings of {self.name}",
            expected="finite numbers",
            found=f"{raw[text, column]} at text {text}, column {column}",
            remedy="set the text encoder's precision to float32; if it is, its weights are damaged",
        )


def load(
    source: ModuleType,
    *,
    weights: str | Path,
    weights_sha256: str | None,
    revision: str,
    seed: int,
    options: dict[str, Any],
    pooling: str,
    dimension: int | None,
    normalise: bool,
    max_length: int | None,
    batch_size: int,
    precision: str,
    hardware: dict[str, Any],
) -> TorchTextEncoder:
    """The encoder that the file ``source`` of this package describes, as ``encoders.text.load`` says."""
    card: TextCard = source.CARD
    shape = source.SHAPE | options
    execution = Execution.on(
        choose_device(hardware), threads=hardware.get("threads"), precision=precision, compile=False
    )
    if weights == RANDOM:
        network = build_random(f"text:{card.name}", seed, lambda: source.network(shape))
        tokens = for_tests(rows=shape["vocab_size"], pad=source.PAD, closing=source.CLOSING)
        identity, origin = f"random:{seed}", f"random, from seed {seed}"
    else:
        folder, origin = locate(card, weights, revision=revision)
        tokens = read_tokens(source, folder, rows=shape["vocab_size"])
        check_config(source, folder, shape)
        network, identity = read_network(source, folder, shape, sha256=weights_sha256)
    longest = shape["max_position_embeddings"] - getattr(source, "RESERVED", 0)
    return TorchTextEncoder(
        Embedder(source, network, pooling),
        name=card.name,
        width=width_of(shape, pooling),
        pooling=pooling,
        tokens=tokens,
        max_length=max_length or longest,
        execution=execution,
        weights_sha256=identity,
        card={"licence": card.licence, "weights": origin, "citation": card.citation},
        batch_size=batch_size,
        dimension=dimension,
        normalise=normalise,
    )
