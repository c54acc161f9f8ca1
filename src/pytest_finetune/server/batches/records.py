"""The record of a batch, its form in the API, and the reader of its input file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pytest_finetune.base.errors import did_you_mean
from pytest_finetune.server.jobs.records import Metadata  # noqa: TC001 - pydantic reads the annotations
from pytest_finetune.server.store import StoredRecord
from pytest_finetune.server.wire import Body
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = "/v1/chat/completions"
MOST_REQUESTS = 50_000
_KEYS = {"custom_id", "method", "url", "body"}

BatchStatus = Literal["validating", "failed", "in_progress", "finalizing", "completed", "cancelling", "cancelled"]


class BatchError(Body):
    """What is wrong with a line of the input file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Batch(StoredRecord):
    """The record of a batch."""

    input_file_id: str
    completion_window: str
    expires_at: int
    metadata: Metadata | None
    status: BatchStatus = "validating"
    errors: tuple[BatchError, ...] = ()
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """The batch object of the API."""
        shown = self.model_dump(exclude={"errors", "total", "completed", "failed"}, mode="json")
        faults = {"object": "list", "data": [error.model_dump() for error in self.errors]}
        counts = {"total": self.total, "completed": self.completed, "failed": self.failed}
        return {
            "object": "batch",
            "endpoint": ENDPOINT,
            **shown,
            "expired_at": None,
            "errors": faults if self.errors else None,
            "request_counts": counts,
        }


class BatchRequest(Body):
    """One line of an input file."""

    custom_id: str
    body: dict[str, Any]


def read_requests(path: Path) -> tuple[list[BatchRequest], list[BatchError]]:
    """Read the requests of an input file; returns them and the faults of the file."""
    faults = Faults("input file")
    seen: set[str] = set()
    requests = [
        request
        for line, value in read_objects(path.read_bytes(), faults)
        if (request := _request(value, line, seen, faults)) is not None
    ]
    if len(requests) > MOST_REQUESTS:
        faults.add(
            f"the file holds {len(requests):,} requests", f"at most {MOST_REQUESTS:,} are allowed; split the file"
        )
    return requests, [
        BatchError(code="invalid_request", message=f"{fault.problem}; {fault.hint}", line=int(line))
        for fault in faults.found
        if (line := fault.where.rpartition(":")[2])
    ]


def _request(value: dict[str, Any], line: int, seen: set[str], faults: Faults) -> BatchRequest | None:
    before = len(faults.found)
    faults.line = line
    for key in value.keys() - _KEYS:
        faults.add(f"unknown key {key!r}", did_you_mean(key, _KEYS))
    name, body = value.get("custom_id"), value.get("body")
    if type(name) is not str or not name:
        faults.add("the line has no custom_id", 'write "custom_id": "…"; the answer will have the same one')
    elif name in seen:
        faults.add(f"the custom_id {name!r} is repeated", "give each request its own")
    else:
        seen.add(name)
    if value.get("method") != "POST" or value.get("url") != ENDPOINT:
        faults.add("the line is for another endpoint", f'write "method": "POST", "url": "{ENDPOINT}"')
    if type(body) is not dict:
        faults.add("the line has no body", "write the chat request as an object")
    if len(faults.found) > before or type(name) is not str or type(body) is not dict:
        return None
    return BatchRequest(custom_id=name, body=body)
