import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript import seeds
from stainscript.batches.batch import SpotBatch
from stainscript.batches.samplers import Sampler, ShuffledSpots, WholeSlides


def spots_of(*sizes: int) -> SpotBatch:
    """Slides of the given numbers of spots, interleaved."""
    index = np.concatenate([np.full(size, n) for n, size in enumerate(sizes)])
    index = index[seeds.generator(0, "interleave").permutation(len(index))]
    count = len(index)
    return SpotBatch(
        slides=tuple(f"s{n}" for n in range(len(sizes))),
        patients=tuple("p" * len(sizes)),
        slide_index=index,
        spot_id=np.arange(count).astype(str).astype(object),
        features={},
        xy_um=np.zeros((count, 2)),
        grid=np.zeros((count, 2)),
        extent_um=np.zeros((count, 2)),
    )


SAMPLERS = [ShuffledSpots(batch_size=4), WholeSlides(slides=2)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sampler_keeps_the_protocol(sampler):
    assert isinstance(sampler, Sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5), world=st.integers(1, 3))
def test_processes_together_see_every_spot_in_equally_many_batches(sampler, sizes, world):
    spots = spots_of(*sizes)
    shares = [sampler.epoch(spots, rng=seeds.generator(0, "e"), rank=r, world=world) for r in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert all(len(batch) for share in shares for batch in share)
    assert {int(i) for share in shares for batch in share for i in batch} == set(range(len(spots)))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_process_sees_each_spot_once_an_epoch(sampler):
    spots = spots_of(5, 3, 7)
    seen = np.concatenate(sampler.epoch(spots, rng=seeds.generator(0, "e")))
    assert sorted(seen.tolist()) == list(range(15))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_ordered_gives_each_spot_once_and_always_the_same(sampler):
    spots = spots_of(5, 3, 7)
    seen = np.concatenate(sampler.ordered(spots))
    assert sorted(seen.tolist()) == list(range(15))
    np.testing.assert_array_equal(seen, np.concatenate(sampler.ordered(spots)))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_epoch_depends_on_the_generator_alone(sampler):
    spots = spots_of(5, 3, 7, 4, 2)

    def order(*names):
        return np.concatenate(sampler.epoch(spots, rng=seeds.generator(*names))).tolist()

    assert order(0, "batches", 1) == order(0, "batches", 1)
    assert order(0, "batches", 1) != order(0, "batches", 2)


def test_batches_of_whole_slides_never_cut_a_slide():
    spots = spots_of(5, 3, 7, 4)
    for batch in WholeSlides(slides=2).epoch(spots, rng=seeds.generator(0, "e")):
        members = spots.slide_index[batch]
        for slide in np.unique(members):
            place = np.flatnonzero(members == slide)
            assert len(place) == np.sum(spots.slide_index == slide)
            assert place[-1] - place[0] == len(place) - 1  # one slide after the other


def test_batch_size_counts_the_spots_of_all_processes():
    batches = ShuffledSpots(batch_size=4).epoch(spots_of(10), rng=seeds.generator(0, "e"), rank=1, world=2)
    assert [len(batch) for batch in batches] == [2, 2, 1]
