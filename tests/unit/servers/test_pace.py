"""Waits as servers write them."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.servers import pace

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("12", 12), ("0.5", 0.5),
     ("", None), ("soon", None), ("-3", None), ("3x", None), ("1s and more", None)],
)  # fmt: skip
def test_durations(text: str, seconds: float | None) -> None:
    assert pace.duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "whenever"}, None),
        ({}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}, 2),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "2s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m",
            },
            60,
        ),
        ({"retry-after": "3", "x-ratelimit-remaining-tokens": "0",
          "x-ratelimit-reset-tokens": "1m"}, 3),
    ],
)  # fmt: skip
def test_what_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert pace.asked_wait(headers, NOW) == seconds


@given(st.integers(0, 2000), st.floats(0.0, 100.0), st.integers(0, 99))
def test_own_waits_are_bounded_and_repeat_with_their_seed(
    attempt: int, first: float, seed: int
) -> None:
    attempt = min(attempt, 1000)
    wait = pace.own_wait(attempt, first, random.Random(seed))
    whole = min(first * 2.0**attempt, pace.LONGEST_OWN_WAIT_S)
    assert whole / 2 <= wait <= whole
    assert wait == pace.own_wait(attempt, first, random.Random(seed))


def test_nobody_waits_once_it_is_halted() -> None:
    turns = pace.Pace()
    turns.turn()
    turns.hold(3600)
    turns.halt()
    for wait in (turns.turn, lambda: turns.sleep(3600), lambda: turns.sleep(0)):
        with pytest.raises(pace.Halted):
            wait()
