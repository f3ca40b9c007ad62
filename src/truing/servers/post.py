"""One POST of JSON with a bearer key. The only place where chats meet the network.

The standard library does: what is asked for is one kind of request, and waiting, asking again and
reading are ours (:mod:`truing.servers.pace`, :mod:`truing.servers.completions`). Redirects are not
followed, so that a key goes to the server that it is meant for and to no other.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

MOST_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, whatever its status. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    text: str


class NoAnswer(Exception):
    """Nothing whole came back. ``gone``: no connection, or it broke; else the time was over, and
    the server may have done the work."""

    def __init__(self, why: str, *, gone: bool) -> None:
        self.why, self.gone = why, gone
        super().__init__(why)


def post(url: str, body: bytes, key: str, timeout_s: float) -> Answered:
    """Send ``body``. Raises :class:`NoAnswer`. ``timeout_s`` bounds each wait for the server."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": "truing",
        "Authorization": f"Bearer {key}",
    }
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            return _answered(response.status, response)
    except urllib.error.HTTPError as error:
        with error:
            return _answered(error.code, error)
    except TimeoutError:
        raise _late(timeout_s) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _late(timeout_s) from None
        reason = getattr(error.reason, "strerror", None) or str(error.reason)
        raise NoAnswer(reason, gone=True) from None
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(error) or type(error).__name__, gone=True) from None


def _answered(status: int, response: Any) -> Answered:
    try:
        raw = response.read(MOST_BYTES)
    except TimeoutError:
        raise NoAnswer("its answer stopped in the middle", gone=False) from None
    except (OSError, http.client.HTTPException):
        raise NoAnswer("the connection broke in the middle of an answer", gone=True) from None
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answered(status, headers, raw.decode("utf-8", "replace"))


def _late(timeout_s: float) -> NoAnswer:
    return NoAnswer(f"no answer within {timeout_s:g} s", gone=False)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
