"""Cut the crops of several views in one pass over a slide: every tile is decoded once, by worker threads.

Decoding and resampling release the interpreter's lock, so threads share the tiles and use all cores. What comes out
equals ``extract.cut_patches`` to the bit, in an order that does not depend on the number of workers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from stainscript.patches.extract import fill_outside
from stainscript.patches.sweep import Sweep, plan_sweep
from stainscript.patches.views import Crops
from stainscript.slides.base import LeveledSlide, paste
from stainscript.slides.reads import resampled

BLOCK = 64
MEMORY_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True)
class CropBlock:
    """Some crops of one view. index: (n,) positions in the view's flattened (S · C) crops; images: (n, y, x, 3)."""

    view: str
    index: np.ndarray
    images: np.ndarray


def stream_crops(
    slide: LeveledSlide | Callable[[], LeveledSlide],
    *,
    crops: Mapping[str, Crops],
    workers: int,
    block: int = BLOCK,
    memory_bytes: int = MEMORY_BYTES,
) -> Iterator[CropBlock]:
    """Every crop of every view, once, in blocks of at most ``block``.

    slide: opened, or a function that opens it for the time of the pass; workers: threads that decode and cut;
    memory_bytes: decoded tiles held at once (a few blocks come on top). A fault of a worker is raised here, once;
    closing the iterator early ends the threads.
    """
    with contextlib.ExitStack() as stack:
        opened = slide if isinstance(slide, LeveledSlide) else stack.enter_context(slide())
        workers = max(1, workers)
        sweep = plan_sweep(opened, crops, block=block, memory_bytes=memory_bytes, workers=workers)
        job = _Pass(opened, crops, sweep)
        # daemons: a program that dies of another error does not wait for blocks that nobody takes
        threads = [threading.Thread(target=job.work, name=f"cut-{n}", daemon=True) for n in range(workers)]
        stack.callback(job.end, threads)
        for thread in threads:
            thread.start()
        names = list(crops)
        for number, members in enumerate(sweep.block_crops):
            images = job.finished(number)
            yield CropBlock(view=names[sweep.cuts.view[members[0]]], index=sweep.cuts.index[members], images=images)
            del images  # not held while the next is awaited


class _Pass:
    """What the workers share. One lock guards the book-keeping; decoding and copying happen outside it."""

    def __init__(self, slide: LeveledSlide, crops: Mapping[str, Crops], sweep: Sweep) -> None:
        self._slide, self._sweep = slide, sweep
        self._views = [given.view for given in crops.values()]
        self._shapes = [given.image_shape for given in crops.values()]
        self._grids = [slide.tile_shape(level) for level in range(len(slide.level_sizes))]
        self._changed = threading.Condition()
        self._next_bite, self._taken, self._stopped = 0, 0, False
        self._error: BaseException | None = None
        self._tiles: dict[int, np.ndarray | None] = {}  # None: a worker is decoding it
        self._uses = sweep.uses.copy()
        self._blocks: dict[int, np.ndarray] = {}
        self._missing = [len(members) for members in sweep.block_crops]

    def finished(self, block: int) -> np.ndarray:
        """The images of a block, once they are complete; raises what a worker raised."""
        with self._changed:
            self._taken = block
            self._changed.notify_all()
            while self._missing[block] and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            return self._blocks.pop(block)

    def end(self, threads: list[threading.Thread]) -> None:
        """Stop the workers and wait for them."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in threads:
            if thread.ident is not None:
                thread.join()

    def work(self) -> None:
        """Bites, one after the other, until none is left."""
        with contextlib.ExitStack() as stack:
            stack.push(self._hand_over)
            while (bite := self._claim()) is not None:
                self._cut(bite)

    def _hand_over(self, _: object, error: BaseException | None, __: object) -> bool:
        """Whatever ends a worker is raised where the blocks are awaited, and not in its thread."""
        if error is not None:
            with self._changed:
                self._error, self._stopped = self._error or error, True
                self._changed.notify_all()
        return True

    def _claim(self) -> int | None:
        """The next bite, as soon as the consumer is near enough; ``None`` at the end."""
        last = self._sweep.last_bite
        with self._changed:
            while not self._stopped and self._next_bite < self._sweep.bites:
                if self._next_bite <= last[min(self._taken + self._sweep.ahead, len(last) - 1)]:
                    self._next_bite += 1
                    return self._next_bite - 1
                self._changed.wait()
        return None

    def _cut(self, bite: int) -> None:
        sweep = self._sweep
        needed = sweep.bite_tiles[sweep.bite_starts[bite] : sweep.bite_starts[bite + 1]].tolist()
        tiles = self._decoded(needed)
        if tiles is None:
            return
        here = sweep.crops_of(bite)
        named = {tuple(name): tiles[n] for n, name in zip(needed, sweep.tiles[needed].tolist(), strict=True)}
        for crop in here:
            self._draw(crop, named)
        with self._changed:
            self._uses[needed] -= 1
            for tile in needed:
                if not self._uses[tile]:
                    del self._tiles[tile]
            for block in sweep.block[here.start : here.stop].tolist():
                self._missing[block] -= 1
                if not self._missing[block]:
                    self._changed.notify_all()

    def _decoded(self, needed: list[int]) -> dict[int, np.ndarray] | None:
        """The tiles: those that no one has are decoded here, then those of others are awaited; ``None``: stopped."""
        with self._changed:
            own = [tile for tile in needed if tile not in self._tiles]
            self._tiles.update(dict.fromkeys(own))
        for tile, name in zip(own, self._sweep.tiles[own].tolist(), strict=True):
            if self._stopped:
                return None
            pixels = self._slide.tile(*name)
            with self._changed:
                self._tiles[tile] = pixels
        with self._changed:
            self._changed.notify_all()
            while any(self._tiles[tile] is None for tile in needed):
                if self._stopped:
                    return None
                self._changed.wait()
            return {tile: self._tiles[tile] for tile in needed}

    def _draw(self, crop: int, tiles: dict[tuple[int, int, int], np.ndarray]) -> None:
        """One crop into its place of its block."""
        cuts = self._sweep.cuts
        out = self._block(int(self._sweep.block[crop]))[self._sweep.slot[crop]]
        if not cuts.valid[crop]:
            out[:] = 0
            return
        view = self._views[cuts.view[crop]]
        (left, top), (columns, rows) = cuts.shown.first[crop].tolist(), cuts.shown.count[crop].tolist()
        if columns and rows:
            part = out[top : top + rows, left : left + columns]
            level = int(cuts.reads.level[crop])
            source = cuts.reads.source[crop].tolist()
            if cuts.reads.exact[crop]:
                self._join(tiles, part, level=level, source=source)
            else:
                pixels = np.empty((source[3] - source[1], source[2] - source[0], 3), np.uint8)
                self._join(tiles, pixels, level=level, source=source)
                inner = tuple(cuts.reads.inner[crop].tolist())
                part[:] = resampled(pixels, inner=inner, width_px=columns, height_px=rows)
        fill_outside(out, left=left, top=top, columns=columns, rows=rows, edge=view.edge)

    def _join(
        self, tiles: dict[tuple[int, int, int], np.ndarray], out: np.ndarray, *, level: int, source: list[int]
    ) -> None:
        left, top, right, bottom = source
        height, width = self._grids[level]
        for row in range(top // height, -(-bottom // height)):
            for column in range(left // width, -(-right // width)):
                paste(tiles[level, row, column], out, y=row * height - top, x=column * width - left)

    def _block(self, block: int) -> np.ndarray:
        with self._changed:
            images = self._blocks.get(block)
            if images is None:
                members = self._sweep.block_crops[block]
                shape = self._shapes[self._sweep.cuts.view[members[0]]]
                images = self._blocks[block] = np.empty((len(members), *shape), np.uint8)
            return images
