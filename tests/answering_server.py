"""A real HTTP server on loopback that answers every request with given bytes, in turn, after a pause."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Served:
    """What a server was asked.

    Attributes:
        url: where it listens.
        bodies: the JSON of each POST.
        paths: of each request, with its query.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[Any] = []
        self.paths: list[str] = []


@contextmanager
def serving(*answers: object, pause: float = 0.0, headers: Mapping[str, str] | None = None) -> Iterator[Served]:
    """A server that answers with JSON, or with a list of chunks as an event stream.

    Args:
        answers: an object each, or a list of the chunks of a stream, or a function that makes them of the request's
            JSON; in turn, the last one again and again.
        pause: seconds before it answers.
        headers: further ones of every answer.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            served.bodies.append(json.loads(self.rfile.read(length)))
            self.do_GET()

        def do_GET(self) -> None:
            served.paths.append(self.path)
            answer = answers[min(len(served.paths), len(answers)) - 1]
            if callable(answer):
                answer = answer(served.bodies[-1] if served.bodies else None)
            streamed = isinstance(answer, list)
            body = json.dumps(answer)
            if isinstance(answer, list):
                body = "".join([f"data: {json.dumps(chunk)}\n\n" for chunk in answer]) + "data: [DONE]\n\n"
            time.sleep(pause)
            try:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream" if streamed else "application/json")
                self.send_header("content-length", str(len(body.encode())))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())
            except OSError:
                return

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    served = Served(f"http://127.0.0.1:{httpd.server_address[1]}")
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield served
    finally:
        httpd.shutdown()
        httpd.server_close()
