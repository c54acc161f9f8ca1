"""The batch API of one server: OpenAI's, Azure's, Together's or our own; their differences are known only here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pytest_finetune.base.daemon_thread import in_daemon_thread
from pytest_finetune.base.errors import TrainingError
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.lifecycle.registry.sunset import is_azure
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError, translated_errors
from pytest_finetune.lifecycle.training.api_responses import parse_response, read_identified
from pytest_finetune.lifecycle.training.job import UnexpectedShape
from pytest_finetune.lifecycle.training.service import CREATE_TIMEOUT, UPLOAD_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from openai import OpenAI

T = TypeVar("T")

NONCE = "pytest_finetune_nonce"
"""Key in a batch's metadata."""

ENDED = ("completed", "failed", "expired", "cancelled")
_PAGE = 100
_PAGES = 10
"""Pages of the list that are searched, newest batches first: 1,000 batches."""

WAITS = (1.0, 4.0, 15.0)
"""Seconds before each retry of what can safely be repeated: an unused upload does no harm."""

_TOGETHER = (".together.xyz", ".together.ai")
"""Ends of the host names of a server that has its own way to upload, and keeps no metadata."""

_TOGETHER_BYTES = 100_000_000
"""Of one file: https://docs.together.ai/docs/inference/batch/overview, read 2026-11-29."""

_OTHER_NAMES = {"canceled": "cancelled", "error": "failed"}
"""Statuses of other servers, by OpenAI's."""

_ABSENT = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class ServerBatch:
    """
    A batch as its server describes it.

    Args:
        id: Its id.
        status: In lower case; one of `ENDED`, or anything else while it is running.
        nonce: From its metadata; empty if the server keeps none.
        input_file: Id of the uploaded requests.
        outputs: Ids of the output file and of the error file, as far as there are any.
        answered: Requests with an outcome so far.
        reason: Why it failed; empty if it did not, or without a reason.
    """

    id: str
    status: str
    nonce: str = ""
    input_file: str = ""
    outputs: tuple[str, ...] = ()
    answered: int = 0
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED


class BatchService:
    """
    The batch API of one server.

    Args:
        client: The official client; it is not closed.
        secret: The API key, masked in messages.
    """

    def __init__(self, client: OpenAI, secret: str = "") -> None:
        self.base_url = str(client.base_url).rstrip("/")
        # The client would repeat a creation, too, and does not tell when it repeats.
        self.secret, self._client = secret, client.with_options(max_retries=0)
        host = urlsplit(self.base_url).hostname or ""
        self._is_together = host.endswith(_TOGETHER)
        self.most_bytes = _TOGETHER_BYTES if self._is_together else None
        # Azure's paths in the lines of a batch have no version.
        self.prefix = "" if is_azure(self.base_url) else "/v1"

    def upload(self, path: Path) -> str:
        """
        Upload a file of requests, without retry; returns its id.

        Raises:
            TrainingError: The upload was refused, or not answered.
        """
        where = "POST /files"
        files = self._client.with_options(timeout=UPLOAD_TIMEOUT)
        with translated_errors(where, self.secret), path.open("rb") as file:
            if self._is_together:
                # https://docs.together.ai/reference/upload-file, read 2026-11-29.
                fields = {"purpose": "batch-api", "file_name": path.name, "file_type": "jsonl"}
                text = _posted(files, "/files/upload", fields, {"file": (path.name, file)})
            else:
                text = files.files.with_raw_response.create(file=(path.name, file), purpose="batch").text
        return str(self._read(where, text, read_identified)["id"])

    def create(self, file_id: str, api_path: str, nonce: str) -> ServerBatch:
        """
        Create a batch, without retry, because a retry could create a second one.

        Raises:
            RefusedError: No batch was created.
            NoAnswerError: A batch may have been created.
        """
        where = "POST /batches"
        # The type of the client lists the paths of OpenAI's own server only.
        endpoint: Any = f"{self.prefix}{api_path}"
        with translated_errors(where, self.secret):
            batches = self._client.with_options(timeout=CREATE_TIMEOUT).batches
            answer = batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint=endpoint,
                completion_window="24h",
                metadata={NONCE: nonce},
                extra_headers={"Idempotency-Key": nonce},
            )
        return self._read(where, answer.text, _read_batch)

    def batch(self, batch_id: str) -> ServerBatch:
        """
        The current state of a batch.

        Raises:
            TrainingError: There is no such batch, or the server did not answer.
        """
        where = f"GET /batches/{batch_id}"
        with translated_errors(where, self.secret):
            answer = self._client.batches.with_raw_response.retrieve(batch_id)
        return self._read(where, answer.text, _read_batch)

    def find(self, nonce: str, file_id: str) -> list[ServerBatch]:
        """
        The batches with a nonce or, as some servers keep no metadata, of an uploaded file; the latest first.

        Raises:
            TrainingError: The batches cannot be listed.
        """
        return [each for each in self._all() if each.nonce == nonce or each.input_file == file_id]

    def cancel(self, batch_id: str) -> None:
        """
        Cancel a batch.

        Raises:
            TrainingError: It was refused, or not answered.
        """
        with translated_errors(f"POST /batches/{batch_id}/cancel", self.secret):
            self._client.batches.with_raw_response.cancel(batch_id)

    def content(self, file_id: str) -> bytes:
        """
        The content of a file.

        Raises:
            TrainingError: There is no such file, or the server did not answer.
        """
        where = f"GET /files/{file_id}/content"
        with translated_errors(where, self.secret):
            return bytes(self._client.files.content(file_id).read())

    def _all(self) -> Iterator[ServerBatch]:
        where, after = "GET /batches", ""
        seen: set[str] = set()
        for _ in range(_PAGES):
            with translated_errors(where, self.secret):
                from openai import omit

                text = self._client.batches.with_raw_response.list(limit=_PAGE, after=after or omit).text
            rows, more = self._read(where, text, _read_rows)
            new = [row for row in rows if row.get("id") not in seen]
            yield from (_read_batch(row) for row in new if isinstance(row.get("id"), str))
            if not new or not more:
                return
            seen.update(str(row.get("id")) for row in new)
            after = str(new[-1].get("id"))

    def _read(self, where: str, text: str, read: Callable[[object], T]) -> T:
        return parse_response(where, text, read, self.secret)


async def retried(call: Callable[[], T], doing: str, notify: Callable[[str], None]) -> T:
    """
    What a call returns, retried after each of `WAITS` as long as the server does not answer, or limits the rate.

    Raises:
        TrainingError: The server refused, or never answered.
    """
    for wait in WAITS:
        try:
            return await in_daemon_thread(call)
        except (NoAnswerError, RefusedError) as fault:
            if isinstance(fault, RefusedError) and not fault.is_temporary:
                raise
            notify(f"{doing} failed ({fault.problem}); retrying in {wait:g} s")
            await asyncio.sleep(wait)
    return await in_daemon_thread(call)


def without_batches(fault: TrainingError, base_url: str) -> TrainingError:
    """The error, in plain words if the server has no batches."""
    if getattr(fault, "status", 0) not in _ABSENT:
        return fault
    problem = f"{base_url} has no batch API: {fault.problem}"
    hint = "run without --batch, or with an offline engine: pytest-finetune batch export"
    return TrainingError(problem, fault.where, hint)


def _posted(client: OpenAI, path: str, fields: Mapping[str, str], files: Mapping[str, Any]) -> str:
    import httpx2

    headers = {"Content-Type": "multipart/form-data"}
    answer = client.post(path, cast_to=httpx2.Response, body=fields, files=files, options={"headers": headers})
    return answer.text


def _read_rows(value: object) -> tuple[list[dict[str, Any]], bool]:
    """The rows of a page and whether there is another; Together sends a plain list."""
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedShape("not a list of batches")
    return rows, isinstance(value, dict) and value.get("has_more") not in (False, 0, None)


def _read_batch(value: object) -> ServerBatch:
    row = read_identified(value["job"] if isinstance(value, dict) and "job" in value else value)
    metadata, counts, errors = row.get("metadata"), row.get("request_counts"), row.get("errors")
    counted = counts if isinstance(counts, dict) else {}
    listed = errors.get("data") if isinstance(errors, dict) else errors
    reasons = [_reason(each) for each in listed] if isinstance(listed, list) else [_reason(row.get("error"))]
    files = (row.get("output_file_id"), row.get("error_file_id"))
    status = str(row.get("status")).lower()
    return ServerBatch(
        id=row["id"],
        status=_OTHER_NAMES.get(status, status),
        nonce=str(metadata.get(NONCE, "")) if isinstance(metadata, dict) else "",
        input_file=str(row.get("input_file_id") or ""),
        outputs=tuple(str(name) for name in dict.fromkeys(files) if name),
        answered=sum(count for key in ("completed", "failed") if isinstance(count := counted.get(key), int)),
        reason=error_line("; ".join(filter(None, reasons[:3]))),
    )


def _reason(error: object) -> str:
    if not isinstance(error, dict):
        return str(error or "")
    line = f"line {error['line']}: " if isinstance(error.get("line"), int) else ""
    return f"{line}{error.get('message') or error.get('code') or ''}"
