"""Stored completions of an account as a file that `import` reads: each with the messages that were sent."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
from pytest_finetune.evaluation.targets.official_client import make_client
from pytest_finetune.evaluation.targets.openai import DEFAULT_BASE_URL
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, read_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from openai import OpenAI

_PAGE = 100


def fetch_stored(
    model: str,
    target: Path,
    *,
    base_url: str | None = None,
    limit: int = 10_000,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """
    Append the stored completions of a model to a JSONL file; those in it already are not fetched again.

    Args:
        model: The model that answered.
        target: The file. It is complete only when the function returns, but each of its lines is.
        base_url: The server; None takes the one that the environment names.
        limit: Largest number of completions in the file.
        progress: Called after each completion with the number in the file, and the limit.

    Returns:
        Number of completions in the file.

    Raises:
        DataError: A request failed, or the file cannot be written.
        TargetError: The server must not receive the key.
    """
    import openai

    if os.environ.get("OPENAI_API_KEY", "").strip():
        refuse_to_send_key(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    known = _ids(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with make_client(base_url, max_retries=4) as client, target.open("ab") as file:
            for row in _stored(client, model):
                if len(known) >= limit:
                    break
                if row["id"] in known:
                    continue
                row["messages"] = list(_pages(partial(_messages, client, row["id"])))
                file.write(compact_json(row).encode() + b"\n")
                file.flush()
                known.add(row["id"])
                if progress:
                    progress(len(known), limit)
    except openai.OpenAIError as error:
        hint = "check OPENAI_API_KEY, and that its project may read stored completions; the same command resumes"
        raise DataError(f"stored completions: {error_line(str(error))}", "GET /chat/completions", hint) from error
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", str(target), "check the folder") from error
    return len(known)


def _ids(path: Path) -> set[str]:
    """The completions in the file, whose torn last line is cut off."""
    if not path.exists():
        return set()
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        path.write_bytes(data[: data.rfind(b"\n") + 1])
    rows = read_jsonl(path)
    return {str(row.value.get("id")) for row in rows if not isinstance(row, LeftOut)}


def _stored(client: OpenAI, model: str) -> Iterator[dict[str, Any]]:
    from openai import omit

    def page(after: str) -> str:
        listed = client.chat.completions.with_raw_response.list
        return listed(model=model, limit=_PAGE, order="asc", after=after or omit).text

    for row in _pages(page):
        if isinstance(row.get("id"), str):
            yield row


def _messages(client: OpenAI, completion: str, after: str) -> str:
    from openai import omit

    return client.chat.completions.messages.with_raw_response.list(completion, limit=_PAGE, after=after or omit).text


def _pages(page: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        try:
            body = json.loads(page(after))
            rows = [row for row in body["data"] if isinstance(row, dict)]
        except (ValueError, RecursionError, KeyError, TypeError):
            raise DataError("the response is not a list", "GET /chat/completions", "has the server this API?") from None
        yield from rows
        # A server that repeats its last page must not be asked for ever.
        last = str(rows[-1].get("id", "")) if rows else ""
        if not body.get("has_more") or not last or last == after:
            return
        after = last
