"""
A real OpenAI-compatible server on loopback with scripted answers: any status, any bytes, late, byte by byte, or never.

In a test::

    with ScriptedServer(answer=lambda body: "bug") as server:
        ...  # server.url, server.requests, server.max_in_flight

In a process of its own, for benchmarks: `python tests/support/scripted_server.py --latency 0.2`, which prints its URL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One scripted answer.

    Args:
        content: Text of the assistant's message; unused when `message` or `body` is given.
        message: The whole assistant message: `{"content": None, "tool_calls": […]}`.
        finish_reason, model, usage: As the completion carries them; `model` defaults to the one asked for.
        status, headers: Of the HTTP answer; a header here replaces the usual one of that name.
        body: Raw bytes instead of a completion; a dict or list is sent as JSON.
        latency: Seconds before the first byte; None takes the server's.
        drip: Seconds between any two bytes of the body, where it is to come byte by byte.
        cut_after: Bytes of the body after which the connection ends, though more were announced.
        reset: The cut is a TCP reset and not an orderly end.
        raw: Bytes sent as they are, HTTP or not, before the connection ends.
        logprobs: Of the choice: `{"content": [{"token": "bug", "logprob": -0.1}]}`.
        hang: Nothing is ever answered; the connection stays open.
    """

    content: str | None = ""
    message: Mapping[str, Any] | None = None
    finish_reason: str | None = "stop"
    model: str | None = None
    usage: Mapping[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    latency: float | None = None
    drip: float | None = None
    cut_after: int | None = None
    reset: bool = False
    raw: bytes | None = None
    hang: bool = False
    logprobs: Any = None


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came; header names in lower case, `json` is the parsed body or None."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    json: Any


Answer = str | dict[str, Any] | Reply


def echo(body: dict[str, Any]) -> str:
    """The content of the last message: the default answer of the server."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else json.dumps(content)


def error(status: int, message: str, *, code: str | None = None, type: str | None = None, **headers: str) -> Reply:  # noqa: A002
    """An error answer in OpenAI's shape; `retry_after="1"` becomes the header `retry-after`."""
    return Reply(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body={"error": {"message": message, "type": type, "param": None, "code": code}},
    )


def tokens(value: Any) -> int:
    """A plausible count of tokens: four characters each."""
    return max(1, len(value if isinstance(value, str) else json.dumps(value)) // 4)


def completion(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat completion that carries a reply."""
    message = {"role": "assistant", "content": reply.content, "refusal": None, **(reply.message or {})}
    prompt, written = tokens(body.get("messages", [])), tokens(message.get("content") or "")
    counted = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": reply.model or body.get("model", ""),
        "choices": [{"index": 0, "message": message, "logprobs": reply.logprobs, "finish_reason": reply.finish_reason}],
        "usage": counted if reply.usage is None else reply.usage,
    }


class ScriptedServer:
    """
    A server in a thread of its own, from `with` to the end of the block.

    Args:
        answer: Called with the JSON body of every request: a str is the content, a dict the whole assistant
            message, a `Reply` anything at all. Runs on the server's loop: keep it quick.
        replies: Answers to give first, one a question, before `answer` is asked.
        latency: Seconds before each answer.
        models: Ids that `GET /v1/models` lists.
        record: Keep every request in `requests`.

    Attributes:
        url: Base URL, `http://127.0.0.1:PORT/v1`.
        requests: What came, in order of arrival.
        max_in_flight: Most questions that were open at once.
        connections: Connections accepted.
    """

    def __init__(
        self,
        answer: Callable[[dict[str, Any]], Answer] = echo,
        *,
        replies: Iterable[Answer] = (),
        latency: float = 0.0,
        models: Iterable[str] = ("scripted",),
        record: bool = True,
        port: int = 0,
    ) -> None:
        self.answer, self.replies, self.latency, self.models = answer, deque(replies), latency, tuple(models)
        self.record, self.port = record, port
        self.requests: list[Received] = []
        self.in_flight = self.max_in_flight = self.connections = 0
        self.open: set[Connection] = set()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The JSON bodies of the questions, in order of arrival."""
        return [request.json for request in self.requests if request.method == "POST"]

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the scripted server did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        listener = await self._loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            listener.close()
            for connection in list(self.open):
                connection.transport.abort()
            await asyncio.sleep(0)

    def reply(self, request: Received) -> Reply:
        """The scripted answer to a request; a script that breaks is a 500 that says so."""
        path = request.path.partition("?")[0]
        if (request.method, path) == ("GET", "/v1/models"):
            models = [{"id": name, "object": "model", "created": 1, "owned_by": "scripted"} for name in self.models]
            return Reply(body={"object": "list", "data": models})
        if request.method != "POST" or not path.endswith(("/chat/completions", "/embeddings")):
            return error(404, f"scripted server: no such place: {request.method} {request.path}")
        try:
            answer = self.replies.popleft() if self.replies else self.answer(request.json)
        except Exception as broken:  # noqa: BLE001 - the test's own script broke: show it, do not hang
            return error(500, f"scripted server: the answer function raised {broken!r}")
        return _as_reply(answer)


def _as_reply(answer: Answer) -> Reply:
    if isinstance(answer, str):
        return Reply(answer)
    if isinstance(answer, Reply):
        return answer
    return Reply(message=answer, finish_reason="tool_calls" if answer.get("tool_calls") else "stop")


class Connection(asyncio.Protocol):
    """One connection: reads requests with a Content-Length and answers them one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: ScriptedServer) -> None:
        self.server, self.loop = server, asyncio.get_running_loop()
        self.buffer, self.busy = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections += 1
        self.server.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open.discard(self)
        self._finished()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._next()

    def _next(self) -> None:
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if self.busy or not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, path, _ = first.split(" ", 2)
        self._answer(Received(method, path, headers, rest[:length], _parsed(rest[:length])))

    def _answer(self, request: Received) -> None:
        server, self.busy = self.server, True
        server.in_flight += 1
        server.max_in_flight = max(server.max_in_flight, server.in_flight)
        if server.record:
            server.requests.append(request)
        reply = server.reply(request)
        if reply.hang:
            return
        latency = server.latency if reply.latency is None else reply.latency
        self.loop.call_later(latency, self._send, reply, request)

    def _send(self, reply: Reply, request: Received) -> None:
        if self.transport.is_closing():
            return
        if reply.raw is not None:
            self._cut(reply.raw, reset=reply.reset)
            return
        body = _encoded(completion(reply, request.json or {}) if reply.body is None else reply.body)
        headers = {"content-type": JSON_TYPE, "content-length": str(len(body))}
        headers |= {name.lower(): value for name, value in reply.headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {reply.status} {_phrase(reply.status)}\r\n{lines}\r\n".encode("latin-1")
        if reply.cut_after is not None:
            self._cut(head + body[: reply.cut_after], reset=reply.reset)
        elif reply.drip is not None:
            self.transport.write(head)
            self._drip(body, reply.drip)
        else:
            self.transport.write(head + body)
            self._sent()

    def _cut(self, data: bytes, *, reset: bool) -> None:
        self.transport.write(data)
        if not reset:
            self.transport.close()
            return
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Let the client read the first bytes: a reset discards unread ones.
        self.loop.call_later(0.02, self.transport.abort)

    def _drip(self, rest: bytes, pause: float) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(rest[:1])
        if len(rest) > 1:
            self.loop.call_later(pause, self._drip, rest[1:], pause)
        else:
            self._sent()

    def _sent(self) -> None:
        self._finished()
        self._next()

    def _finished(self) -> None:
        self.server.in_flight -= self.busy
        self.busy = False


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Scripted"


def main() -> None:
    """Serve until interrupted; print the base URL first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--content", help="what to answer; default: the question's last message")
    options = parser.parse_args()
    answer = echo if options.content is None else lambda _: options.content
    with ScriptedServer(answer, latency=options.latency, port=options.port, record=False) as server:
        print(server.url, flush=True)  # noqa: T201 - the one line that the caller reads
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
