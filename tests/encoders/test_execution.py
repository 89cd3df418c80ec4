"""Batches through a network: order, laziness, threads, and on a GPU the overlap."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from stainscript import encoders
from stainscript.encoders import execution
from stainscript.encoders.execution import Execution
from stainscript.seeds import generator

CPU = {"accelerator": "cpu", "threads": 1}
KIND = "timm:test_vit"


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return generator(0, "execution").integers(0, 256, (7, 40, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder():
    return encoders.load(KIND, batch_size=3, hardware=CPU)


def test_batches_come_back_in_order_whatever_their_sizes(encoder, images):
    together = encoder.encode(images)
    parts = list(encoder.encode_batches([images[:1], images[1:6], images[6:]]))
    assert [len(part) for part in parts] == [1, 5, 1]
    np.testing.assert_allclose(np.concatenate(parts), together, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_equal_batches_give_equal_bytes(encoder, images):
    first, again = (b"".join(f.tobytes() for f in encoder.encode_batches([images[:4], images[4:]])) for _ in range(2))
    assert first == again
    cut = np.concatenate(list(encoder.encode_batches([images[:3], images[3:6], images[6:]])))
    assert cut.tobytes() == encoder.encode(images).tobytes()  # encode cuts by batch_size, here 3


def test_a_batch_is_asked_for_when_its_turn_comes(encoder, images):
    taken = []

    def batches():
        for n in range(3):
            taken.append(n)
            yield images[n : n + 1]

    results = encoder.encode_batches(batches())
    assert taken == []
    next(results)
    assert taken == [0]
    next(results)
    assert taken == [0, 1]


def test_between_batches_the_callers_modes_and_threads_are_its_own(images):
    other = torch.get_num_threads() + 1
    encoder = encoders.load(KIND, hardware={"accelerator": "cpu", "threads": other})
    before = torch.get_num_threads()
    for _ in encoder.encode_batches([images[:1], images[1:2]]):
        assert torch.get_num_threads() == before
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_memory_that_is_read_only_or_out_of_order_is_read_and_not_written(encoder, images):
    fixed = images.copy()
    fixed.flags.writeable = False
    turned = np.asfortranarray(images)
    expected = encoder.encode(images)
    assert encoder.encode(fixed).tobytes() == encoder.encode(turned).tobytes() == expected.tobytes()


def test_a_blank_cell_is_the_encoded_zero_and_neither_zeros_nor_a_black_patch(encoder):
    import timm

    blank = encoder.blank()
    model = timm.create_model("test_vit", num_classes=0).eval()
    model.load_state_dict(_weights_of(encoder))
    with torch.inference_mode():
        expected = model(torch.zeros(1, 3, 160, 160))[0].numpy()
    assert blank.shape == (encoder.width,)
    np.testing.assert_allclose(blank, expected, atol=1e-5)
    black = encoder.encode(np.zeros((1, 40, 40, 3), dtype=np.uint8))[0]
    assert np.abs(blank).max() > 1e-3
    assert np.abs(blank - black).max() > 1e-4


def _weights_of(encoder) -> dict[str, torch.Tensor]:
    """The same seed gives the same weights, so they are read from a second network."""
    from stainscript.encoders.network import build_random
    from stainscript.encoders.timm import _create

    return build_random("test_vit", 0, lambda: _create("test_vit", {})).state_dict()


def test_compiling_wraps_the_forward_pass_and_keeps_its_values(monkeypatch, images):
    compiled = []

    def compile_eagerly(forward):
        compiled.append(forward)
        return lambda planes: forward(planes)

    monkeypatch.setattr(torch, "compile", compile_eagerly)
    plain = encoders.load(KIND, hardware=CPU).encode(images)
    assert compiled == []
    assert encoders.load(KIND, hardware=CPU, compile=True).encode(images).tobytes() == plain.tobytes()
    assert len(compiled) == 1


def test_convolutional_networks_lie_channels_last_and_transformers_do_not():
    cpu = Execution.on(torch.device("cpu"), threads=1, precision="float32", compile=False)
    convolutions = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3))
    cpu.prepare(convolutions)
    assert convolutions[1].weight.is_contiguous(memory_format=torch.channels_last)
    patches = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Flatten(2))
    cpu.prepare(patches)
    assert patches[0].weight.is_contiguous()
    assert not patches[0].weight.requires_grad


class Recorded:
    """Streams and events of a GPU that is not there: they note what is asked of them."""

    def __init__(self, monkeypatch, log: list[str]) -> None:
        class Event:
            def record(self, stream) -> None:
                self.name = f"{stream} {sum(entry.startswith(f'record {stream}') for entry in log)}"
                log.append(f"record {self.name}")

            def synchronize(self) -> None:
                log.append(f"await {self.name}")

        class Computing:
            def __str__(self) -> str:
                return "compute"

            def wait_event(self, event) -> None:
                log.append(f"queue after {event.name}")

        monkeypatch.setattr(torch.cuda, "Stream", lambda _: "copy")
        monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Computing())
        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(execution, "_pinned", lambda shape, dtype: torch.empty(shape, dtype=dtype))


def test_the_overlapped_path_queues_a_batch_before_it_awaits_the_one_before(monkeypatch):
    """The order of calls, on a recorded GPU; the real one is below."""
    log: list[str] = []
    Recorded(monkeypatch, log)
    cpu = Execution.on(torch.device("cpu"), threads=1, precision="float32", compile=False)
    batches = [np.full((n, 2), 10 * n, dtype=np.uint8) for n in (1, 3, 2, 3)]
    results = list(cpu._overlapped(batches, lambda images: images.float() + 0.5))
    for batch, result in zip(batches, results, strict=True):
        np.testing.assert_array_equal(result, batch + 0.5)
    assert log == [
        *("record copy 0", "queue after copy 0", "record compute 0"),
        *("record copy 1", "queue after copy 1", "record compute 1", "await compute 0"),
        *("await copy 0", "record copy 2", "queue after copy 2", "record compute 2", "await compute 1"),
        *("await copy 1", "record copy 3", "queue after copy 3", "record compute 3", "await compute 2"),
        "await compute 3",
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_gives_each_batch_its_own_features(precision, images):
    many = [images[[n % 7] * (1 + n % 5)] for n in range(40)]
    gpu = encoders.load(KIND, precision=precision, hardware={"accelerator": "gpu"})
    expected = encoders.load(KIND, hardware=CPU).encode(images)
    tolerance = {"float32": 1e-3, "bfloat16": 0.1}[precision] * np.abs(expected).max()
    for n, features in enumerate(gpu.encode_batches(iter(many))):
        np.testing.assert_allclose(features, expected[[n % 7] * (1 + n % 5)], atol=tolerance)
    assert b"".join(f.tobytes() for f in gpu.encode_batches(many)) == b"".join(
        f.tobytes() for f in gpu.encode_batches(many)
    )
