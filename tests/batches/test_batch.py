from dataclasses import replace

import numpy as np
import pytest
import torch

from stainscript.batches.batch import SpotBatch, join


def coded(slide: str, spots: int, *, start: int = 0, target: bool = True) -> SpotBatch:
    """Every field of spot n holds n, so that a field that loses its place is seen."""
    n = np.arange(start, start + spots)
    return SpotBatch(
        slides=(slide,),
        patients=(f"p-{slide}",),
        slide_index=np.zeros(spots, dtype=np.int64),
        spot_id=np.asarray([f"{slide}{i}" for i in n], dtype=object),
        features={"patch": np.tile(n[:, None], (1, 3)).astype(np.float32)},
        xy_um=np.tile(n[:, None], (1, 2)).astype(np.float32),
        grid=np.tile(n[:, None], (1, 2)),
        extent_um=np.ones((spots, 2), dtype=np.float32),
        target=np.tile(n[:, None], (1, 4)).astype(np.float32) if target else None,
    )


def numbers(batch: SpotBatch) -> list[list[int]]:
    fields = (batch.features["patch"], batch.xy_um, batch.grid, batch.target)
    return [np.asarray(values)[..., 0].tolist() for values in fields]


@pytest.mark.parametrize(
    ("on_device", "index"), [(False, np.asarray), (True, np.asarray), (True, torch.as_tensor)], ids=str
)
def test_take_keeps_all_fields_in_step(on_device, index):
    batch = coded("a", 5).to("cpu") if on_device else coded("a", 5)
    taken = batch.take(index([3, 0, 3]))
    assert numbers(taken) == [[3, 0, 3]] * 4
    assert taken.spot_id.tolist() == ["a3", "a0", "a3"]
    assert taken.answers is None


def test_index_of_neighbours_gives_every_field_a_neighbour_axis():
    taken = coded("a", 5).take(np.array([[0, 1], [4, 3]]))
    assert taken.features["patch"].shape == (2, 2, 3)
    assert numbers(taken) == [[[0, 1], [4, 3]]] * 4
    assert len(taken) == 2


def test_join_keeps_order_and_counts_slides_once():
    joined = join([coded("a", 2), coded("b", 2, start=7), coded("a", 1, start=2)])
    assert joined.slides == ("a", "b")
    assert joined.patients == ("p-a", "p-b")
    assert joined.slide_index.tolist() == [0, 0, 1, 1, 0]
    assert joined.spot_id.tolist() == ["a0", "a1", "b7", "b8", "a2"]
    assert numbers(joined) == [[0, 1, 7, 8, 2]] * 4


def test_join_refuses_batches_that_hold_different_things():
    with pytest.raises(ValueError, match="some of the batches to join have target"):
        join([coded("a", 2), coded("b", 2, target=False)])


def test_to_keeps_ids_on_the_host():
    moved = coded("a", 3).to("cpu")
    assert isinstance(moved.features["patch"], torch.Tensor)
    assert isinstance(moved.spot_id, np.ndarray)
    assert [index.tolist() for index in moved.spots_of_slides] == [[0, 1, 2]]


def with_grid(slide: str, spots: int, *, start: int = 0) -> SpotBatch:
    """Spots with 3 neighbours of 2 features each: spot n, neighbour k, feature d hold 100 n + 10 k + d. Neighbour k of
    spot n counts unless k is the rest of n by 3."""
    n, k, d = np.arange(start, start + spots), np.arange(3), np.arange(2)
    values = 100 * n[:, None, None] + 10 * k[None, :, None] + d
    plain = coded(slide, spots, start=start)
    return replace(
        plain,
        features=plain.features | {"region": values.astype(np.float32)},
        masks={"region": k != n[:, None] % 3},
    )


def test_take_keeps_neighbours_and_mask_with_their_spot():
    taken = with_grid("a", 5).take(np.array([4, 0]))
    assert taken.features["region"][:, :, 1].tolist() == [[401, 411, 421], [1, 11, 21]]
    assert taken.masks["region"].tolist() == [[True, False, True], [False, True, True]]
    assert "patch" not in taken.masks


def test_an_index_of_several_spots_puts_their_axis_before_the_neighbours():
    taken = with_grid("a", 5).take(np.array([[2, 1], [0, 0]]))
    assert (taken.features["region"].shape, taken.masks["region"].shape) == ((2, 2, 3, 2), (2, 2, 3))
    assert taken.masks["region"][0].tolist() == [[True, True, False], [True, False, True]]


def test_a_mask_stays_boolean_on_a_device_and_is_taken_there():
    moved = with_grid("a", 4).to("cpu")
    assert moved.masks["region"].dtype == torch.bool
    taken = moved.take(torch.tensor([3, 1]))
    assert taken.masks["region"].tolist() == [[False, True, True], [True, False, True]]
    assert taken.features["region"][:, 2, 0].tolist() == [320, 120]


def test_join_stacks_masks_in_the_order_of_the_batches():
    joined = join([with_grid("a", 1, start=2), with_grid("b", 2)])
    assert joined.masks["region"].tolist() == [[True, True, False], [False, True, True], [True, False, True]]
    assert joined.features["region"][:, 0, 0].tolist() == [200, 0, 100]


def test_join_refuses_a_mask_that_only_some_batches_have():
    bare = replace(with_grid("b", 2), masks={})
    with pytest.raises(ValueError, match=r"batches of different views: \['region'\] and \[\] \(masks\)"):
        join([with_grid("a", 2), bare])


def partly(slide: str, spots: int, *genes: bool, start: int = 0) -> SpotBatch:
    return replace(coded(slide, spots, start=start), measured=np.array([genes]))


def test_the_target_mask_of_a_spot_is_what_its_slide_measures():
    batch = join([partly("a", 2, True, True, False, True), partly("b", 1, False, True, True, True)])
    assert batch.target_mask.tolist() == [[True, True, False, True]] * 2 + [[False, True, True, True]]
    assert coded("a", 2).target_mask is None


@pytest.mark.parametrize("on_device", [False, True])
def test_taken_spots_keep_the_mask_of_their_slide(on_device):
    batch = join([partly("a", 2, True, True, False, True), partly("b", 2, False, True, True, True)])
    taken = (batch.to("cpu") if on_device else batch).take(np.array([3, 0, 2]))
    assert taken.target_mask[:, 0].tolist() == [False, True, False]
    neighbours = batch.take(np.array([[0, 3]]))
    assert neighbours.target_mask.shape == neighbours.target.shape == (1, 2, 4)
    assert neighbours.target_mask[0, :, 2].tolist() == [False, True]


def test_the_mask_stays_boolean_on_a_device():
    moved = partly("a", 2, True, True, False, True).to("cpu")
    assert (moved.measured.dtype, moved.target_mask.dtype) == (torch.bool, torch.bool)


def test_join_takes_a_batch_without_a_mask_to_measure_everything():
    joined = join([coded("a", 1), partly("b", 1, False, True, True, True), partly("c", 1, True, False, True, True)])
    assert joined.measured.tolist() == [[True] * 4, [False, True, True, True], [True, False, True, True]]
    assert join([coded("a", 1), coded("b", 1)]).measured is None


def test_join_counts_the_mask_of_a_slide_once():
    one, other = partly("a", 1, True, False, True, True), partly("b", 1, True, True, True, False)
    joined = join([join([one, other]), partly("b", 1, True, True, True, False, start=5)])
    assert joined.slides == ("a", "b")
    assert joined.measured.tolist() == [[True, False, True, True], [True, True, True, False]]
    assert joined.target_mask[:, 3].tolist() == [True, False, False]


@pytest.mark.parametrize("again", [coded("a", 1), partly("a", 1, True, True, True, False)])
def test_join_refuses_a_slide_that_measures_other_genes_the_second_time(again):
    with pytest.raises(ValueError, match="disagree on the genes that slide a measures"):
        join([partly("a", 1, True, False, True, True), again])
