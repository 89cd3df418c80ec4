"""Which job gets which GPU, tried with made-up devices and real processes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from stainscript import devices
from stainscript.errors import DataContractError

HOLDER = """
import sys
from stainscript.devices import hold
with hold(sys.argv[2].split(","), count=int(sys.argv[3]), folder=sys.argv[1]) as places:
    print(*places, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds devices until its standard input closes; gives it and what it got."""
    started = []

    def start(gpus="0,1", count=1):
        command = [sys.executable, "-c", HOLDER, str(tmp_path), gpus, str(count)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def cards(monkeypatch):
    """Pretends that a driver finds as many cards as ``CUDA_VISIBLE_DEVICES`` may ever name."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)


def got(process) -> list[int]:
    return [int(word) for word in process.stdout.readline().split()]


def held_now(tmp_path, gpus=("0", "1")) -> list[int]:
    """Devices that are taken, seen from here."""
    free = devices._try_hold(gpus, len(gpus), tmp_path)
    if free is not None:
        close(free)
        return []
    taken = []
    for place, gpu in enumerate(gpus):
        single = devices._try_hold([gpu], 1, tmp_path)
        if single is None:
            taken.append(place)
        else:
            close(single)
    return taken


def close(held) -> None:
    for handle in held.values():
        devices.os.close(handle)


def test_two_processes_get_different_devices(holder):
    first, second = holder(), holder()
    assert sorted(got(first) + got(second)) == [0, 1]


def test_a_third_process_waits_until_a_killed_one_lets_go(holder, tmp_path):
    first, second = holder(), holder()
    places = {tuple(got(first)): first, tuple(got(second)): second}
    third = holder()
    assert held_now(tmp_path) == [0, 1]
    places[(1,)].send_signal(signal.SIGKILL)
    assert got(third) == [1]


def test_lock_is_released_at_the_end_and_after_an_error(tmp_path):
    with devices.hold(["0", "1"], count=2, folder=tmp_path) as places:
        assert places == (0, 1)
        assert held_now(tmp_path) == [0, 1]
    assert held_now(tmp_path) == []
    with pytest.raises(RuntimeError), devices.hold(["0"], folder=tmp_path):
        raise RuntimeError
    assert held_now(tmp_path) == []


def test_wanting_two_holds_none_while_one_is_taken(tmp_path):
    """Two jobs that each held one of two devices and wanted the other would wait forever."""
    with devices.hold(["0", "1"], folder=tmp_path):
        assert devices._try_hold(["0", "1"], 2, tmp_path) is None
        assert held_now(tmp_path) == [0]


def test_visible_devices_are_those_that_the_scheduler_gave(monkeypatch, cards):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-1a2b")
    assert devices.visible_gpus() == ["2", "GPU-1a2b"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert devices.visible_gpus() == []


def test_a_variable_without_a_driver_gives_no_gpu(monkeypatch):
    """SLURM sets the variable for a counted resource, whether or not a card is behind it."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices.visible_gpus() == []


def test_places_count_visible_devices_and_locks_name_physical_ones(monkeypatch, cards, tmp_path):
    """One job sees GPUs 2 and 3, another 3 and 4: the second takes 4, which is its place 1, if 3 is held."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with devices.hold_gpus(accelerator="gpu", count=2, folder=tmp_path) as first:
        assert first == (0, 1)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
        with devices.hold_gpus(accelerator="auto", count=1, folder=tmp_path) as second:
            assert second == (1,)


def test_allocations_of_a_scheduler_do_not_block_each_other(monkeypatch, cards, tmp_path):
    """Where each job's GPUs are numbered from 0, the same number means another card."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    with devices.hold_gpus(accelerator="gpu", count=1, folder=tmp_path):
        assert devices._try_hold(["0"], 1, tmp_path) is None
        monkeypatch.setenv("SLURM_JOB_ID", "72")
        with devices.hold_gpus(accelerator="gpu", count=1, folder=tmp_path) as places:
            assert places == (0,)


def test_no_gpu_is_held_on_the_cpu_or_where_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with devices.hold_gpus(accelerator="cpu", count=1, folder=tmp_path) as places:
        assert places is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with devices.hold_gpus(accelerator="auto", count=1, folder=tmp_path) as places:
        assert places is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("visible", "count"), [("", 1), ("0", 2)])
def test_too_few_gpus_are_an_error_that_says_so(monkeypatch, cards, tmp_path, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with (
        pytest.raises(DataContractError, match=r"hardware\.devices"),
        devices.hold_gpus(accelerator="gpu", count=count, folder=tmp_path),
    ):
        pass
