"""The order of a pass over a slide: which crops are cut together, which tiles they need, which block they fill.

All of it follows from the slide's tiles and the crops, so it does not depend on how many workers there are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stainscript.patches.geometry import OnSlide, on_slide
from stainscript.patches.views import Crops
from stainscript.slides.base import LeveledSlide
from stainscript.slides.reads import Reads, plan_reads

BITE = 16  # crops that a worker cuts at a time; fewer where images are large
BITE_BYTES = BITE * 224 * 224 * 3
BLOCK_BYTES = 128 * 2**20  # of images in a block, which then has fewer crops
MOST_STRIPS = 256


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """n crops of all views in the order of the pass."""

    view: np.ndarray  # (n,) position of the view in the mapping
    index: np.ndarray  # (n,) position in the view's flattened (S · C) crops
    valid: np.ndarray  # (n,)
    shown: OnSlide
    reads: Reads

    def take(self, order: np.ndarray) -> Cuts:
        """These crops in another order."""
        shown = OnSlide(**{name: getattr(self.shown, name)[order] for name in ("boxes", "first", "count")})
        reads = Reads(**{name: getattr(self.reads, name)[order] for name in ("level", "source", "inner", "exact")})
        return Cuts(view=self.view[order], index=self.index[order], valid=self.valid[order], shown=shown, reads=reads)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A pass: bites of ``bite`` consecutive crops; tiles numbered 0 … T − 1; blocks in the order they are complete."""

    cuts: Cuts
    bite: int
    tiles: np.ndarray  # (T, 3) level, row, column
    uses: np.ndarray  # (T,) bites that need the tile
    bite_tiles: np.ndarray  # tiles of bite k: [bite_starts[k] : bite_starts[k + 1]]
    bite_starts: np.ndarray
    block: np.ndarray  # (n,) block of each crop
    slot: np.ndarray  # (n,) its place there
    block_crops: list[np.ndarray]  # crops of each block, in the order of their places
    last_bite: np.ndarray  # (B,) bite with which a block is complete; ascends
    live_bytes: int  # tiles held at once, at most
    ahead: int  # blocks that may be begun before the oldest is taken, so that all workers are busy

    @property
    def bites(self) -> int:
        """Number of bites."""
        return len(self.bite_starts) - 1

    def crops_of(self, bite: int) -> range:
        """The crops of a bite."""
        return range(bite * self.bite, min((bite + 1) * self.bite, len(self.block)))


def plan_sweep(
    slide: LeveledSlide, crops: Mapping[str, Crops], *, block: int, memory_bytes: int, workers: int = 1
) -> Sweep:
    """Plan one pass over ``slide`` for several views, in blocks of ``block`` crops of one view, of large ones fewer.

    The pass goes down the slide in bands of one row of tiles, left to right in each; a tile lives from the first bite
    that needs it to the last. Where these would exceed ``memory_bytes``, the slide is cut into strips from top to
    bottom, of which each is passed on its own; tiles on the border of two strips are then decoded twice.
    """
    cuts = _cuts(slide, crops)
    image_bytes = [math.prod(given.image_shape) for given in crops.values()]
    bite = min(max(1, BITE_BYTES // max(image_bytes, default=1)), BITE)
    blocks = [max(1, min(block, BLOCK_BYTES // size)) for size in image_bytes]  # crops in a block of each view
    grids = np.array([slide.tile_shape(level) for level in range(len(slide.level_sizes))])  # (L, 2) rows, columns
    best: tuple[int, np.ndarray, tuple[np.ndarray, ...]] | None = None
    strips = 1
    while strips <= MOST_STRIPS:
        order, strip = _order(slide, cuts, grids, strips=strips)
        needed = _needed(cuts, grids, order=order, strip=strip, bite=bite)
        live = _live_bytes(slide, grids, needed, workers=workers)
        if best is None or live < best[0]:
            best = (live, order, needed)
        if live <= memory_bytes or slide.width_px / (2 * strips) < grids[:, 1].min():
            break
        strips *= 2
    live, order, (tiles, uses, bite_tiles, bite_starts) = best
    ordered = cuts.take(order)
    members, block_of, slot = _blocks(ordered.view, sizes=blocks)
    last_bite = np.array([crop[-1] // bite for crop in members], dtype=np.int64)
    return Sweep(
        cuts=ordered,
        bite=bite,
        tiles=tiles,
        uses=uses,
        bite_tiles=bite_tiles,
        bite_starts=bite_starts,
        block=block_of,
        slot=slot,
        block_crops=members,
        last_bite=last_bite,
        live_bytes=live,
        ahead=2 + -(-workers * bite // min(blocks, default=1)),
    )


def _cuts(slide: LeveledSlide, crops: Mapping[str, Crops]) -> Cuts:
    """All views' crops, one view after the other."""
    size = {"width_px": slide.width_px, "height_px": slide.height_px}
    shown, reads = [], []
    for given in crops.values():
        part = on_slide(given.boxes.reshape(-1, 4), image_px=given.view.width_px, **size)
        wanted = given.valid.ravel() & ~part.empty
        boxes = np.where(wanted[:, None], part.boxes, [0.0, 0.0, 1.0, 1.0])  # what is not read asks for nothing below
        count = np.where(wanted[:, None], part.count, 1)
        shown.append(part)
        reads.append(
            plan_reads(
                slide.level_sizes,
                boxes,
                width_px=count[:, 0],
                height_px=count[:, 1],
                neighbours=given.view.corner != "hest",
            )
        )
    join = np.concatenate
    of_slide, of_level = ("boxes", "first", "count"), ("level", "source", "inner", "exact")
    return Cuts(
        view=np.repeat(np.arange(len(crops)), [len(given) for given in crops.values()]),
        index=join([np.arange(len(given)) for given in crops.values()]),
        valid=join([given.valid.ravel() for given in crops.values()]),
        shown=OnSlide(**{name: join([getattr(s, name) for s in shown]) for name in of_slide}),
        reads=Reads(**{name: join([getattr(r, name) for r in reads]) for name in of_level}),
    )


def _order(slide: LeveledSlide, cuts: Cuts, grids: np.ndarray, *, strips: int) -> tuple[np.ndarray, np.ndarray]:
    """Order of the crops, and the strip of each: by strip, band, then from left to right."""
    zoom = np.array([slide.height_px / rows for _, rows in slide.level_sizes])
    band_px = (grids[:, 0] * zoom)[np.unique(cuts.reads.level)].min() if len(cuts.view) else 1.0
    left, top = cuts.shown.boxes[:, 0], cuts.shown.boxes[:, 1]
    strip = np.floor(left / slide.width_px * strips).astype(np.int64).clip(0, strips - 1)
    order = np.lexsort((cuts.index, cuts.view, left, np.floor(top / band_px), strip))
    return order, strip


def _needed(
    cuts: Cuts, grids: np.ndarray, *, order: np.ndarray, strip: np.ndarray, bite: int
) -> tuple[np.ndarray, ...]:
    """Tiles (T, 3), bites that use each (T,), and the tiles of each bite as one list with its starts."""
    crop = order[(cuts.valid & ~cuts.shown.empty)[order]]
    bite_of = np.flatnonzero((cuts.valid & ~cuts.shown.empty)[order]) // bite
    level, source = cuts.reads.level[crop], cuts.reads.source[crop]
    rows, columns = grids[level, 0], grids[level, 1]
    row0, column0 = source[:, 1] // rows, source[:, 0] // columns
    down, across = -(-source[:, 3] // rows) - row0, -(-source[:, 2] // columns) - column0
    each = np.repeat(np.arange(len(crop)), down * across)  # one entry a crop and tile
    nth = np.arange(len(each)) - np.repeat(np.cumsum(down * across) - down * across, down * across)
    tile_row, tile_column = row0[each] + nth // across[each], column0[each] + nth % across[each]
    named = np.stack([strip[crop][each], level[each], tile_row, tile_column], axis=1)
    span = named.max(axis=0, initial=0) + 1
    code = np.ravel_multi_index(tuple(named.T), tuple(span))
    codes, number = np.unique(code, return_inverse=True)
    pairs = np.unique(bite_of[each] * max(len(codes), 1) + number)
    pair_bite, pair_tile = np.divmod(pairs, max(len(codes), 1))
    tiles = np.stack(np.unravel_index(codes, tuple(span)), axis=1)[:, 1:]
    bites = -(-len(order) // bite)
    return tiles, np.bincount(pair_tile, minlength=len(codes)), pair_tile, np.searchsorted(pair_bite, range(bites + 1))


def _live_bytes(slide: LeveledSlide, grids: np.ndarray, needed: tuple[np.ndarray, ...], *, workers: int) -> int:
    """Bytes of the tiles held at once, at most, when a tile leaves ``workers`` bites after its last use."""
    tiles, _, bite_tiles, bite_starts = needed
    bites = len(bite_starts) - 1
    bite = np.repeat(np.arange(bites), np.diff(bite_starts))
    first, last = np.full(len(tiles), bites), np.zeros(len(tiles), np.int64)
    np.minimum.at(first, bite_tiles, bite)
    np.maximum.at(last, bite_tiles, bite)
    sizes = 3 * np.array([np.minimum(grids[k], slide.level_sizes[k][::-1]).prod() for k in range(len(grids))])
    change = np.zeros(bites + workers + 2)
    np.add.at(change, first, sizes[tiles[:, 0]])
    np.add.at(change, last + workers + 1, -sizes[tiles[:, 0]])
    return int(np.cumsum(change).max())


def _blocks(view: np.ndarray, *, sizes: list[int]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Crops of each block, in the order in which blocks are complete; block and place of each crop."""
    members = []
    for number in np.unique(view):
        own = np.flatnonzero(view == number)
        members += [own[start : start + sizes[number]] for start in range(0, len(own), sizes[number])]
    members.sort(key=lambda crops: int(crops[-1]))
    block_of, slot = np.empty(len(view), np.int64), np.empty(len(view), np.int64)
    for number, crops in enumerate(members):
        block_of[crops], slot[crops] = number, np.arange(len(crops))
    return members, block_of, slot
