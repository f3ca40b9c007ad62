"""A server of chat completions on this machine that answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Turn:
    """One answer. ``body`` text is sent as it is; ``hang_s`` waits first; ``drop`` sends nothing."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; ``at`` in seconds of a monotonic clock."""

    path: str
    key: str
    body: dict[str, Any]
    at: float

    @property
    def said(self) -> str:
        return str(self.body["messages"][-1]["content"])


Script = Callable[[int, Asked], Turn]


def says(text: str | None, **more: Any) -> Turn:
    """An ordinary reply of 10 tokens to 100; ``more`` goes into its only choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, **more}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return Turn(body={"choices": [choice], "usage": usage})


def refuses(status: int, message: str, code: str | None = None, **headers: str) -> Turn:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Turn(status, {"error": {"message": message, "code": code}}, named)


@dataclass
class ChatServer:
    url: str
    asked: list[Asked]
    stop: Callable[[], None]
    most_at_once: int = 0


@contextmanager
def chat_server(script: Script) -> Iterator[ChatServer]:
    """``script(number of the request from 0, request)`` decides every answer."""
    lock, busy = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers.get("Authorization", "")
            asked = Asked(self.path, key, json.loads(raw), time.monotonic())
            with lock:
                number = len(server.asked)
                server.asked.append(asked)
                busy[0] += 1
                server.most_at_once = max(server.most_at_once, busy[0])
            turn = script(number, asked)
            time.sleep(turn.hang_s)
            with lock:
                busy[0] -= 1
            if turn.drop:
                self.close_connection = True
                return
            body = turn.body if isinstance(turn.body, str) else json.dumps(turn.body)
            self.send_response(turn.status)
            for name, value in turn.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that left is no news."""

    http = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)

    def stop() -> None:
        if thread.is_alive():
            http.shutdown()
            thread.join()
            http.server_close()

    server = ChatServer(f"http://127.0.0.1:{http.server_port}/v1", [], stop)
    thread.start()
    try:
        yield server
    finally:
        stop()
