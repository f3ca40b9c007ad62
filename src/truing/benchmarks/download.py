"""Fetch one file over HTTPS: resumable, checked, and never in place of a file that is already there."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from truing.errors import CannotLoad

CHUNK = 1 << 20
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file before it is fetched; ``None`` where it is not known."""

    sha256: str | None = None
    bytes: int | None = None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def fetch(
    url: str,
    target: Path,
    expected: Expected = Expected(),
    *,
    progress: Progress | None = None,
    attempts: int = 4,
    timeout: float = 30.0,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Bring ``url`` to ``target`` and give back its SHA-256.

    Bytes go to ``target.part``, which a later call continues where the server can, and are renamed once
    they are whole and match. A file that is already at ``target`` is kept: it is the answer when it
    matches (or nothing is known of it), and an error when it does not. Attempts without progress are
    repeated after 1, 2, 4, ... seconds (or what the server asks for, up to a minute).

    Raises ``CannotLoad`` when there is no network, the server has no such file or refuses, the
    checksum differs (the bytes are kept beside as ``target.rejected``) or the folder cannot be written.
    """
    if target.exists():
        found = sha256_of(target)
        if expected.sha256 not in (None, found):
            raise CannotLoad(
                f"{target} is there already, with other content than {url}",
                "It was kept. Move it away, or give another folder.",
            )
        return found
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _transfer(url, part, target.name, expected, progress, attempts, timeout, wait)
        found = sha256_of(part)
        if expected.sha256 not in (None, found):
            rejected = target.with_name(target.name + ".rejected")
            os.replace(part, rejected)
            raise CannotLoad(
                f"{url} has the SHA-256 {found[:12]}..., expected {str(expected.sha256)[:12]}...",
                f"The bytes are in {rejected}; upstream has changed, or something stands in between.",
            )
        os.replace(part, target)
        _ledger(part).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotLoad(
            f"{target} cannot be written: {reason}", "Give a folder that can."
        ) from None
    return found


def copy(source: Path, target: Path, expected: Expected = Expected()) -> str:
    """As :func:`fetch`, from a file on this machine."""
    if not source.is_file():
        raise CannotLoad(f"{source} does not exist", "The mirror has no such file.")
    if target.exists():
        return fetch(str(source), target, expected)
    found = sha256_of(source)
    if expected.sha256 not in (None, found):
        raise CannotLoad(
            f"{source} has the SHA-256 {found[:12]}..., expected {str(expected.sha256)[:12]}...",
            "The mirror holds another version.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotLoad(
            f"{target} cannot be written: {reason}", "Give a folder that can."
        ) from None
    return found


class _Again(Exception):
    """The transfer broke off; ``seconds`` is what the server asked to wait."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        self.reason, self.seconds = reason, seconds
        super().__init__(reason)


def _transfer(
    url: str,
    part: Path,
    name: str,
    expected: Expected,
    progress: Progress | None,
    attempts: int,
    timeout: float,
    wait: Callable[[float], None],
) -> None:
    failed = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _once(url, part, name, expected, progress, timeout)
            return
        except _Again as broke:
            grown = part.exists() and part.stat().st_size > before
            failed = 1 if grown else failed + 1
            if failed >= attempts:
                raise CannotLoad(
                    f"{url} did not arrive: {broke.reason} ({attempts} attempts)",
                    "Run it again later: it goes on where it stopped. Or pass a copy with --data PATH.",
                ) from None
            asked = broke.seconds if broke.seconds is not None else float(2 ** (failed - 1))
            wait(min(asked, 60.0))


def _once(
    url: str, part: Path, name: str, expected: Expected, progress: Progress | None, timeout: float
) -> None:
    start, headers = _resume(url, part)
    request = urllib.request.Request(url, headers=headers)
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            start = start if response.status == 206 and _continues(response, start) else 0
            total = _total(response, start)
            _remember(url, part, response)
            with part.open("r+b" if start else "wb") as stream:
                stream.seek(start)
                stream.truncate()
                done = _pour(response, stream, start, total, name, progress)
    except urllib.error.HTTPError as error:
        _http(url, part, start, error)
        return
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or str(error.reason)
        if isinstance(error.reason, socket.gaierror):
            raise CannotLoad(
                f"offline: {urlsplit(url).hostname} cannot be reached ({reason})",
                "Pass a copy that you have with --data PATH, or --mirror with a folder or address that has it.",
            ) from None
        raise _Again(reason) from None
    except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise _Again(str(error) or type(error).__name__) from None
    if total is not None and done < total:
        raise _Again(f"the connection closed after {done} of {total} bytes")
    if expected.bytes is not None and total is None and done < expected.bytes:
        raise _Again(f"the connection closed after {done} of {expected.bytes} bytes")


def _pour(
    response: Any,
    stream: IO[bytes],
    done: int,
    total: int | None,
    name: str,
    progress: Progress | None,
) -> int:
    while block := response.read(CHUNK):
        stream.write(block)
        done += len(block)
        if progress is not None:
            progress(name, done, total)
    return done


def _http(url: str, part: Path, start: int, error: urllib.error.HTTPError) -> None:
    """Raise what an HTTP status means; return when status 416 says that all bytes are here."""
    if error.code == 416:
        whole = error.headers.get("Content-Range", "").rpartition("/")[2]
        if whole.isdigit() and int(whole) == start:
            return
        part.unlink(missing_ok=True)
        raise _Again("the server does not continue the partial file")
    if error.code in (404, 410):
        raise CannotLoad(
            f"{url} is not there (HTTP {error.code})",
            "Upstream has moved or renamed it. Pass a copy that you have with --data PATH.",
        ) from None
    if error.code in (401, 403, 451):
        raise CannotLoad(
            f"{url} is refused (HTTP {error.code}): gated, private or renamed",
            "Get it by hand and pass it with --data PATH.",
        ) from None
    if error.code == 429 or error.code >= 500:
        after = error.headers.get("Retry-After", "")
        raise _Again(f"HTTP {error.code}", float(after) if after.isdigit() else None) from None
    raise CannotLoad(
        f"{url} answered HTTP {error.code} {error.reason}", "Check the address."
    ) from None


def _ledger(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _resume(url: str, part: Path) -> tuple[int, dict[str, str]]:
    """Where to go on, and the headers that ask for it. Only the same version of the same file goes on."""
    headers = {"User-Agent": "truing", "Accept-Encoding": "identity"}
    try:
        known = json.loads(_ledger(part).read_text(encoding="utf-8"))
        size = part.stat().st_size
    except (OSError, ValueError):
        return 0, headers
    if (
        size == 0
        or not isinstance(known, dict)
        or known.get("url") != url
        or not known.get("version")
    ):
        return 0, headers
    headers |= {"Range": f"bytes={size}-", "If-Range": str(known["version"])}
    return size, headers


def _remember(url: str, part: Path, response: Any) -> None:
    etag = response.headers.get("ETag") or ""
    version = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    _ledger(part).write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")


def _continues(response: Any, start: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _total(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    return start + int(length) if length is not None and length.isdigit() else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from HTTPS to anything less."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise CannotLoad(
                f"{req.full_url} leads to an insecure address", "Pass a copy with --data PATH."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_Redirects)
