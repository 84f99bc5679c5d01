"""A model server on loopback with scripted answers, in the OpenAI chat and the Ollama format."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, bytes]


def openai(text: str) -> Answer:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return 200, json.dumps({"model": "fake", "choices": [choice], "usage": usage}).encode()


def ollama(text: str) -> Answer:
    message = {"role": "assistant", "content": text}
    return 200, json.dumps({"model": "fake", "message": message, "done": True, "eval_count": 3}).encode()


class FakeModel:
    """Answers POST requests; ``script`` maps (path, body) to an answer. Every request is kept in ``seen``.

    ``headers`` are added to every answer.
    """

    def __init__(
        self, script: Callable[[str, dict[str, Any]], Answer], *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append((self.path, body, dict(self.headers)))
                status, data = script(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.root = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
