"""The output and error files of a batch as outcomes: a line that is unknown, repeated or missing is never an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.base.text import printable
from pytest_finetune.evaluation.targets.answers import read_http_answer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.lifecycle.batches.request_files import BatchApi

_OK = 200
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Collected:
    """
    What the files of a batch say.

    Args:
        outcomes: By the key of the sample, one for each request.
        faults: What is wrong with the files, for the warnings of the run.
    """

    outcomes: dict[Key, Completion | Failure]
    faults: tuple[str, ...]


def read_answers(
    lines: Iterable[bytes],
    keys: Mapping[str, Key],
    *,
    known: Collection[str] = (),
    name: str,
    api: BatchApi,
    missing: str,
    secret: str = "",
) -> Collected:
    """
    The outcome of each request of a batch.

    Args:
        lines: Of the output file and the error file, in any order.
        keys: The key of each request's sample, by its id.
        known: Ids of requests whose answers are on record already.
        name: What the batch is called in messages.
        api: The API of its requests.
        missing: Why a request may have no line.
        secret: The API key, which is masked.
    """
    outcomes: dict[Key, Completion | Failure] = {}
    unknown: list[str] = []
    repeated: list[str] = []
    unreadable = 0
    for line in filter(None, map(bytes.strip, lines)):
        row = _parsed(line)
        if row is None:
            unreadable += 1
            continue
        given = str(row.get("custom_id"))
        key = keys.get(given)
        if key is None:
            unknown += [] if given in known else [given]
        elif key in outcomes:
            repeated.append(key[1])
            outcomes[key] = Failure("batch", "the output has several lines for this request")
        else:
            outcomes[key] = _outcome(row, api, secret)
    absent = [key for key in keys.values() if key not in outcomes]
    outcomes |= {key: Failure("batch", missing) for key in absent}
    faults = (
        _named(name, "is not JSON", unreadable),
        _named(name, "answers no request that was sent", len(unknown), unknown),
        _named(name, "repeats a request", len(repeated), repeated),
        f"{name}: {len(absent):,} of {len(keys):,} requests have no line ({_examples([key[1] for key in absent])})"
        if absent
        else "",
    )
    return Collected(outcomes, tuple(filter(None, faults)))


def _named(name: str, what: str, count: int, examples: Iterable[str] = ()) -> str:
    if not count:
        return ""
    shown = _examples(list(examples))
    return f"{name}: {count:,} line{'' if count == 1 else 's'} of the output {what}{shown and f' ({shown})'}"


def _examples(names: list[str]) -> str:
    more = f", {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(printable(name)[:60] for name in names[:_SHOWN]) + more


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _outcome(row: Mapping[str, Any], api: BatchApi, secret: str) -> Completion | Failure:
    """The outcome of a line, read as the same response over HTTP would be; no failure of one line stops the others."""
    response, error = row.get("response"), row.get("error")
    body = response.get("body") if isinstance(response, Mapping) else None
    if not isinstance(response, Mapping) or (error and not body):
        return Failure("batch", error_line(_reason(error), secret))
    status = response.get("status_code", _OK)
    status = status if isinstance(status, int) and not isinstance(status, bool) else 0
    text = body if isinstance(body, str) else compact_json(body)
    outcome = read_http_answer(status, {}, text.encode(errors="replace"), secret=secret, api=api)
    if isinstance(outcome, Failure):
        return replace(outcome, fatal=False)
    if error:
        return Failure("batch", error_line(_reason(error), secret))
    return replace(outcome, batched=True)


def _reason(error: object) -> str:
    if isinstance(error, Mapping):
        parts = [str(error[key]) for key in ("code", "message") if error.get(key)]
        return ": ".join(parts) or "the batch reports an error without a reason"
    return str(error) if error else "the line has neither a response nor an error"
