"""
A proxy on loopback that does to chosen requests what networks and servers do: resets, 500s, silence, changed answers.

In a test::

    with FaultyProxy(server.url) as proxy:
        proxy.fail("POST", "/fine_tuning/jobs", carried_out=True)   # a 500, though the server has made the job
        ...  # proxy.url in place of server.url; proxy.seen lists what was asked
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """
    What happens to the next request with this method to a path that ends like this.

    Args:
        kind: `error`, a 500 or `status`; `reset` in the middle of the request; `silence` until the proxy is closed.
        carried_out: The request is passed on to the server, and its answer is dropped.
        late: The request is passed on just before the next one of this kind.
    """

    method: str
    path: str
    kind: str
    carried_out: bool = False
    late: bool = False
    status: int = 500


class FaultyProxy:
    """
    From `with` to the end of the block.

    Args:
        upstream: Base URL of the real server, `http://127.0.0.1:PORT/v1`; may be changed while the proxy runs.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.seen: list[tuple[str, str]] = []
        self.changed = threading.Condition()
        self.rewrites: list[Callable[[str, Any], Any]] = []
        self._faults: list[Fault] = []
        self._held: list[tuple[str, str, bytes, dict[str, str]]] = []
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def fail(
        self,
        method: str,
        path: str,
        *,
        times: int = 1,
        carried_out: bool = False,
        late: bool = False,
        status: int = 500,
    ) -> None:
        """The next requests are answered with an error."""
        self._faults += [Fault(method, path, "error", carried_out, late, status)] * times

    def reset(self, method: str, path: str, *, times: int = 1) -> None:
        """The next requests end in a TCP reset before all of their body is read."""
        self._faults += [Fault(method, path, "reset")] * times

    def silence(self, method: str, path: str, *, carried_out: bool = True) -> None:
        """The next request is never answered."""
        self._faults.append(Fault(method, path, "silence", carried_out))

    def rewrite(self, change: Callable[[str, Any], Any]) -> None:
        """Replace every JSON answer by `change(path, value)`."""
        self.rewrites.append(change)

    def count(self, method: str, path: str) -> int:
        """The number of such requests so far."""
        return sum(seen[0] == method and seen[1].endswith(path) for seen in self.seen)

    def wait_for(self, method: str, path: str, timeout: float = 60) -> None:
        """Wait for such a request."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count(method, path) > 0, timeout):
                raise AssertionError(f"no request {method} {path}: {self.seen}")

    def _fault(self, method: str, path: str) -> Fault | None:
        found = next((f for f in self._faults if f.method == method and path.endswith(f.path)), None)
        if found:
            self._faults.remove(found)
        return found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_DELETE = _any  # noqa: N815 - as http.server has them

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Handle one request: apply its fault, or pass on the server's answer."""
        path = request.path.partition("?")[0]
        fault = self._fault(request.command, path)
        with self.changed:
            self.seen.append((request.command, path))
            self.changed.notify_all()
        if fault and fault.kind == "reset":
            _reset(request)
            return
        body = _body(request)
        for held in [one for one in self._held if one[:2] == (request.command, request.path)]:
            self._held.remove(held)
            self._forward(*held)
        whole = (request.command, request.path, body, dict(request.headers))
        if fault is None:
            _answer(request, *self._changed(path, *self._forward(*whole)))
            return
        if fault.late:
            self._held.append(whole)
        elif fault.carried_out:
            self._forward(*whole)
        if fault.kind == "silence":
            self._closing.wait(120)
            request.close_connection = True
        else:
            error = {"message": "planted", "type": "server_error"}
            _answer(request, fault.status, json.dumps({"error": error}).encode(), {})

    def _forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        kept = {
            k: v
            for k, v in headers.items()
            if k.lower() not in ("host", "connection", "accept-encoding", "transfer-encoding")
        }
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        try:
            connection.request(method, path, body or None, kept)
            answer = connection.getresponse()
            return answer.status, answer.read(), {"content-type": answer.headers.get("content-type", "")}
        except OSError as error:
            text = json.dumps({"error": {"message": f"upstream: {error}"}})
            return 502, text.encode(), {"content-type": "application/json"}
        finally:
            connection.close()

    def _changed(
        self, path: str, status: int, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        if self.rewrites and status == 200 and "json" in headers.get("content-type", ""):
            value = json.loads(body)
            for change in self.rewrites:
                value = change(path, value)
            body = json.dumps(value).encode()
        return status, body, headers


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int(request.rfile.readline().split(b";")[0], 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        request.rfile.readline()
        return b"".join(parts)
    return request.rfile.read(int(request.headers.get("content-length", 0)))


def _answer(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    try:
        request.send_response(status)
        request.send_header("content-type", headers.get("content-type") or "application/json")
        request.send_header("content-length", str(len(body)))
        # Otherwise the client retries by itself.
        request.send_header("x-should-retry", "false")
        request.end_headers()
        request.wfile.write(body)
    except ConnectionError:
        # Some tests kill the client meanwhile.
        request.close_connection = True


def _reset(request: BaseHTTPRequestHandler) -> None:
    request.rfile.read(min(_CHUNK, int(request.headers.get("content-length") or _CHUNK)) // 2)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    request.connection.close()
