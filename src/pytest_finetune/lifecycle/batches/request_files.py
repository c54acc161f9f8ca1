"""The requests of a plan as files in the format of OpenAI's batch API, which vLLM and others read too."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import PendingFile
from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.targets.request_body import PATHS, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.plan import Key

MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
"""Of one file, the limits of OpenAI's API: https://developers.openai.com/api/docs/guides/batch, read 2026-11-29."""

BatchApi = Literal["chat", "responses"]


@dataclass(frozen=True, slots=True)
class RequestFile:
    """
    One file of requests.

    Args:
        nonce: The start of all its ids.
        api: The API of all its requests.
        path: The file.
        requests: Number of requests.
    """

    nonce: str
    api: BatchApi
    path: Path
    requests: int


@dataclass(slots=True)
class RequestFiles:
    """
    The files of a plan.

    Args:
        files: In the order of the requests.
        refused: What cannot be requested in a batch, by the key of its sample.
    """

    files: list[RequestFile] = field(default_factory=list)
    refused: dict[Key, Failure] = field(default_factory=dict)


def new_nonce() -> str:
    """An id that no other batch has."""
    return secrets.token_hex(8)


def key_of(request: Request) -> Key:
    """The key of the sample that sends the request."""
    return request.eval_set, request.case_id, request.attempt


def custom_id(nonce: str, key: Key) -> str:
    """The id of a request in its file: the nonce, and a hash of the sample's key, which may be any text."""
    digest = sha256(json.dumps(key).encode()).hexdigest()
    return f"{nonce}-{digest[:24]}"


def read_ids(path: Path) -> list[str]:
    """
    The ids of the requests in a file.

    Raises:
        RunError: The file cannot be read.
    """
    try:
        with path.open("rb") as lines:
            return [str(json.loads(line)["custom_id"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file of requests"
        raise RunError(f"the requests of a batch cannot be read: {reason}", str(path), "run without --resume") from None


def write_requests(
    requests: Iterable[Request],
    folder: Path,
    name: Callable[[str, int], str],
    *,
    prefix: str = "/v1",
    split: bool = True,
    most_bytes: int | None = None,
) -> RequestFiles:
    """
    Write the requests as files, each for one API.

    Args:
        requests: Those of the plan.
        folder: Where the files are written; private, as they contain prompts.
        name: The name of a file, from its nonce and its number.
        prefix: Start of the paths that the lines name.
        split: Keep each file within the limits of a server.
        most_bytes: The server's own limit on the size of a file; None for `MOST_BYTES`.

    Raises:
        RunError: A file cannot be written.
    """
    written = RequestFiles()
    limits = (MOST_REQUESTS, most_bytes or MOST_BYTES) if split else (sys.maxsize, sys.maxsize)
    by_api: dict[BatchApi, list[Request]] = {"chat": [], "responses": []}
    for request in requests:
        if request.api == "embeddings":
            written.refused[key_of(request)] = Failure("batch", "embeddings are not requested in batches")
        else:
            by_api[request.api].append(request)
    for api, of_api in by_api.items():
        left = iter(_lines(of_api, f"{prefix}{PATHS[api]}", written.refused))
        line = next(left, None)
        while line is not None:
            one = new_nonce()
            path = folder / name(one, len(written.files) + 1)
            count, line = _write(path, one, line, left, limits=limits)
            written.files.append(RequestFile(one, api, path, count))
    return written


_Line = tuple["Key", bytes]
"""A sample's key, and what follows the id in its line."""


def _lines(requests: Iterable[Request], url: str, refused: dict[Key, Failure]) -> Iterator[_Line]:
    for request in requests:
        body = encode(request)
        if isinstance(body, Failure):
            refused[key_of(request)] = body
        else:
            yield key_of(request), b'","method":"POST","url":"%s","body":%s}\n' % (url.encode(), body)


def _write(
    path: Path, nonce: str, line: _Line | None, left: Iterator[_Line], *, limits: tuple[int, int]
) -> tuple[int, _Line | None]:
    """Write lines up to the limits of one file; returns their number, and the first line of the next file."""
    count = size = 0
    try:
        with PendingFile(path, private=True) as pending:
            while line is not None:
                key, rest = line
                text = b'{"custom_id":"%s%s' % (custom_id(nonce, key).encode(), rest)
                if count and (count == limits[0] or size + len(text) > limits[1]):
                    break
                pending.file.write(text)
                count, size, line = count + 1, size + len(text), next(left, None)
            pending.commit()
    except OSError as error:
        raise RunError(f"cannot be written: {error.strerror}", str(path), "free some space, then --resume") from error
    return count, line
