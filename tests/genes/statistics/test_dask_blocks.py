import socket
import threading
import time

import pytest
from distributed import LocalCluster

from stainscript.errors import DataContractError
from stainscript.genes.statistics import dask_blocks
from stainscript.genes.statistics.dask_blocks import Computing, computing, merged_by_slide


def rows_read(path, rows, *extra):
    """A leaf whose sum shows which rows of which slide it was given, in which order."""
    return [(path, row, *extra) for row in range(rows.start, rows.stop)]


def merged(slides, *, block_spots, compute=None, arguments=lambda number: ()):
    compute = compute or Computing(get="synchronous", cores=1)
    return list(merged_by_slide(rows_read, slides, arguments=arguments, block_spots=block_spots, compute=compute))


@pytest.mark.parametrize("block_spots", [1, 2, 3, 100])
def test_every_spot_is_read_once_and_in_order(block_spots):
    found = merged([("a", 5), ("b", 1), ("c", 4)], block_spots=block_spots)
    assert found == [[(name, row) for row in range(spots)] for name, spots in (("a", 5), ("b", 1), ("c", 4))]


def test_a_slide_without_spots_has_its_turn():
    assert merged([("a", 0), ("b", 1), ("c", 0)], block_spots=2) == [[], [("b", 0)], []]


def test_each_slide_is_given_its_own_arguments():
    found = merged([("a", 1), ("b", 2)], block_spots=1, arguments=lambda number: (f"of {number}",))
    assert found == [[("a", 0, "of 0")], [("b", 0, "of 1"), ("b", 1, "of 1")]]


def test_no_graph_grows_with_the_number_of_blocks():
    sizes = []

    class Counting(Computing):
        def __call__(self, parts):
            sizes.append(sum(len(part.__dask_graph__()) for part in parts))
            return super().__call__(parts)

    found = merged([("a", 1000)], block_spots=1, compute=Counting(get="synchronous", cores=1))
    assert [row for _, row in found[0]] == list(range(1000))
    assert len(sizes) == 1000 / dask_blocks.BLOCKS_A_CORE
    assert max(sizes) <= 3 * dask_blocks.BLOCKS_A_CORE


def test_a_block_of_no_spots_is_refused():
    with pytest.raises(DataContractError, match=r"statistics.block_spots: expected 1 or more; found 0"):
        merged([("a", 5)], block_spots=0)


@pytest.mark.parametrize("scheduler", [None, "threads", "synchronous"])
def test_without_an_address_the_work_is_done_here(scheduler):
    with computing(scheduler) as compute:
        assert merged([("a", 3)], block_spots=1, compute=compute) == [[("a", 0), ("a", 1), ("a", 2)]]


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_threads_work_than_the_job_was_given(threads):
    """Each of 12 blocks waits for as many others as there may be threads, and says who worked on it."""
    meeting = threading.Barrier(threads)

    def leaf(path, rows):
        meeting.wait(timeout=5)
        return {threading.get_ident()}

    with computing(None, threads=threads) as compute:
        slides = [(number, 1) for number in range(12)]
        found = list(merged_by_slide(leaf, slides, arguments=lambda number: (), block_spots=1, compute=compute))
    assert len(set().union(*found)) == threads


def test_an_address_is_a_cluster_that_does_the_work():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
        ) as cluster,
        computing(cluster.scheduler_address) as compute,
    ):
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        assert compute.cores == 2
        found = merged([("a", 30), ("b", 2)], block_spots=1, compute=compute)
        assert found == [[("a", row) for row in range(30)], [("b", 0), ("b", 1)]]
        tasks = [event for event in cluster.scheduler.transition_log if event[2] == "memory"]
        assert len(tasks) >= 32


def test_a_cluster_that_goes_away_is_one_clear_error():
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    )

    def close(number):
        cluster.close()
        return ()

    lost = pytest.raises(DataContractError, match=r"hardware.dask: .*, lost while it worked")
    with cluster, lost, computing(cluster.scheduler_address) as compute:
        merged([("a", 3)], block_spots=1, compute=compute, arguments=close)


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return port


def refusal(address):
    started = time.monotonic()
    with pytest.raises(DataContractError) as caught, computing(address):
        pass
    assert time.monotonic() - started < 10
    assert str(caught.value).startswith("config.yaml: hardware.dask: expected the address of a running dask scheduler")
    assert repr(address) in str(caught.value)
    return str(caught.value)


def test_an_address_where_nobody_listens_is_refused_at_once(free_port):
    assert "nobody answers there" in refusal(f"tcp://127.0.0.1:{free_port}")


@pytest.mark.parametrize("address", ["node17", "tcp://node17", "http2://node17:8786"])
def test_what_is_no_address_is_refused(address):
    refusal(address)


def test_a_server_that_keeps_silent_is_no_scheduler(monkeypatch):
    """A client by itself would wait for it without end."""
    monkeypatch.setattr(dask_blocks, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "does not speak dask" in refusal(f"tcp://127.0.0.1:{server.getsockname()[1]}")


def test_a_worker_is_no_scheduler():
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        assert "a Worker there" in refusal(cluster.workers[0].address)


def test_a_scheduler_without_workers_is_refused(monkeypatch):
    monkeypatch.setattr(dask_blocks, "CONNECT_SECONDS", 1)
    with LocalCluster(
        n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        assert "a scheduler without a worker" in refusal(cluster.scheduler_address)
