import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.errors import DataContractError
from stainscript.slides import base
from stainscript.slides.base import LeveledSlide, plausible_mpp
from stainscript.slides.cache import TileCache


class Memory(LeveledSlide):
    """Levels held as arrays; remembers the largest box asked for."""

    reader = "memory"

    def __init__(self, levels, mpp=0.5):
        self.levels, self.asked = levels, []
        super().__init__("memory", level_sizes=[(a.shape[1], a.shape[0]) for a in levels], mpp=mpp)

    def level_box(self, level, *, left, top, width, height):
        self.asked.append((level, width * height))
        box = super().level_box(level, left=left, top=top, width=width, height=height)
        assert box.shape == (height, width, 3)
        return box

    def tile_shape(self, level):
        return 24, 32

    def tile(self, level, row, column):
        return self.levels[level][24 * row : 24 * row + 24, 32 * column : 32 * column + 32]

    def verify(self):
        pass

    def close(self):
        pass


def ramp(rows, columns):
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([x % 256, y % 256, (x + y) % 256], axis=-1).astype(np.uint8)


@pytest.fixture
def slide():
    return Memory([ramp(200, 240), ramp(100, 120), ramp(50, 60)])


@given(x=st.integers(0, 230), y=st.integers(0, 190), width=st.integers(1, 10), height=st.integers(1, 10))
def test_native_reads_equal_indexing(x, y, width, height):
    level = ramp(200, 240)
    region = Memory([level]).read(x_px=x, y_px=y, width_px=width, height_px=height)
    np.testing.assert_array_equal(region, level[y : y + height, x : x + width])


def test_the_coarsest_level_that_is_fine_enough_is_read(slide):
    for mpp, level in [(0.4, 0), (0.9, 0), (1.0, 1), (1.9, 1), (2.0, 2), (3.0, 2)]:
        slide.asked.clear()
        slide.read(x_px=10, y_px=10, width_px=20, height_px=20, mpp=mpp)
        assert [k for k, _ in slide.asked] == [level]


def test_without_neighbours_the_filter_sees_the_box_alone():
    level = np.zeros((40, 40, 3), np.uint8)
    level[10:20, 10:20] = 200
    box = {"box_px": (10.0, 10.0, 20.0, 20.0), "width_px": 16, "height_px": 16}
    alone = Memory([level]).read_box(**box, neighbours=False)
    assert (alone == 200).all()
    assert Memory([level]).read_box(**box)[0].max() < 200  # darkness beyond the box shows in its first row


def test_a_cache_lets_the_longest_unused_tile_go():
    cache = TileCache(3 * 10)
    tiles = {name: np.full(10, number, np.uint8) for number, name in enumerate("abcd")}
    for name in "abc":
        cache.put(name, tiles[name])
    cache.get("a")
    cache.put("d", tiles["d"])
    assert cache.get("b") is None
    assert [int(cache.get(name)[0]) for name in "acd"] == [0, 2, 3]


@pytest.mark.parametrize(
    ("x", "y", "width", "height", "mpp"),
    [(-1, 0, 10, 10, None), (0, -0.5, 10, 10, 0.7), (231, 0, 10, 10, None), (0, 150, 10, 60, None), (0, 0, 61, 5, 2.0)],
)
def test_a_region_that_leaves_the_slide_is_refused(slide, x, y, width, height, mpp):
    with pytest.raises(DataContractError, match=r"region: expected a box inside 0\.\.240 × 0\.\.200 px"):
        slide.read(x_px=x, y_px=y, width_px=width, height_px=height, mpp=mpp)


def test_a_region_may_touch_the_edge_after_rounding(slide):
    region = slide.read(x_px=0, y_px=0, width_px=171, height_px=142, mpp=0.5 * 240 / 171)
    assert region.shape == (142, 171, 3)


def test_scaling_a_slide_of_unknown_scale_is_refused():
    with pytest.raises(DataContractError, match="mpp: expected a known µm per pixel"):
        Memory([ramp(20, 20)], mpp=None).read(x_px=0, y_px=0, width_px=5, height_px=5, mpp=0.5)


def test_a_flat_slide_stays_flat_at_any_scale():
    flat = Memory([np.full((90, 70, 3), 201, np.uint8)])
    for mpp in (0.21, 0.5, 0.77, 3.1):
        assert (flat.read(x_px=7, y_px=9, width_px=9, height_px=8, mpp=mpp) == 201).all()


def test_a_thumbnail_made_in_bands_equals_one_made_at_once(monkeypatch):
    slide = Memory([ramp(400, 240)[:, :, :] // 2])
    whole = slide.thumbnail(long_side_px=100)
    assert whole.shape == (100, 60, 3)
    monkeypatch.setattr(base, "BAND_PX", 240 * 4 * 7)  # seven rows of the thumbnail at once
    slide.asked.clear()
    banded = slide.thumbnail(long_side_px=100)
    assert len(slide.asked) == 15
    assert max(pixels for _, pixels in slide.asked) < 240 * 50
    assert np.abs(banded.astype(int) - whole).max() <= 1


def test_a_small_slide_is_its_own_thumbnail(slide):
    np.testing.assert_array_equal(slide.thumbnail(long_side_px=1024), slide.levels[0])


@pytest.mark.parametrize(
    ("x", "y", "mpp"),
    [
        (0.5, 0.5, 0.5),
        (0.50, 0.51, 0.505),
        (0.5, 0.6, None),  # the axes disagree
        (None, 0.5, None),
        (352.8, 352.8, None),  # 72 dpi, an editor's default
        (84.67, 84.67, None),  # 300 dpi
        (0.0, 0.0, None),
    ],
)
def test_only_plausible_metadata_give_a_scale(x, y, mpp):
    assert plausible_mpp(x, y) == (mpp if mpp is None else pytest.approx(mpp))
