"""Where and how a network runs: device, precision, threads; batches in order, and on a GPU overlapped."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stainscript.errors import DataContractError

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
STAGED = 2  # pinned buffers: one is filled while the other is copied to the GPU

Step = Callable[[torch.Tensor], torch.Tensor]


def choose_device(hardware: dict[str, Any]) -> torch.device:
    """``accelerator`` (auto, cpu, gpu) and ``gpu`` (its place) as a device; ``DataContractError`` for an absent GPU."""
    accelerator, present = hardware.get("accelerator", "auto"), torch.cuda.is_available()
    if accelerator == "gpu" and not present:
        raise DataContractError(
            "config.yaml",
            "hardware.accelerator",
            expected="a GPU that PyTorch can use",
            found="none",
            remedy="set it to auto or cpu",
        )
    chosen = present and accelerator in ("auto", "gpu")
    return torch.device("cuda", hardware.get("gpu") or 0) if chosen else torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A device with a precision; half precisions run on a GPU alone, a CPU computes in float32 and says so."""

    device: torch.device
    threads: int | None
    precision: str
    compile: bool = False

    @classmethod
    def on(cls, device: torch.device, *, threads: int | None, precision: str, compile: bool) -> Execution:
        if device.type == "cpu" and precision != "float32":
            logger.info("no GPU: computing in float32, not %s", precision)
            precision = "float32"
        return cls(device=device, threads=threads, precision=precision, compile=compile)

    def prepare(self, network: torch.nn.Module, *, pool: Step | None = None) -> Step:
        """The frozen network on the device, in channels-last memory if it is convolutional, followed by ``pool``."""
        network = network.eval().requires_grad_(requires_grad=False).to(self.device)
        if sum(isinstance(part, torch.nn.Conv2d) for part in network.modules()) > 1:  # not a ViT's patch embedding
            network = network.to(memory_format=torch.channels_last)

        def forward(planes: torch.Tensor) -> torch.Tensor:
            return network(planes) if pool is None else pool(network(planes))

        return torch.compile(forward) if self.compile else forward

    def once(self, step: Step, batch: torch.Tensor) -> np.ndarray:
        """One batch that lies on the device → (B, D) float32, in memory of its own."""
        with self._computing():
            return step(batch).float().cpu().numpy().copy()

    def run(self, batches: Iterable[np.ndarray], step: Step) -> Iterator[np.ndarray]:
        """``step`` of each (B, …) uint8 array → (B, D) float32, in order."""
        overlapped = self.device.type == "cuda"
        return self._overlapped(batches, step) if overlapped else (self.once(step, _tensor(b)) for b in batches)

    def _overlapped(self, batches: Iterable[np.ndarray], step: Step) -> Iterator[np.ndarray]:
        """Batch k is copied and queued before the results of k − 1 are waited for and yielded."""
        staging = [_Staged() for _ in range(STAGED)]
        copies, earlier = torch.cuda.Stream(self.device), None
        for number, batch in enumerate(batches):
            images = staging[number % STAGED].send(batch, device=self.device, stream=copies)
            with self._computing():
                features = step(images).float()
                ready = _pinned(features.shape, features.dtype)
                ready.copy_(features, non_blocking=True)
            done = torch.cuda.Event()
            done.record(torch.cuda.current_stream(self.device))
            if earlier is not None:
                yield _awaited(*earlier)
            earlier = ready, done, (images, features)  # memory of two streams: held until both are through
        if earlier is not None:
            yield _awaited(*earlier)

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """Entered for each batch, never across a ``yield``: the caller's modes and threads stay its own."""
        autocast = torch.autocast(self.device.type, DTYPES[self.precision], enabled=self.precision != "float32")
        placed = torch.cuda.device(self.device) if self.device.type == "cuda" else contextlib.nullcontext()
        with torch.inference_mode(), placed, _repeatable(self.threads), autocast:
            yield


class _Staged:
    """A pinned buffer on the way to the GPU."""

    def __init__(self) -> None:
        self._buffer = torch.empty(0, dtype=torch.uint8)
        self._copied: torch.cuda.Event | None = None

    def send(self, batch: np.ndarray, *, device: torch.device, stream: torch.cuda.Stream) -> torch.Tensor:
        """The batch on the device; the current stream waits for the copy, this thread does not."""
        if self._copied is not None:
            self._copied.synchronize()  # the buffer's last copy, two batches ago
        if self._buffer.numel() < batch.size:
            self._buffer = _pinned((batch.size,), torch.uint8)
        staged = self._buffer[: batch.size].view(batch.shape)
        np.copyto(staged.numpy(), batch)
        with torch.cuda.stream(stream):
            images = staged.to(device, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record(stream)
        torch.cuda.current_stream(device).wait_event(self._copied)
        return images


def _pinned(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def _awaited(ready: torch.Tensor, done: torch.cuda.Event, _held: tuple[torch.Tensor, ...]) -> np.ndarray:
    done.synchronize()
    return ready.numpy()


def _tensor(batch: np.ndarray) -> torch.Tensor:
    """The batch without a copy, unless its memory is read-only or not in order."""
    batch = np.ascontiguousarray(batch)
    return torch.from_numpy(batch if batch.flags.writeable else batch.copy())


@contextlib.contextmanager
def _repeatable(threads: int | None) -> Iterator[None]:
    """Convolutions that repeat exactly, in full float32; threads as told, restored afterwards."""
    before = torch.get_num_threads()
    changed = threads not in (None, before)
    try:
        if changed:
            torch.set_num_threads(threads)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        if changed:
            torch.set_num_threads(before)
