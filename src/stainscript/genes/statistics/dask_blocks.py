"""The blocks of many slides, worked on by dask and merged slide by slide, in a graph of bounded size."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
from dask.delayed import Delayed, delayed
from dask.system import CPU_COUNT

from stainscript.errors import DataContractError
from stainscript.genes.backed import Expression, rows_of

FAN_IN = 8  # parts that one merge takes
BLOCKS_A_CORE = 8  # blocks in one graph for each core; two graphs never exist at once
CONNECT_SECONDS = 3
LOCAL = ("threads", "synchronous")
Sums = TypeVar("Sums")


@dataclass(frozen=True, kw_only=True)
class Computing:
    """Where tasks run: ``get`` is dask's scheduler, or the name of a local one; ``cores`` is how many run at once."""

    get: Any
    cores: int

    def __call__(self, parts: Sequence[Delayed]) -> tuple:
        local = {"num_workers": self.cores} if self.get in LOCAL else {}
        return dask.compute(*parts, scheduler=self.get, **local)


@contextlib.contextmanager
def computing(scheduler: str | None, *, threads: int | None = None) -> Iterator[Computing]:
    """Tasks in the threads of this process (``None`` or ``threads``), one by one (``synchronous``), or on a cluster.

    threads: how many of this process, by default one for each core it may use;
    scheduler: otherwise the address of a running dask scheduler, e.g. ``tcp://node17:8786``, whose workers see the same
    files. Raises ``DataContractError`` within seconds when nothing answers there, or no worker has joined.
    """
    if scheduler is None or scheduler in LOCAL:
        yield Computing(get=scheduler or "threads", cores=1 if scheduler == "synchronous" else threads or CPU_COUNT)
        return
    from distributed import Client, KilledWorker  # slow to import, and only a cluster needs it

    _knock(scheduler)
    client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise _no_cluster(scheduler, found="a scheduler without a worker") from error
        try:
            yield Computing(get=client, cores=sum(client.ncores().values()))
        except (CancelledError, KilledWorker) as error:
            raise _no_cluster(scheduler, found=f"lost while it worked ({error})") from error


def merged_by_slide(
    leaf: Callable[..., Sums],
    slides: Sequence[tuple[Expression, int]],
    *,
    arguments: Callable[[int], tuple],
    block_spots: int,
    compute: Computing,
) -> Iterator[Sums]:
    """For each slide in order, ``leaf(path, rows, *arguments(slide))`` of all its blocks, added up with ``+``.

    slides: (path, number of spots); a slide without spots has one empty block. Blocks are merged as a tree, in their
    order. One graph holds a few blocks for each core, so its size does not grow with the cohort.
    """
    if block_spots < 1:
        raise DataContractError(
            "config.yaml",
            "statistics.block_spots",
            expected="1 or more",
            found=block_spots,
            remedy="leave it at its default",
        )
    whole: Sums | None = None
    for wave in _waves(slides, block_spots=block_spots, size=BLOCKS_A_CORE * compute.cores):
        parts, last = [], {}
        for number in sorted({number for number, _, _ in wave}):
            shared = [delayed(argument, pure=False) for argument in arguments(number)]
            blocks = [delayed(leaf, pure=False)(slides[number][0], rows, *shared) for n, rows, _ in wave if n == number]
            parts.append(_tree(blocks))
            last[number] = any(end for n, _, end in wave if n == number)
        for ends, part in zip(last.values(), compute(parts), strict=True):
            whole = part if whole is None else whole + part
            if ends:
                yield whole
                whole = None


def _waves(
    slides: Sequence[tuple[Expression, int]], *, block_spots: int, size: int
) -> Iterator[list[tuple[int, slice, bool]]]:
    """Blocks in order, ``size`` at a time: number of the slide, rows, whether it is the slide's last block."""
    wave: list[tuple[int, slice, bool]] = []
    for number, (_, spots) in enumerate(slides):
        for rows in rows_of(spots, spots=block_spots) if spots else [slice(0, 0)]:
            wave.append((number, rows, rows.stop == spots))
            if len(wave) == size:
                yield wave
                wave = []
    if wave:
        yield wave


def _tree(parts: list[Delayed]) -> Delayed:
    while len(parts) > 1:
        parts = [delayed(_add, pure=False)(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return parts[0]


def _add(parts: Sequence[Sums]) -> Sums:
    return functools.reduce(operator.add, parts)


def _knock(scheduler: str) -> None:
    """Raise unless a dask scheduler answers. A client by itself tries again where it is refused, and waits without end
    for a server that keeps silent."""
    from distributed.comm import get_address_host_port
    from distributed.core import connect

    async def identity() -> dict:
        comm = await connect(scheduler, timeout=CONNECT_SECONDS)
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()

    async def answer() -> dict:
        return await asyncio.wait_for(identity(), CONNECT_SECONDS)

    try:
        socket.create_connection(get_address_host_port(scheduler), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(scheduler, found=f"nobody answers there ({error})") from error
    try:
        found = asyncio.run(answer()).get("type")
    except (OSError, TimeoutError) as error:
        raise _no_cluster(scheduler, found="something there that does not speak dask") from error
    if found != "Scheduler":
        raise _no_cluster(scheduler, found=f"a {found} there")


def _no_cluster(scheduler: str, *, found: str) -> DataContractError:
    return DataContractError(
        "config.yaml",
        "hardware.dask",
        expected="the address of a running dask scheduler with workers, e.g. tcp://node17:8786",
        found=f"{scheduler!r}, {found}",
        remedy="start one with `dask scheduler` and `dask worker`, or leave hardware.dask empty to use this machine",
    )
