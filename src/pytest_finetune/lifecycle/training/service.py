"""The fine-tuning API of one server, through the official client; its responses are parsed only here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeVar

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.evaluation.targets.base_url import check_base_url, needs_key
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
from pytest_finetune.evaluation.targets.official_client import DEFAULT_BASE_URL, make_client
from pytest_finetune.lifecycle.training.api_errors import translated_errors
from pytest_finetune.lifecycle.training.api_responses import (
    newest_first,
    parse_response,
    read_identified,
    read_page,
    shaped,
)
from pytest_finetune.lifecycle.training.job import read_checkpoint, read_event, read_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO, Self

    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint, FineTuningEvent, FineTuningJob

T = TypeVar("T")

NO_KEY = "not-needed"
"""Sent to servers without a key, because the client requires one."""

CREATE_TIMEOUT = 180.0
"""Seconds for creating a job. Long, because after a timeout the job has to be searched for in the list of jobs."""

UPLOAD_TIMEOUT = 600.0
"""Seconds without a byte moving while a file is uploaded."""

_PAGE = 100
"""Objects per page, the most that OpenAI's API returns."""


class _PageQuery(TypedDict):
    limit: int
    after: NotRequired[str]


class FineTuning:
    """
    The fine-tuning API of one server.

    Args:
        base_url: The server; by default `OPENAI_BASE_URL`, else OpenAI's own.
        source: The file that names the server; empty if the user does.
        environ: Source of `OPENAI_API_KEY`, `OPENAI_BASE_URL` and the proxy variables.

    Raises:
        TargetError: The base URL is not usable, or must not receive the key.
        TrainingError: The server is OpenAI's and there is no key.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        source: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.base_url = check_base_url(base_url or environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
        self.secret = environ.get("OPENAI_API_KEY", "").strip()
        if not self.secret and needs_key(self.base_url):
            hint = "set OPENAI_API_KEY, or pass --base-url for your own server (see `pytest-finetune serve`)"
            raise TrainingError("no API key for api.openai.com", "OPENAI_API_KEY", hint)
        if self.secret:
            refuse_to_send_key(self.base_url, source=source, environ=environ)
        self._client = make_client(self.base_url, self.secret or NO_KEY, environ)
        self._jobs = self._client.fine_tuning.jobs

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def upload(self, name: str, file: BinaryIO) -> dict[str, Any]:
        """
        Upload a training file as a stream, without retry; returns the server's description of it, with its `id`.

        Raises:
            TrainingError: The upload was refused or not answered.
        """
        with translated_errors("POST /files", self.secret):
            files = self._client.with_options(timeout=UPLOAD_TIMEOUT, max_retries=0).files
            answer = files.with_raw_response.create(file=(name, file), purpose="fine-tune")
        return self._read("POST /files", answer.text, read_identified)

    def uploaded(self, file_id: str) -> dict[str, Any]:
        """
        The server's description of an uploaded file.

        Raises:
            TrainingError: There is no such file, or the server did not answer.
        """
        where = f"GET /files/{file_id}"
        with translated_errors(where, self.secret):
            answer = self._client.files.with_raw_response.retrieve(file_id)
        return self._read(where, answer.text, read_identified)

    def content(self, file_id: str) -> bytes:
        """
        The content of a file.

        Raises:
            TrainingError: There is no such file, or the server did not answer.
        """
        with translated_errors(f"GET /files/{file_id}/content", self.secret):
            return bytes(self._client.files.content(file_id).read())

    def create(self, body: Mapping[str, Any], *, nonce: str) -> FineTuningJob:
        """
        Create a job, without retry, because a retry could create a second job.

        Args:
            body: Body of `POST /fine_tuning/jobs`.
            nonce: Also sent as the idempotency key, for servers that support it.

        Raises:
            RefusedError: No job was created.
            NoAnswerError: A job may have been created.
        """
        with translated_errors("POST /fine_tuning/jobs", self.secret):
            jobs = self._client.with_options(timeout=CREATE_TIMEOUT, max_retries=0).fine_tuning.jobs
            answer = jobs.with_raw_response.create(**body, extra_headers={"Idempotency-Key": nonce})
        return self._read("POST /fine_tuning/jobs", answer.text, read_job)

    def job(self, job_id: str) -> FineTuningJob:
        """
        The current state of a job.

        Raises:
            TrainingError: There is no such job, or the server did not answer.
        """
        where = f"GET /fine_tuning/jobs/{job_id}"
        with translated_errors(where, self.secret):
            return self._read(where, self._jobs.with_raw_response.retrieve(job_id).text, read_job)

    def act(self, job_id: str, action: str) -> FineTuningJob:
        """
        `cancel`, `pause` or `resume` a job.

        Raises:
            TrainingError: The job's status does not allow it, there is no such job, or the server did not answer.
        """
        where = f"POST /fine_tuning/jobs/{job_id}/{action}"
        with translated_errors(where, self.secret):
            return self._read(where, getattr(self._jobs.with_raw_response, action)(job_id).text, read_job)

    def jobs(self) -> Iterator[FineTuningJob]:
        """
        All jobs, newest first, fetched page by page.

        Raises:
            TrainingError: The server did not answer, or not with a list of jobs.
        """
        list_jobs = self._jobs.with_raw_response.list
        return newest_first(self._pages("GET /fine_tuning/jobs", lambda page: list_jobs(**page).text, read_job))

    def events(self, job_id: str) -> Iterator[FineTuningEvent]:
        """
        All events of a job, newest first, fetched page by page.

        Raises:
            TrainingError: There is no such job, or the server did not answer with a list of events.
        """
        list_events = self._jobs.with_raw_response.list_events
        where = f"GET /fine_tuning/jobs/{job_id}/events"
        return newest_first(self._pages(where, lambda page: list_events(job_id, **page).text, read_event))

    def checkpoints(self, job_id: str) -> list[FineTuningCheckpoint]:
        """
        The checkpoints of a job, in the order of their steps.

        Raises:
            TrainingError: There is no such job, or the server did not answer with a list of checkpoints.
        """
        list_checkpoints = self._jobs.checkpoints.with_raw_response.list
        where = f"GET /fine_tuning/jobs/{job_id}/checkpoints"
        found = self._pages(where, lambda page: list_checkpoints(job_id, **page).text, read_checkpoint)
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def _read(self, where: str, text: str, read: Callable[[object], T]) -> T:
        return parse_response(where, text, read, self.secret)

    def _pages(self, where: str, fetch: Callable[[_PageQuery], str], read: Callable[[object], T]) -> Iterator[T]:
        query: _PageQuery = {"limit": _PAGE}
        seen: set[object] = set()
        while True:
            with translated_errors(where, self.secret):
                text = fetch(query)
            page = self._read(where, text, read_page)
            # A server that ignores `after` sends what it has sent before.
            new = [row for row in page["data"] if row.get("id") is None or row["id"] not in seen]
            seen.update(row["id"] for row in new if row.get("id") is not None)
            yield from (shaped(where, value, read) for value in new)
            last = page["data"][-1].get("id") if new else None
            # Only an explicit false is the end: some servers do not send `has_more`.
            if page.get("has_more") in (False, 0) or not last:
                return
            query = {"limit": _PAGE, "after": last}
