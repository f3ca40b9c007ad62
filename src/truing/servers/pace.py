"""When the next request may go: what servers ask for, and waiting twice as long each time.

Headers as OpenAI documents them (platform.openai.com/docs/guides/rate-limits) and RFC 9110, 10.2.3.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_OWN_WAIT_S = 60.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def duration(text: str) -> float | None:
    """Seconds of ``6m0s``, ``20ms``, ``1h2m3.5s`` or a bare number of seconds, else ``None``."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(f"({_PART.pattern})+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer asks to wait: ``Retry-After`` (seconds or a date), else until the
    limits that are used up are full again. ``None``: it does not ask."""
    after = headers.get("retry-after", "").strip()
    if (seconds := duration(after)) is not None:
        return seconds
    try:
        then = parsedate_to_datetime(after)
    except ValueError:
        return limit_wait(headers)
    then = then.replace(tzinfo=UTC) if then.tzinfo is None else then
    return max(0.0, (then - now).total_seconds())


def limit_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until the limits of ``x-ratelimit-remaining-*`` that stand at 0 are full again."""
    waits = [
        duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def own_wait(attempt: int, first_s: float, draw: random.Random) -> float:
    """Seconds after failure number ``attempt`` (from 0): ``first_s`` doubled each time, at most a
    minute, of which a random part between a half and the whole is waited (jitter)."""
    return min(first_s * 2.0**attempt, LONGEST_OWN_WAIT_S) * draw.uniform(0.5, 1.0)


class Halted(Exception):
    """Waiting ended because no further request is wanted."""


class Pace:
    """One for all threads that ask the same server: a wait that it asks for holds all of them."""

    def __init__(self) -> None:
        self._halt = threading.Event()
        self._lock = threading.Lock()
        self._open_at = 0.0

    def halt(self) -> None:
        """Nobody waits any longer, and nobody sends again."""
        self._halt.set()

    def hold(self, seconds: float) -> None:
        """Nobody sends for so long."""
        with self._lock:
            self._open_at = max(self._open_at, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait. Raises :class:`Halted`."""
        if self._halt.wait(seconds):
            raise Halted

    def turn(self) -> None:
        """Wait until a request may go. Raises :class:`Halted`."""
        while True:
            with self._lock:
                left = self._open_at - time.monotonic()
            self.sleep(max(left, 0.0))
            if left <= 0:
                return
