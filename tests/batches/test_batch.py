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
