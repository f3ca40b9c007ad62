"""The server that is asked: how, and with which key.

The key is read from the environment when a request is made, and cut out of what comes back.
"""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from truing.errors import BadInput, NotPossible
from truing.servers.spending import Prices

NO_KEY = "none"
SHORTEST_KEY = 12


@dataclass(frozen=True, slots=True)
class OpenAISettings:
    """How a server is asked.

    ``key_variable`` names the environment variable that holds the key; ``None`` sends none, and a
    server on this machine needs none. ``timeout_s`` bounds each wait for the server. A request is
    sent ``attempts`` times at most, ``first_wait_s`` apart, then twice that, and so on; a server
    that asks for more than ``longest_wait_s`` ends the run. ``max_tokens`` bounds a reply.
    ``temperature`` and ``seed`` are not sent where they are ``None``; ``seed`` also draws the
    jitter. Those that are ``dispensable`` are left out for a server that refuses them, and replies
    say so. Prices are US dollars per million tokens; ``budget_usd`` needs both.
    """

    base_url: str = "https://api.openai.com/v1"
    key_variable: str | None = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout_s: float = 60.0
    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0
    max_tokens: int = 256
    temperature: float | None = 0.0
    seed: int | None = 0
    budget_usd: float | None = None
    usd_per_million_in: float | None = None
    usd_per_million_out: float | None = None
    dispensable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(
                f"base_url {self.base_url!r} is no http(s) address",
                "For example http://127.0.0.1:8000/v1.",
            )
        if parts.username or parts.password or parts.query:
            raise BadInput(
                "base_url holds a user, a password or a query, which would be written into results",
                "Put the key into an environment variable and name it with key_variable.",
            )
        for name in ("concurrency", "timeout_s", "attempts", "max_tokens"):
            if getattr(self, name) <= 0:
                raise BadInput(f"{name} is {getattr(self, name)}", "It must be above 0.")
        for name in ("budget_usd", "usd_per_million_in", "usd_per_million_out", "first_wait_s"):
            if (getattr(self, name) or 0) < 0:
                raise BadInput(f"{name} is {getattr(self, name)}", "It must be 0 or more.")
        if self.budget_usd is not None and self.prices is None:
            raise BadInput(
                "a budget needs the prices of tokens",
                "Give usd_per_million_in and usd_per_million_out (0 where it is free).",
            )

    @property
    def prices(self) -> Prices | None:
        if self.usd_per_million_in is None or self.usd_per_million_out is None:
            return None
        return Prices(self.usd_per_million_in, self.usd_per_million_out)


def key_for(settings: OpenAISettings) -> str:
    """The key, from the environment. Raises ``NotPossible`` where it is missing or cannot be sent."""
    name, parts = settings.key_variable, urlsplit(settings.base_url)
    found = (os.environ.get(name, "") if name else "").strip()
    here = _is_this_machine(parts.hostname or "")
    if not found:
        if name is None or here or parts.scheme == "http":
            return NO_KEY
        raise NotPossible(
            f"there is no key for {parts.netloc}: the environment variable {name} is not set",
            f"Set it (export {name}=...), or name another one with key_variable.",
        )
    if not found.isascii() or not found.isprintable():
        raise NotPossible(
            f"the key in {name} holds characters that cannot be sent", "Copy the key again."
        )
    if parts.scheme == "http" and not here:
        raise NotPossible(
            f"the key in {name} would travel to {parts.netloc} unencrypted",
            "Use https, or let key_variable name a variable that is not set: then no key is sent.",
        )
    return found


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def without(key: str, text: str) -> str:
    """``text`` with the key cut out, also where it is written as JSON. Shorter ones than
    :data:`SHORTEST_KEY` are placeholders ("EMPTY"), which may be words of a reply."""
    if len(key) >= SHORTEST_KEY:
        escaped = json.dumps(key)[1:-1]
        for written in (key, escaped, escaped.replace("/", "\\/")):
            text = text.replace(written, "[key]")
    return text
