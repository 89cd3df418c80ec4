from __future__ import annotations

import pytest

from stainscript.downloads.server import Passing
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.retry import masked, passes, persist, retry_after


def waits(attempts: int, stream: int) -> list[float]:
    slept: list[float] = []

    def fail() -> None:
        raise Passing("down")

    with pytest.raises(DataContractError, match=f"down, {attempts} times in a row"):
        persist(fail, where="here", attempts=attempts, backoff_s=1.0, sleep=slept.append, stream=stream)
    return slept


def test_the_waits_double_and_threads_wait_differently() -> None:
    drawn = [waits(11, stream) for stream in range(100)]
    means = [sum(column) / len(column) for column in zip(*drawn, strict=True)]
    halves = [min(2.0**number, 120.0) / 2 for number in range(1, 11)]  # full jitter: uniform from 0
    assert means == pytest.approx(halves, rel=0.25)
    assert max(map(max, drawn)) <= 120
    assert len({wait for row in drawn for wait in row}) == 1000
    assert waits(4, 7) == waits(4, 7)


def test_an_answer_ends_the_asking() -> None:
    answers = iter([Passing("busy", 3.0), Passing("busy", 0.0), "text"])
    slept: list[float] = []

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Passing):
            raise answer
        return answer

    assert persist(ask, where="here", attempts=3, backoff_s=1.0, sleep=slept.append) == "text"
    assert slept == [3.0, 0.0]


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("86400", 600.0),
        ("Thu, 01 Jan 1970 00:00:12 GMT", 2.0),
        ("Thu, 01 Jan 1970 00:00:02 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("-3", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(asked: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": asked}, now=lambda: 10.0) == seconds
    assert retry_after({}) is None


def test_what_may_go_by_is_told_from_what_will_not() -> None:
    assert [status for status in (400, 401, 402, 403, 404, 408, 422, 429, 500, 503, 529) if passes(status)] == [
        408,
        429,
        500,
        503,
        529,
    ]


def test_a_secret_and_its_pieces_are_masked_and_a_placeholder_is_not() -> None:
    assert masked("key sk-abcdef123 ok", "sk-abcdef123") == "key *** ok"
    assert masked("piece abcdef1 ok", "sk-abcdef123") == "piece abcdef1 ok"
    assert masked("piece (abcdef1) ok", "sk-abcdef123", pieces=True) == "piece (***) ok"
    assert masked("EMPTY", "EMPTY", pieces=True) == "EMPTY"
    assert masked("text", None) == "text"
