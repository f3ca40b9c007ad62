"""What asking costs: an estimate before, a cap while, the sum after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from truing.errors import NotPossible
from truing.types import Chat

MILLION = 1_000_000
LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens."""

    tokens_in: float
    tokens_out: float

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / MILLION


@dataclass(frozen=True, slots=True)
class Estimate:
    """What asking ``chats`` chats once would take. ``tokens_in`` is near (four characters a token),
    ``tokens_out`` and ``usd`` are at most; ``usd`` is ``None`` where prices are not known."""

    chats: int
    tokens_in: int
    tokens_out: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used so far; requests that may or may not have been billed count in full."""

    requests: int
    tokens_in: int
    tokens_out: int
    usd: float | None


def estimate(chats: Sequence[Chat], max_tokens: int, prices: Prices | None) -> Estimate:
    """For chats that are each answered at the first attempt."""
    tokens_in = sum(_about(chat) for chat in chats)
    tokens_out = len(chats) * max_tokens
    usd = None if prices is None else prices.usd(tokens_in, tokens_out)
    return Estimate(len(chats), tokens_in, tokens_out, usd)


def most_tokens(chat: Chat) -> int:
    """More tokens than ``chat`` can have: no tokenizer in use makes more of a text than its bytes."""
    return 16 + sum(16 + len(message.content.encode()) for message in chat)


def _about(chat: Chat) -> int:
    return 3 + sum(4 + -(-len(message.content) // 4) for message in chat)


class Purse:
    """Counts what is spent, for all threads. With ``cap_usd`` nothing starts that could exceed it:
    each request sets aside the most it can cost, and what it did not use is given back. ``before``
    was spent earlier and counts."""

    def __init__(
        self, prices: Prices | None, cap_usd: float | None, before: Spent | None = None
    ) -> None:
        self._prices, self._cap = prices, cap_usd
        self._lock = threading.Lock()
        self._aside = 0.0
        usd = None if prices is None else (before.usd if before else None) or 0.0
        self._spent = Spent(0, 0, 0, usd) if before is None else replace(before, usd=usd)

    @property
    def spent(self) -> Spent:
        return self._spent

    def set_aside(self, tokens_in: int, tokens_out: int, rest: Callable[[float], None]) -> None:
        """Before a request. Where it would fit once others have settled it waits for them with
        ``rest(seconds)``, which may raise. Raises ``NotPossible`` where it does not fit."""
        need = self._usd(tokens_in, tokens_out)
        while True:
            with self._lock:
                used = self._spent.usd or 0.0
                if self._cap is None or used + self._aside + need <= self._cap:
                    self._aside += need
                    return
                if self._aside <= 0.0:
                    raise NotPossible(
                        f"the next request could cost {need:.4f} USD and exceed the budget: "
                        f"{used:.4f} of {self._cap:.4f} USD are spent",
                        "What was answered is kept. Give a larger budget to go on from there.",
                    )
            rest(LOOK_AGAIN_S)

    def settle(self, aside: tuple[int, int], used: tuple[int, int]) -> None:
        """After a request: ``(tokens in, tokens out)`` that were set aside and that were used."""
        with self._lock:
            left = self._aside - self._usd(*aside)
            self._aside = left if left > 1e-12 else 0.0
            spent = self._spent
            usd = None if spent.usd is None else spent.usd + self._usd(*used)
            self._spent = Spent(
                spent.requests + 1, spent.tokens_in + used[0], spent.tokens_out + used[1], usd
            )

    def _usd(self, tokens_in: int, tokens_out: int) -> float:
        return 0.0 if self._prices is None else self._prices.usd(tokens_in, tokens_out)
