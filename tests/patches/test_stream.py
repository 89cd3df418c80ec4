"""One pass over a slide gives what one read a crop gives, whatever the workers, the tiles and the bound of memory."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stainscript.errors import DataContractError
from stainscript.patches.extract import cut_patches
from stainscript.patches.stream import stream_crops
from stainscript.patches.sweep import plan_sweep
from stainscript.patches.views import plan_crops
from stainscript.slides.base import LeveledSlide
from stainscript.slides.open import open_slide
from stainscript.slides.openslide import OpenSlideSlide
from stainscript.types import ViewSpec

WIDTH, HEIGHT = 310, 260


class Tiled(LeveledSlide):
    """A picture cut into tiles of any size; counts how often each is decoded and how many bytes are alive."""

    reader = "test"

    def __init__(self, *, tile=(64, 64), levels=3, fault=None):
        self.levels = [np.asarray(Image.fromarray(picture()).reduce(2**k)) for k in range(levels)]
        self.shape, self.fault, self.decoded = tile, fault, []
        super().__init__("tiled.tif", level_sizes=[(a.shape[1], a.shape[0]) for a in self.levels], mpp=0.5)

    def tile_shape(self, level):
        return self.shape

    def tile(self, level, row, column):
        self.decoded.append((level, row, column))
        if self.fault == (level, row, column):
            raise DataContractError("tiled.tif", "tile", expected="pixels", found="none", remedy="copy it again")
        height, width = self.shape
        return self.levels[level][height * row : height * (row + 1), width * column : width * (column + 1)]

    def verify(self):
        pass

    def close(self):
        pass


def picture() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns % 256, rows % 256, (37 * columns + 91 * rows) % 160], axis=2).astype(np.uint8)


def planned(slide, xy_px, **options):
    view = ViewSpec(**{"name": "v", "width_px": 24, "mpp": None, "edge": "white"} | options)
    size = {"slide_width_px": slide.width_px, "slide_height_px": slide.height_px}
    return plan_crops(view, xy_px=xy_px, slide_mpp=0.5, **size)


def streamed(slide, crops, **options) -> dict[str, np.ndarray]:
    """All images of each view, in the order of its crops; every crop must come exactly once."""
    images = {name: np.full((len(c), *c.image_shape), 77, np.uint8) for name, c in crops.items()}
    seen = {name: np.zeros(len(c), int) for name, c in crops.items()}
    for block in stream_crops(slide, crops=crops, **{"workers": 2, "block": 7} | options):
        images[block.view][block.index] = block.images
        np.add.at(seen[block.view], block.index, 1)
    assert all((count == 1).all() for count in seen.values())
    return images


def assert_as_cut(slide, crops, **options) -> None:
    for name, images in streamed(slide, crops, **options).items():
        np.testing.assert_array_equal(images, cut_patches(slide, crops=crops[name]).reshape(images.shape))


VIEWS = [
    {},
    {"width_px": 25},
    {"grid": 3},
    {"field": 3},
    {"field": 3, "cell": 2, "mpp": 0.8},
    {"corner": "hest", "mpp": 0.37},
    {"corner": "hest", "mpp": 1.3, "grid": 3},
]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    spots=st.integers(1, 40),
    view=st.sampled_from(VIEWS),
    mpp=st.sampled_from([None, 0.5, 0.31, 0.77, 1.0, 2.1]),
    edge=st.sampled_from(["white", "reflect"]),
    tile=st.sampled_from([(64, 64), (16, 48), (256, 32), (7, 1000)]),
    workers=st.sampled_from([1, 2, 5]),
    block=st.sampled_from([1, 7, 64]),
    memory_bytes=st.sampled_from([1, 60_000, 10**9]),
)
def test_a_pass_equals_one_read_a_crop_to_the_bit(seed, spots, view, mpp, edge, tile, workers, block, memory_bytes):
    slide = Tiled(tile=tile)
    xy_px = np.random.default_rng(seed).uniform([0, 0], [WIDTH, HEIGHT], (spots, 2))
    crops = {"v": planned(slide, xy_px, **{"mpp": mpp, "edge": edge} | view)}
    assert_as_cut(slide, crops, workers=workers, block=block, memory_bytes=memory_bytes)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    Image.fromarray(picture()).save(folder / "a.png")
    for name, options in {
        "jpeg.tif": {"tile": (64, 64), "compression": "jpeg", "photometric": "ycbcr"},
        "strips.tif": {"rowsperstrip": 5, "photometric": "rgb"},
        "zlib.tif": {"tile": (48, 80), "compression": "zlib", "photometric": "rgb"},
    }.items():
        tifffile.imwrite(folder / name, picture(), **options)
    return folder


@pytest.mark.parametrize("name", ["a.png", "jpeg.tif", "strips.tif", "zlib.tif", "openslide"])
def test_every_format_gives_the_same_through_a_pass_and_through_reads(files, name):
    xy_px = np.random.default_rng(4).uniform([0, 0], [WIDTH, HEIGHT], (30, 2))
    opened = OpenSlideSlide(files / "zlib.tif") if name == "openslide" else open_slide(files / name)
    with opened as slide:
        crops = {"a": planned(slide, xy_px), "b": planned(slide, xy_px, mpp=0.8, edge="reflect", width_px=17)}
        assert_as_cut(slide, crops, workers=3)


def test_a_real_slide_gives_the_same_through_a_pass_and_through_reads(shared_data):
    with open_slide(shared_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        xy_px = np.random.default_rng(5).uniform([0, 0], [slide.width_px, slide.height_px], (40, 2))
        crops = {"a": planned(slide, xy_px, width_px=96), "b": planned(slide, xy_px, width_px=64, mpp=1.1)}
        assert_as_cut(slide, crops, workers=8)


def test_blocks_come_in_one_order_whatever_the_workers():
    xy_px = np.random.default_rng(6).uniform([0, 0], [WIDTH, HEIGHT], (200, 2))

    def blocks(workers):
        slide = Tiled()
        crops = {"a": planned(slide, xy_px), "b": planned(slide, xy_px[::3], mpp=0.9, grid=3)}
        return list(stream_crops(slide, crops=crops, workers=workers, block=16))

    one, eight = blocks(1), blocks(8)
    assert [b.view for b in one] == [b.view for b in eight]
    assert {b.view for b in one[: len(one) // 2]} == {"a", "b"}  # side by side, not one after the other
    for a, b in zip(one, eight, strict=True):
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.images, b.images)
    assert max(len(b.index) for b in one) == 16


def test_every_tile_is_decoded_once_for_all_crops_of_all_views():
    slide = Tiled()
    x, y = np.meshgrid(np.arange(12, 300, 22.0), np.arange(12, 250, 22.0))  # to 298 + 12 = 310 and 232 + 12
    xy_px = np.stack([x.ravel(), y.ravel()], axis=1)
    streamed(slide, {"a": planned(slide, xy_px), "b": planned(slide, xy_px, grid=3)}, workers=4)
    assert len(slide.decoded) == len(set(slide.decoded)) == 5 * 4  # columns to 310, rows to 244, by 64


class Vast(Tiled):
    """A slide of 20,000 × 8,000 px to plan on; nothing is drawn."""

    def __init__(self):
        LeveledSlide.__init__(self, "vast.tif", level_sizes=[(20_000, 8_000)], mpp=0.5)
        self.shape = (256, 256)


def test_a_small_memory_cuts_the_slide_into_strips_and_bounds_the_tiles():
    slide = Vast()
    x, y = np.meshgrid(np.arange(150, 19_900, 200.0), np.arange(150, 7_900, 200.0))
    crops = {"a": planned(slide, np.stack([x.ravel(), y.ravel()], axis=1), width_px=224)}
    wide = plan_sweep(slide, crops, block=64, memory_bytes=10**9)
    narrow = plan_sweep(slide, crops, block=64, memory_bytes=wide.live_bytes // 2)
    assert len(wide.tiles) == 78 * 31  # each once; the last spots end at (19,862, 7,862)
    assert wide.live_bytes < 3 * 78 * 256 * 256 * 3  # not three rows of tiles
    assert narrow.live_bytes <= wide.live_bytes // 2
    assert len(wide.tiles) < len(narrow.tiles) < 1.1 * len(wide.tiles)  # only the strips' borders come twice


def test_live_tiles_stay_within_what_was_planned(monkeypatch):
    slide = Tiled(tile=(16, 16), levels=1)
    alive, most, lock = set(), [0], threading.Lock()

    class Watched(np.ndarray):
        def __array_finalize__(self, other):
            pass

    whole = slide.tile

    def tile(*name):
        pixels = whole(*name).copy().view(Watched)
        with lock:
            alive.add(id(pixels))
            most[0] = max(most[0], len(alive))
        weakref.finalize(pixels, alive.discard, id(pixels))
        return pixels

    monkeypatch.setattr(slide, "tile", tile)
    x, y = np.meshgrid(np.arange(12, 300, 6.0), np.arange(12, 250, 6.0))
    crops = {"a": planned(slide, np.stack([x.ravel(), y.ravel()], axis=1))}
    sweep = plan_sweep(slide, crops, block=8, memory_bytes=10**9, workers=1)
    streamed(slide, crops, workers=1, block=8)
    gc.collect()
    assert not alive
    assert most[0] * 16 * 16 * 3 <= sweep.live_bytes < 0.5 * WIDTH * HEIGHT * 3


def test_a_crop_that_is_not_valid_is_black_and_comes_all_the_same():
    slide = Tiled()
    crops = {"a": planned(slide, np.array([[5.0, 130]]), grid=3)}
    images = streamed(slide, crops)["a"].reshape(3, 3, 24, 24, 3)
    assert (images[:, 0] == 0).all()
    assert images[1, 1].any()


def test_large_images_come_in_small_blocks():
    slide = Vast()
    xy_px = np.random.default_rng(10).uniform([2048, 2048], [17_000, 5_900], (50, 2))
    small, large = (
        plan_sweep(slide, {"a": planned(slide, xy_px, width_px=w)}, block=64, memory_bytes=10**9, workers=8)
        for w in (224, 4096)
    )
    assert (len(small.block_crops), small.bite, small.ahead) == (1, 16, 4)
    assert (max(map(len, large.block_crops)), large.bite, large.ahead) == (2, 1, 6)  # 2 × 48 MiB, not 64


def test_no_spots_give_no_blocks():
    slide = Tiled()
    assert list(stream_crops(slide, crops={"a": planned(slide, np.empty((0, 2)))}, workers=2)) == []


def workers_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("cut-")]


@pytest.mark.parametrize("workers", [1, 4])
def test_a_fault_of_a_worker_reaches_the_consumer_once_and_ends_all(workers):
    slide = Tiled(fault=(0, 2, 3))
    xy_px = np.random.default_rng(8).uniform([0, 0], [WIDTH, HEIGHT], (300, 2))
    stream = stream_crops(slide, crops={"a": planned(slide, xy_px)}, workers=workers, block=8)
    with pytest.raises(DataContractError, match=r"tiled\.tif: tile: expected pixels"):
        list(stream)
    assert workers_left() == []
    with pytest.raises(StopIteration):
        next(stream)


def test_leaving_early_ends_the_workers_and_closes_what_was_opened(files):
    opened = []

    def factory():
        opened.append(open_slide(files / "zlib.tif"))
        return opened[-1]

    with open_slide(files / "zlib.tif") as slide:
        crops = {"a": planned(slide, np.random.default_rng(9).uniform([0, 0], [WIDTH, HEIGHT], (400, 2)))}
    for _ in stream_crops(factory, crops=crops, workers=3, block=4):
        assert len(workers_left()) == 3
        break
    gc.collect()
    assert workers_left() == []
    with pytest.raises(DataContractError, match=r"zlib\.tif: tile"):
        opened[0].tile(0, 0, 0)


def test_workers_wait_for_a_slow_consumer():
    slide = Tiled(tile=(24, 24))
    y, x = np.mgrid[12:250:24, 12:300:24]
    crops = {"a": planned(slide, np.stack([x.ravel(), y.ravel()], axis=1).astype(float))}  # a tile for each crop
    stream = stream_crops(slide, crops=crops, workers=1, block=4)
    next(stream)
    job = next(thread for thread in threading.enumerate() if thread.name == "cut-0")
    while job.is_alive() and not _waits(job):
        pass
    assert len(slide.decoded) < 0.7 * len(crops["a"])
    stream.close()
    assert workers_left() == []


def _waits(thread: threading.Thread) -> bool:
    """Whether a thread sleeps on a condition."""
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and frame.f_code.co_name == "wait"
