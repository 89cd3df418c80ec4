"""The training loop: any network, any phases, one process or several. It knows no method."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CUDAAccelerator
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import nn

from stainscript import seeds
from stainscript.batches.batch import SpotBatch
from stainscript.errors import DataContractError, StainscriptError
from stainscript.losses.terms import LossTerms
from stainscript.training.meter import Meter
from stainscript.training.phase import Best, Phase, advance, weights_of
from stainscript.training.progress import Progress
from stainscript.training.resume import (
    ResumeFile,
    random_states,
    reproducible,
    restore_random_states,
    seed_stream,
)
from stainscript.training.run import RunContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What training leaves: the best and the last weights, one history row an epoch, and facts for ``run.json``."""

    best: dict[str, np.ndarray]
    last: dict[str, np.ndarray]
    history: list[dict[str, float]]
    facts: dict[str, Any]


def train(
    *, build: Callable[[], nn.Module], phases: Sequence[Phase], data: SpotBatch, val: SpotBatch | None, run: RunContext
) -> Trained:
    """Build a network and take it through ``phases``; resumes from ``run.resume_path`` where that file exists.

    build: makes the network on the CPU; its random weights depend on ``run.seed`` alone. data, val: training and
    validation spots, NumPy; they move to the device once, batches are index gathers there. On the CPU, in float32 and
    with one thread, an interrupted and resumed fit ends with the bytes of an uninterrupted one. With several devices
    each process takes its share of every batch and gradients are averaged (DDP). Raises ``StainscriptError`` when a
    loss is not finite, ``DataContractError`` when a phase needs a validation set and there is none.
    """
    for phase in phases:
        if phase.needs_validation and val is None:
            raise DataContractError(
                "config.yaml",
                "split.validation",
                expected=f"validation spots or slides, for the phase {phase.name!r}",
                found="none",
                remedy="set validation.by of the split, or patience: null and weights: last of the method",
            )
    return Trained(**fabric_for(run).launch(_train, build, list(phases), data, val, run))


def fabric_for(run: RunContext) -> Fabric:
    """The devices and precision of ``run``; ``auto`` is CUDA where there is any, else the CPU.

    Several devices get a process each, forked so that they share the data; CUDA must not have been used before.
    """
    wanted = run.accelerator != "cpu" and (run.accelerator == "gpu" or CUDAAccelerator.is_available())
    devices: Any = list(run.device_ids) if wanted and run.device_ids else run.devices
    strategy = "ddp_fork" if run.devices > 1 else "auto"
    return Fabric(
        accelerator="cuda" if wanted else "cpu",
        devices=devices,
        precision=run.precision,
        strategy=strategy,
        plugins=[LightningEnvironment()],  # one machine: a scheduler's variables describe its job, not our processes
    )


def _train(
    fabric: Fabric,
    build: Callable[[], nn.Module],
    phases: list[Phase],
    data: SpotBatch,
    val: SpotBatch | None,
    run: RunContext,
) -> dict[str, Any]:
    with reproducible(fabric.device, threads=run.threads):
        seed_stream(run.seed, "weights")
        module = build().to(fabric.device)
        seed_stream(run.seed, "training", fabric.global_rank)
        if fabric.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(fabric.device)
        fit = _Fit(fabric, module, data.to(fabric.device), None if val is None else val.to(fabric.device), run)
        fit.through(phases)
        facts = {
            "device": _device_name(fabric),
            "processes": fabric.world_size,
            "parameters": sum(p.numel() for p in module.parameters()),
            "epochs": len(fit.history),
            "best_epoch": fit.best.epoch,
            "best_val_loss": None if math.isnan(fit.best.loss) else fit.best.loss,
            "resumed_from_epoch": fit.resumed_from,
        }
        if fabric.device.type == "cuda":
            facts["peak_device_mib"] = torch.cuda.max_memory_allocated(fabric.device) / 2**20
        return {"best": _host(fit.best.weights), "last": _host(fit.last), "history": fit.history, "facts": facts}


class _Fit:
    """A fit in progress, in one process."""

    def __init__(
        self, fabric: Fabric, module: nn.Module, data: SpotBatch, val: SpotBatch | None, run: RunContext
    ) -> None:
        self.fabric, self.module, self.data, self.val, self.run = fabric, module, data, val, run
        self.resume = ResumeFile(run.resume_path, every_s=run.save_every_s)
        self.history: list[dict[str, float]] = []
        self.best = Best()
        self.last: dict[str, torch.Tensor] = {}
        self.resumed_from: int | None = None

    def through(self, phases: list[Phase]) -> None:
        saved = self.resume.read()
        for number, phase in enumerate(phases):
            if saved is not None and number < saved["phase"]:
                continue
            here = saved if saved is not None and number == saved["phase"] else None
            self._phase(number, phase, here)
            self.last = weights_of(self.module)
            if phase.keep == "best":
                self.module.load_state_dict(self.best.weights)

    def _phase(self, number: int, phase: Phase, saved: dict[str, Any] | None) -> None:
        network = self.fabric.setup_module(self.module)
        raw = phase.optimiser(self.module)
        optimiser, schedule = self.fabric.setup_optimizers(raw), phase.schedule(raw)
        self.best, epoch = Best(), 0
        parts = {"weights": self.module, "best": self.best, "optimiser": raw, "schedule": schedule}
        parts["precision"] = self.fabric.strategy.precision
        if saved is not None:
            for name, part in parts.items():
                part.load_state_dict(saved[name])
            epoch, self.history = saved["epoch"], saved["history"]
            restore_random_states(self.fabric, saved["random"])
            self.resumed_from = len(self.history)
            logger.info("resumed %s at epoch %d", self.run.name, self.resumed_from)
        progress = Progress(
            name=f"{self.run.name} {phase.name}", epochs=phase.epochs, start=epoch, shown=self.fabric.is_global_zero
        )
        while epoch < phase.epochs and (phase.patience is None or self.best.waited < phase.patience):
            epoch += 1
            row = self._epoch(number, phase, epoch, network, optimiser)
            row["lr"] = raw.param_groups[0]["lr"]
            self.history.append(row)
            self.best.update(row.get("val_loss"), epoch=epoch, module=self.module)
            advance(schedule, row.get("val_loss"))
            progress.epoch(epoch, row)
            self._save(number, epoch, parts)
        progress.close(epoch=epoch, best_epoch=self.best.epoch)

    def _epoch(self, number: int, phase: Phase, epoch: int, network: nn.Module, optimiser: Any) -> dict[str, float]:
        rng = seeds.generator(self.run.seed, "batches", number, epoch)
        share = {"rank": self.fabric.global_rank, "world": self.fabric.world_size}
        network.train()
        meter = Meter()
        for index in phase.sampler.epoch(self.data, rng=rng, **share):
            terms = phase.loss(network, self.data.take(index))
            optimiser.zero_grad()
            self.fabric.backward(self._own_share(terms))
            if phase.clip_norm is not None:
                self.fabric.clip_gradients(network, optimiser, max_norm=phase.clip_norm)
            optimiser.step()
            meter.add(terms, len(index))
        row = {"phase": number, "epoch": epoch} | meter.means("train", self.fabric)
        if self.val is not None:
            row |= self._validate(phase, network)
        wrong = [name for name, value in row.items() if not math.isfinite(value)]
        if wrong:
            raise StainscriptError(
                f"{self.run.name}: {wrong[0]} is {row[wrong[0]]} after epoch {epoch} of phase {phase.name!r}; "
                "lower the learning rate, clip the gradient or use precision 32-true"
            )
        return row

    def _own_share(self, terms: LossTerms) -> torch.Tensor:
        """The loss whose mean over processes is the mean over the measured entries of the whole batch."""
        if terms.spots is None or self.fabric.world_size == 1:
            return terms.total
        usual = self.fabric.all_reduce(terms.spots.detach().clone(), reduce_op="mean")
        return terms.total * (terms.spots / usual.clamp(min=1e-9))

    @torch.no_grad()
    def _validate(self, phase: Phase, network: nn.Module) -> dict[str, float]:
        network.eval()
        meter = Meter()
        for index in phase.sampler.ordered(self.val):
            meter.add(phase.loss(network, self.val.take(index)), len(index))
        # one process decides, or rounding could make the processes stop at different epochs
        return self.fabric.broadcast(meter.means("val", None), src=0)

    def _save(self, number: int, epoch: int, parts: dict[str, Any]) -> None:
        if not self.fabric.broadcast(self.resume.due(), src=0):
            return
        state = {name: part.state_dict() for name, part in parts.items()}
        state |= {"phase": number, "epoch": epoch, "history": self.history, "random": random_states(self.fabric)}
        if self.fabric.is_global_zero:
            self.resume.write(state)


def _device_name(fabric: Fabric) -> str:
    return torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else fabric.device.type


def _host(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy() for name, value in weights.items()}
