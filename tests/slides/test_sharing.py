"""One slide read by many threads, by forked processes, and after it was pickled."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stainscript.slides.open import open_slide
from stainscript.slides.openslide import OpenSlideSlide

READERS = {"array": "png", "tiff": "pyramid", "openslide": "pyramid"}
BOXES = [(x, y) for y in range(0, 600, 47) for x in range(0, 800, 61)]


@pytest.fixture(params=READERS)
def slide(request):
    path = request.getfixturevalue(READERS[request.param])
    with (OpenSlideSlide if request.param == "openslide" else open_slide)(path, mpp=0.5) as slide:
        assert slide.reader == request.param
        yield slide


def wrong_boxes(slide, picture, boxes) -> list[tuple[int, int]]:
    """Boxes of 90 × 80 px whose pixels are not those of ``picture``."""
    reads = ((x, y, slide.read(x_px=x, y_px=y, width_px=90, height_px=80)) for x, y in boxes)
    return [(x, y) for x, y, pixels in reads if not np.array_equal(pixels, picture[y : y + 80, x : x + 90])]


def test_threads_that_read_one_slide_do_not_mix_their_reads(slide, picture):
    together = threading.Barrier(6)

    def work(number: int) -> list[tuple[int, int]]:
        together.wait()
        return wrong_boxes(slide, picture, BOXES[number::3])  # each box is read by two threads

    with ThreadPoolExecutor(6) as pool:
        assert [wrong for part in pool.map(work, [0, 1, 2] * 2) for wrong in part] == []


def report_wrong_boxes(slide, picture, start, queue) -> None:
    queue.put(wrong_boxes(slide, picture, BOXES[start::2]))


def test_a_slide_opened_before_a_fork_reads_rightly_on_both_sides(slide, picture):
    slide.read(x_px=0, y_px=0, width_px=300, height_px=300)  # its file positions and cache are in use
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=report_wrong_boxes, args=(slide, picture, n, queue)) for n in (0, 1)]
    for child in children:
        child.start()
    assert wrong_boxes(slide, picture, BOXES) == []
    assert [queue.get(timeout=60) for _ in children] == [[], []]
    for child in children:
        child.join()
        assert child.exitcode == 0


def test_a_pickled_slide_is_opened_again(slide, picture, tmp_path, monkeypatch):
    content = pickle.dumps(slide)
    assert len(content) < 1000  # a path, not pixels
    monkeypatch.chdir(tmp_path)
    with pickle.loads(content) as again:
        assert (type(again), again.mpp, again.level_sizes) == (type(slide), 0.5, slide.level_sizes)
        assert wrong_boxes(again, picture, BOXES[:10]) == []


def test_tiles_put_together_are_the_picture(slide, picture):
    height, width = slide.tile_shape(0)
    rows = [
        np.concatenate([slide.tile(0, row, column) for column in range(-(-900 // width))], axis=1)
        for row in range(-(-700 // height))
    ]
    np.testing.assert_array_equal(np.concatenate(rows), picture)
