"""
A server with OpenAI's batch API whose every step can fail: an upload, a creation, a poll, the output.

Batches are answered by the same function as questions, and at once; `hold` keeps them running.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripted_server import Reply, ScriptedServer, completion, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripted_server import Received


@dataclass(slots=True)
class Fault:
    """
    What happens once to the next request of a kind.

    Args:
        reply: The answer.
        done: The server does what was asked all the same, as if only its answer were lost.
    """

    reply: Reply
    done: bool = False


LOST = Reply(raw=b"")
"""The connection ends without an answer."""


@dataclass(slots=True)
class Held:
    """A batch of the server."""

    id: str
    input: str
    metadata: dict[str, str] | None
    endpoint: str
    status: str = "in_progress"
    errors: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class BatchServer(ScriptedServer):
    """
    A scripted server with files and batches.

    Attributes:
        faults: By method and path without ids, such as `POST /files` or `GET /batches/`, what happens next.
        hold: Batches stay in progress.
        ends: The status in which batches end.
        edit: Changes the lines of the output file; given each row with its request, returns the rows to write.
        keeps_metadata: False for servers without metadata.
        is_together: Uploads and batches have the form that they have at Together.
        forms: The uploaded forms.
        batches, files: What the server has.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.faults: dict[str, deque[Fault]] = {}
        self.hold, self.ends, self.keeps_metadata = False, "completed", True
        self.edit: Callable[[list[dict[str, Any]]], list[Any]] = list
        self.batches: dict[str, Held] = {}
        self.files: dict[str, bytes] = {}
        self.cancelled: list[str] = []
        self.forms: list[bytes] = []
        self.is_together = False

    def fail(self, step: str, *replies: Reply, done: bool = False) -> None:
        """Let the next requests of a step end like this."""
        self.faults.setdefault(step, deque()).extend(Fault(reply, done) for reply in replies)

    def count(self, step: str) -> int:
        """Requests of a step so far."""
        return sum(_step(request) == step for request in self.requests)

    def reply(self, request: Received) -> Reply:
        path = request.path.partition("?")[0].removeprefix("/v1")
        if not path.startswith(("/files", "/batches")):
            return super().reply(request)
        waiting = self.faults.get(_step(request))
        fault = waiting.popleft() if waiting else None
        if fault and not fault.done:
            return fault.reply
        done = self._files(request, path) if path.startswith("/files") else self._batches(request, path)
        return fault.reply if fault else done

    def _files(self, request: Received, path: str) -> Reply:
        if request.method == "POST":
            content = _uploaded(request)
            self.forms.append(request.body)
            name = f"file-{len(self.files)}"
            self.files[name] = content
            return Reply(body={"id": name, "object": "file", "bytes": len(content), "status": "processed"})
        name = path.split("/")[2]
        if name not in self.files:
            return error(404, f"no such file: {name}")
        return Reply(body=self.files[name])

    def _batches(self, request: Received, path: str) -> Reply:
        if request.method == "GET" and path == "/batches":
            rows = [self._wire(batch) for batch in reversed(self.batches.values())]
            if self.is_together:
                return Reply(body=rows)
            return Reply(body={"object": "list", "data": rows, "has_more": False})
        if request.method == "POST" and path == "/batches":
            name = f"batch_{len(self.batches)}"
            body = request.json
            self.batches[name] = Held(name, body["input_file_id"], body.get("metadata"), body["endpoint"])
            made = self._wire(self.batches[name])
            return Reply(body={"job": made, "warning": ""} if self.is_together else made)
        batch = self.batches.get(path.split("/")[2])
        if batch is None:
            return error(404, f"no such batch: {path}")
        if path.endswith("/cancel"):
            self.cancelled.append(batch.id)
            batch.status = "cancelled"
        elif not self.hold and batch.status == "in_progress":
            self.end(batch)
        return Reply(body=self._wire(batch))

    def end(self, batch: Held) -> None:
        """Answer all requests of a batch, and end it."""
        batch.status = self.ends
        if batch.status == "failed":
            batch.errors = [{"code": "invalid", "message": "the file is not valid", "line": 3}]
            return
        rows = [self._row(json.loads(line)) for line in self.files[batch.input].splitlines()]
        good = [row for row in rows if (row["response"] or {}).get("status_code") == 200]
        bad = [row for row in rows if row not in good]
        batch.counts = {"total": len(rows), "completed": len(good), "failed": len(bad)}
        for name, found in (("output", self.edit(good)), ("error", bad)):
            if found:
                text = "".join(row if isinstance(row, str) else f"{json.dumps(row)}\n" for row in found)
                self.files[f"{batch.id}-{name}"] = text.encode()
                batch.outputs[f"{name}_file_id"] = f"{batch.id}-{name}"

    def _row(self, line: dict[str, Any]) -> dict[str, Any]:
        from scripted_server import _as_reply

        reply = _as_reply(self.answer(line["body"]))
        body = completion(reply, line["body"]) if reply.body is None else reply.body
        response = {"status_code": reply.status, "request_id": "r", "body": body}
        return {"id": "line", "custom_id": line["custom_id"], "response": response, "error": None}

    def _wire(self, batch: Held) -> dict[str, Any]:
        if self.is_together:
            # https://docs.together.ai/reference/batch-create, read 2026-11-29.
            ids = {"id": batch.id, "input_file_id": batch.input, "endpoint": batch.endpoint}
            return {**ids, "status": batch.status.upper(), "progress": 75, "error": "", **batch.outputs}
        return {
            "id": batch.id,
            "object": "batch",
            "status": batch.status,
            "endpoint": batch.endpoint,
            "input_file_id": batch.input,
            "output_file_id": None,
            "error_file_id": None,
            "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
            "metadata": batch.metadata if self.keeps_metadata else None,
            "request_counts": batch.counts or {"total": 0, "completed": 0, "failed": 0},
            **batch.outputs,
        }


def expired(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as those of requests that a batch did not come to."""
    reason = {"code": "batch_expired", "message": "This request could not be executed in time."}
    return [{**row, "response": None, "error": reason} for row in rows]


def _step(request: Received) -> str:
    path = request.path.partition("?")[0].removeprefix("/v1")
    return f"{request.method} {re.sub(r'(?<=/)(file-|batch_)[^/]*', '', path)}"


def _uploaded(request: Received) -> bytes:
    """The file in a multipart form."""
    boundary = b"--" + request.headers["content-type"].partition("boundary=")[2].encode()
    part = next(part for part in request.body.split(boundary) if b'name="file"' in part)
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
