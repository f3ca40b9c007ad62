"""A web server on the loopback interface that misbehaves as told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """Files by path, and what to do wrong.

    ``cuts``: close the connection after that many bytes, once for each entry. ``statuses``: answer with
    these first. ``ranges``: whether parts are served. ``asked`` lists (path, Range header).
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    lengths: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.asked.append((self.path, wanted))
            if server.statuses:
                self._plain(server.statuses.pop(0))
            elif self.path in server.redirects:
                self.send_response(302)
                self.send_header("Location", server.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif self.path not in server.files:
                self._plain(404)
            else:
                self._file(server.files[self.path], wanted)

        def _plain(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Retry-After", "3")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _file(self, content: bytes, wanted: str | None) -> None:
            etag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
            same = self.headers.get("If-Range") in (None, etag)
            start = int(wanted[6:-1]) if wanted and server.ranges and same else 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            if server.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", etag)
            self.end_headers()
            body = content[start:]
            self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)
            self.close_connection = True

    return Handler


@contextmanager
def serve() -> Iterator[Server]:
    """A running server; it stops on exit."""
    server = Server()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.address = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(
        target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
