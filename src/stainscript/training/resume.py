"""Resume points: everything a fit needs to go on as if it had never been interrupted."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from stainscript import seeds
from stainscript.artifacts.files import complete_file

logger = logging.getLogger(__name__)


class ResumeFile:
    """Writes a resume point now and then, completely or not at all; ``path=None`` keeps none."""

    def __init__(self, path: Path | None, *, every_s: float) -> None:
        self.path, self.every_s = path, every_s
        self.last_s = time.monotonic()

    def due(self) -> bool:
        return self.path is not None and time.monotonic() - self.last_s >= self.every_s

    def write(self, state: dict[str, Any]) -> None:
        with complete_file(self.path) as temporary, temporary.open("wb") as handle:
            torch.save(state, handle)  # to a handle: given a name, torch refuses one without an extension
        self.last_s = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The last resume point, its tensors on the CPU; ``None`` where there is none. Holds no pickled objects."""
        if self.path is None or not self.path.is_file():
            return None
        return torch.load(self.path, map_location="cpu", weights_only=True)


@contextlib.contextmanager
def reproducible(device: torch.device, *, threads: int) -> Iterator[None]:
    """Own random states, ``threads`` CPU threads and, on the CPU, deterministic algorithms; all restored at the end."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(device.type == "cpu")
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1])


def seed_stream(seed: int, *names: object) -> None:
    """Start torch's generators, of the CPU and the GPU, at a named stream; only inside ``reproducible``."""
    torch.manual_seed(seeds.stream_seed(seed, *names))


def random_states(fabric: Fabric) -> dict[str, torch.Tensor]:
    """The states of torch's generators in every process: name → (processes, bytes). All processes must call it."""
    states = {"cpu": torch.get_rng_state()}
    if fabric.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(fabric.device)
    return {
        name: fabric.all_gather(state.to(fabric.device)).reshape(fabric.world_size, -1).cpu()
        for name, state in states.items()
    }


def restore_random_states(fabric: Fabric, states: dict[str, torch.Tensor]) -> None:
    """Undo of ``random_states``, in every process."""
    own = {name: rows[fabric.global_rank].clone() for name, rows in states.items()}  # torch crashes on a row's view
    torch.set_rng_state(own["cpu"])
    if "cuda" in own and fabric.device.type == "cuda":
        torch.cuda.set_rng_state(own["cuda"], fabric.device)
