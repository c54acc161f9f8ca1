"""One server's fine-tuning API through the official client: what it says is read here, and nowhere else."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.base.secret_masking import masked
from pytest_finetune.evaluation.targets.base_url import check_base_url, needs_key, proxy_for
from pytest_finetune.lifecycle.training.faults import NoAnswerError, told
from pytest_finetune.lifecycle.training.job import NoSuchShape, read_checkpoint, read_event, read_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO, Self

    from pytest_finetune.lifecycle.training.job import Job, JobCheckpoint, JobEvent

T = TypeVar("T")

DEFAULT_BASE_URL = "https://api.openai.com/v1"
NO_KEY = "not-needed"
"""What goes in place of a key to a server of one's own: the client insists on one."""

TIMEOUT = 60.0
"""Seconds for one answer, but for the two below."""

CREATE_TIMEOUT = 180.0
"""Seconds for a job to be made: the longer, the seldomer it has to be looked up."""

UPLOAD_TIMEOUT = 600.0
"""Seconds without a byte moving while a file is uploaded."""

_PAGE = 100


class FineTuning:
    """
    The fine-tuning API of one server.

    Args:
        base_url: Where the server is; else `OPENAI_BASE_URL`; else OpenAI's own.
        environ: Where `OPENAI_API_KEY`, `OPENAI_BASE_URL` and the proxy variables are looked up.
        timeout: Seconds for one answer.

    Raises:
        TargetError: The base URL is not usable.
        TrainingError: OpenAI's server is meant and there is no key.
    """

    def __init__(
        self, base_url: str | None = None, *, environ: Mapping[str, str] = os.environ, timeout: float = TIMEOUT
    ) -> None:
        self.base_url = check_base_url(base_url or environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
        self.secret = environ.get("OPENAI_API_KEY", "").strip()
        if not self.secret and needs_key(self.base_url):
            hint = "set OPENAI_API_KEY, or name a server of your own with --base-url (see `pytest-finetune serve`)"
            raise TrainingError("there is no API key for api.openai.com", "OPENAI_API_KEY", hint)
        self._client = _client(self.base_url, self.secret, environ, timeout)
        self._jobs = self._client.fine_tuning.jobs

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def upload(self, name: str, file: BinaryIO) -> str:
        """
        Send a training file, as it is read, and give its id on the server; one try.

        Raises:
            TrainingError: It was refused, or no answer came.
        """
        with told("POST /files", self.secret):
            files = self._client.with_options(timeout=UPLOAD_TIMEOUT, max_retries=0).files
            answer = files.with_raw_response.create(file=(name, file), purpose="fine-tune")
        made = self._read("POST /files", answer.text, _identified)
        return str(made["id"])

    def uploaded(self, file_id: str) -> dict[str, Any]:
        """
        What the server says of a file.

        Raises:
            TrainingError: It has no such file, or no answer came.
        """
        where = f"GET /files/{file_id}"
        with told(where, self.secret):
            answer = self._client.files.with_raw_response.retrieve(file_id)
        return self._read(where, answer.text, _identified)

    def content(self, file_id: str) -> bytes:
        """
        The bytes of a file.

        Raises:
            TrainingError: It has no such file, or no answer came.
        """
        with told(f"GET /files/{file_id}/content", self.secret):
            return bytes(self._client.files.content(file_id).read())

    def create(self, body: Mapping[str, Any], *, nonce: str) -> Job:
        """
        Make a job; one try, because a second one could be a second job.

        Args:
            body: What `POST /fine_tuning/jobs` takes.
            nonce: Sent as the idempotency key too, for servers that know one.

        Raises:
            RefusedError: There is no job.
            NoAnswerError: There may be one.
        """
        with told("POST /fine_tuning/jobs", self.secret):
            jobs = self._client.with_options(timeout=CREATE_TIMEOUT, max_retries=0).fine_tuning.jobs
            answer = jobs.with_raw_response.create(**body, extra_headers={"Idempotency-Key": nonce})
        return self._read("POST /fine_tuning/jobs", answer.text, read_job)

    def job(self, job_id: str) -> Job:
        """
        A job as it stands.

        Raises:
            TrainingError: There is no such job, or no answer came.
        """
        where = f"GET /fine_tuning/jobs/{job_id}"
        with told(where, self.secret):
            return self._read(where, self._jobs.with_raw_response.retrieve(job_id).text, read_job)

    def act(self, job_id: str, action: str) -> Job:
        """
        `cancel`, `pause` or `resume` a job.

        Raises:
            TrainingError: The job cannot be, there is none, or no answer came.
        """
        where = f"POST /fine_tuning/jobs/{job_id}/{action}"
        with told(where, self.secret):
            return self._read(where, getattr(self._jobs.with_raw_response, action)(job_id).text, read_job)

    def jobs(self) -> Iterator[Job]:
        """
        All jobs, the newest first, page by page.

        Raises:
            TrainingError: No usable answer came.
        """
        return self._pages("GET /fine_tuning/jobs", self._jobs.with_raw_response.list, read_job)

    def events(self, job_id: str) -> Iterator[JobEvent]:
        """
        All events of a job, the newest first, page by page.

        Raises:
            TrainingError: There is no such job, or no usable answer came.
        """

        def ask(**how: Any) -> Any:
            return self._jobs.with_raw_response.list_events(job_id, **how)

        return self._pages(f"GET /fine_tuning/jobs/{job_id}/events", ask, read_event)

    def checkpoints(self, job_id: str) -> list[JobCheckpoint]:
        """
        The models that a job left behind on its way, the first step first.

        Raises:
            TrainingError: There is no such job, or no usable answer came.
        """

        def ask(**how: Any) -> Any:
            return self._jobs.checkpoints.with_raw_response.list(job_id, **how)

        found = self._pages(f"GET /fine_tuning/jobs/{job_id}/checkpoints", ask, read_checkpoint)
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def _read(self, where: str, text: str, read: Callable[[Any], T]) -> T:
        """What an answer says; one that cannot be read is none, because the client takes whatever it is sent."""
        try:
            value = json.loads(masked(text, self.secret))
        except (ValueError, RecursionError):
            hint = "is this the base URL of an OpenAI-compatible API?"
            raise NoAnswerError("what came is no JSON", where, hint) from None
        return _shaped(where, value, read)

    def _pages(self, where: str, ask: Callable[..., Any], read: Callable[[Any], T]) -> Iterator[T]:
        after: dict[str, str] = {}
        while True:
            with told(where, self.secret):
                text = ask(limit=_PAGE, **after).text
            page = self._read(where, text, _page)
            yield from (_shaped(where, value, read) for value in page["data"])
            last = page["data"][-1].get("id") if page["data"] else None
            # A server that answers with the page it was asked to go on from would never come to an end.
            if not page.get("has_more") or not last or after.get("after") == last:
                return
            after = {"after": last}


def _client(base_url: str, secret: str, environ: Mapping[str, str], timeout: float) -> Any:
    import openai

    # The client takes proxies from the environment, for a server on loopback too.
    host = urlsplit(base_url).hostname or ""
    direct = {} if proxy_for(base_url, environ) else {f"all://{host}": None}
    return openai.OpenAI(
        base_url=base_url,
        api_key=secret or NO_KEY,
        timeout=timeout,
        max_retries=2,
        http_client=openai.DefaultHttpxClient(mounts=direct),
    )


def _shaped(where: str, value: Any, read: Callable[[Any], T]) -> T:
    try:
        return read(value)
    except NoSuchShape as fault:
        hint = "is this the base URL of an OpenAI-compatible API with fine-tuning?"
        raise NoAnswerError(f"what came is unusable: {fault}", where, hint) from None


def _identified(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise NoSuchShape("something without an id")
    return value


def _page(value: Any) -> dict[str, Any]:
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NoSuchShape("no list")
    found: dict[str, Any] = value
    return found
