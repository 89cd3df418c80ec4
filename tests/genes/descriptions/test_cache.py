from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import threading
from pathlib import Path

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.descriptions.cache import Cache


def key(gene: str, model: str = "gpt-4o") -> dict[str, str]:
    return {"gene": gene, "model": model}


def kept(path: Path, *genes: str, model: str = "gpt-4o") -> dict[str, str]:
    return {name: row["raw"] for name, row in Cache(path).find({gene: key(gene, model) for gene in genes}).items()}


def test_a_row_is_found_by_its_whole_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    Cache(path).add(key("A"), {"raw": "é\n\u2028"})
    assert kept(path, "A", "B") == {"A": "é\n\u2028"}
    assert kept(path, "A", model="llama") == {}
    assert Cache(path).find({}) == {}


def test_the_last_row_of_a_key_holds(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "answers.jsonl")
    cache.add(key("A"), {"raw": "1"})
    cache.add(key("A"), {"raw": "2"})
    assert kept(cache.path, "A") == {"A": "2"}


def test_one_cache_sees_what_another_has_added_since(tmp_path: Path) -> None:
    one, two = Cache(tmp_path / "answers.jsonl"), Cache(tmp_path / "answers.jsonl")
    assert one.find({"A": key("A")}) == {}
    two.add(key("A"), {"raw": "1"})
    assert one.find({"A": key("A")})["A"]["raw"] == "1"
    two.add(key("B"), {"raw": "2"})
    assert set(one.find({"A": key("A"), "B": key("B")})) == {"A", "B"}


@pytest.mark.parametrize("torn", [b'{"gene": "B", "mod', b"{", b'{"gene": "B"', "é".encode()[:1], b'"x"'])
def test_a_torn_last_line_is_passed_over_and_then_cut_off(
    tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path / "answers.jsonl")
    cache.add(key("A"), {"raw": "1"})
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole + torn)
    assert kept(cache.path, "A") == {"A": "1"}
    with caplog.at_level(logging.WARNING):
        Cache(cache.path).add(key("C"), {"raw": "3"})
    assert f"{len(torn)} bytes removed" in caplog.text
    assert cache.path.read_bytes().startswith(whole + b'{"gene": "C"')
    assert kept(cache.path, "A", "C") == {"A": "1", "C": "3"}


def test_a_last_line_that_lacks_its_end_alone_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "answers.jsonl")
    cache.add(key("A"), {"raw": "1"})
    cache.path.write_bytes(cache.path.read_bytes().rstrip(b"\n"))
    reader = Cache(cache.path)
    assert reader.find({"A": key("A")})["A"]["raw"] == "1"
    cache.add(key("B"), {"raw": "2"})
    assert set(reader.find({"A": key("A"), "B": key("B")})) == {"A", "B"}
    assert kept(cache.path, "A", "B") == {"A": "1", "B": "2"}


def test_a_tear_longer_than_a_block_is_cut_off_too(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "answers.jsonl")
    cache.add(key("A"), {"raw": "1"})
    cache.path.write_bytes(cache.path.read_bytes() + b'{"x": "' + b"y" * 200_000)
    cache.add(key("B"), {"raw": "2"})
    assert kept(cache.path, "A", "B") == {"A": "1", "B": "2"}
    assert len(cache.path.read_bytes()) < 200


@pytest.mark.parametrize("line", ["{broken", "[1]", '{"gene": 1}'])
def test_a_broken_line_inside_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(f"{json.dumps(key('A'))}\n{line}\n{json.dumps(key('B'))}\n")
    with pytest.raises(DataContractError) as caught:
        kept(path, "A")
    assert f"{path}: line 2: expected a JSON object of texts" in str(caught.value)


def fill(path: str, name: str) -> None:
    cache = Cache(path)
    for number in range(60):
        cache.add(key(f"{name}{number}"), {"raw": name * 3000})


def test_two_processes_and_their_threads_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=fill, args=(str(path), name)) for name in "ab"]
    for process in processes:
        process.start()
    threads = [threading.Thread(target=fill, args=(str(path), name)) for name in "cd"]
    for thread in threads:
        thread.start()
    for one in (*processes, *threads):
        one.join()
    assert [process.exitcode for process in processes] == [0, 0]
    genes = [f"{name}{number}" for name in "abcd" for number in range(60)]
    assert kept(path, *genes) == {gene: gene[0] * 3000 for gene in genes}
    assert len(path.read_bytes().splitlines()) == 240


def test_two_runs_of_one_series_take_turns_and_two_series_do_not(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    entered, order = threading.Event(), []

    def second() -> None:
        entered.set()
        with Cache(path).turn({"model": "a"}):
            order.append("second")

    with Cache(path).turn({"model": "a"}):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait(10)
        with Cache(path).turn({"model": "b"}):  # another series: no waiting
            order.append("other")
        thread.join(0.05)
        order.append("first")
    thread.join(10)
    assert order == ["other", "first", "second"]


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    cache = Cache(tmp_path / "answers.jsonl")
    cache.add(key("A"), {"raw": "1"})
    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(DataContractError, match="lock: expected a file system with file locks"):
        cache.find({"A": key("A")})
    with pytest.raises(DataContractError, match="keep the cache on another disk"), cache.turn({}):
        pass
