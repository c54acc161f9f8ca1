"""Turns any HTTP response into a Completion or a Failure; nothing raises, and secrets are masked."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.base.secret_masking import LONGEST_ERROR, error_line, masked_completion, without_keys
from pytest_finetune.evaluation.targets.answer_parts import Malformed
from pytest_finetune.evaluation.targets.chat_completions import read_completion
from pytest_finetune.evaluation.targets.content_filters import is_filtered
from pytest_finetune.evaluation.targets.embeddings import read_embeddings
from pytest_finetune.evaluation.targets.finish_reasons import known_reason
from pytest_finetune.evaluation.targets.responses_api import read_response

if TYPE_CHECKING:
    from collections.abc import Mapping

Api = Literal["chat", "responses", "embeddings"]

MAX_BODY = 16 * 1024 * 1024
"""Maximum bytes read of a response; chat completions are far smaller."""

_BY_CODE = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "billing_error": "quota",
    "insufficient_balance": "quota",
    "insufficient_credits": "quota",
    "payment_required": "quota",
    "invalid_api_key": "auth",
    "invalid_authentication": "auth",
    "authentication_error": "auth",
    "invalid_organization": "auth",
    "account_deactivated": "auth",
    "permission_error": "auth",
    "model_not_found": "not_found",
    "deploymentnotfound": "not_found",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "server_error": "server",
    "internal_server_error": "server",
    "overloaded_error": "server",
    "invalid_request_error": "bad_request",
}
_FILTERED = Completion("", finish_reason="content_filter")
"""Some servers refuse a filtered prompt with a 400; others answer with this finish reason. Both mean the same."""

_DECISIVE = frozenset({"quota", "auth", "not_found"})
"""Kinds that an error code proves whatever the status is; after them no further request can succeed."""

_BY_STATUS = {401: "auth", 402: "quota", 403: "auth", 404: "not_found", 405: "not_found", 407: "auth", 410: "not_found"}
_BY_STATUS |= dict.fromkeys((408, 409, 425), "server") | {429: "rate_limit"}


def read_http_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "", api: Api = "chat"
) -> Completion | Failure:
    """
    Classify the HTTP response to a request.

    Args:
        status: HTTP status.
        headers: Case-insensitive, or with lower-case names.
        body: As received, at most a little over `MAX_BODY`.
        secret: The API key, masked in messages and in answers that repeat it.
        api: The API that the request was sent to.

    Returns:
        A Completion without latency and retries, or a Failure. Lone surrogates in the answer become U+FFFD, so that it
        can be recorded as UTF-8.
    """
    try:
        return _read(status, headers, body, secret, api)
    except Exception as error:  # noqa: BLE001 - no bytes of a server may end the run
        return Failure("malformed", error_line(f"HTTP {status}: {type(error).__name__}: {error}", secret), status)


def read_recorded(status: int, body: Mapping[str, Any]) -> Completion | Failure:
    """The same for the body of a recorded response to a chat completion, which is parsed already."""
    if 200 <= status < 300 and not _error_holder(body):  # noqa: PLR2004 - as HTTP has it
        # Whatever is unusual is described from the text of the body.
        with suppress(Exception):
            return finished(read_completion(body), status, "")
    return read_http_answer(status, {}, compact_json(body).encode(errors="replace"))


def _read(status: int, headers: Mapping[str, str], body: bytes, secret: str, api: Api) -> Completion | Failure:
    if 200 <= status < 300:  # noqa: PLR2004 - as HTTP has it
        return _success(status, headers, body, secret, api)
    if 300 <= status < 400:  # noqa: PLR2004
        return _redirect(status, headers)
    return _refused(status, _parsed(body), body, headers, secret)


def is_billing(code: str) -> bool:
    """Whether an error code or type means that the account is out of credit or at its limit."""
    return _BY_CODE.get(code.lower()) == "quota"


def _success(status: int, headers: Mapping[str, str], body: bytes, secret: str, api: Api) -> Completion | Failure:
    if len(body) > MAX_BODY:
        return Failure("malformed", f"HTTP {status}: a body of more than {MAX_BODY >> 20} MiB", status)
    value = _parsed(body)
    if inside := _error_holder(value):
        return _error_inside(status, inside, headers, secret)
    try:
        completion = masked_completion(_READERS[api](value), secret)
    except Malformed as fault:
        detail = f"{fault}; it begins: {_excerpt(body, secret)}" if body.strip() else "an empty body"
        return Failure("malformed", error_line(f"HTTP {status} with {detail}", secret), status)
    return finished(completion, status, secret)


_READERS = {"chat": read_completion, "responses": read_response, "embeddings": read_embeddings}


def finished(completion: Completion, status: int | None = None, secret: str = "") -> Completion | Failure:
    """The completion with OpenAI's finish reason; a failure if the server did not finish the answer."""
    reason = known_reason(completion.finish_reason)
    if reason is None:
        text = f"the answer ended with the unknown finish_reason {completion.finish_reason!r}"
        return Failure("finish_reason", error_line(text, secret), status)
    if reason == "error":
        text = f"the server did not finish the answer: finish_reason {completion.finish_reason!r}"
        return Failure("server", error_line(text, secret), status)
    return completion if reason == completion.finish_reason else replace(completion, finish_reason=reason)


def _error_holder(value: Any) -> dict[str, Any] | None:
    """The object with an error: the body, or its first choice, where routers put the error of a provider."""
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return next((holder for holder in (value, choice) if isinstance(holder, dict) and holder.get("error")), None)


def _redirect(status: int, headers: Mapping[str, str]) -> Failure:
    try:
        host = urlsplit(headers.get("location", "")).hostname or ""
    except ValueError:
        host = ""
    to = f" to {host}" if host else ""
    text = f"HTTP {status}: the server redirects{to}, which is not followed; name the final address as base URL"
    return Failure("bad_request", error_line(text), status, fatal=True)


def _refused(status: int, value: Any, body: bytes, headers: Mapping[str, str], secret: str) -> Completion | Failure:
    detail, codes, filtered = _error(value)
    kinds = [_BY_CODE[code] for code in codes if code in _BY_CODE]
    if filtered:
        return _FILTERED
    kind = next((kind for kind in kinds if kind in _DECISIVE), "") or _kind_of(status)
    if not detail:
        detail = (
            "an HTML page, not an API; is the base URL right?" if _is_html(headers, body) else _excerpt(body, secret)
        )
    return Failure(kind, error_line(f"HTTP {status}: {detail}".rstrip(": "), secret), status, fatal=kind in _DECISIVE)


def _error_inside(status: int, value: dict[str, Any], headers: Mapping[str, str], secret: str) -> Completion | Failure:
    """An error in a response with a success status: classified by its own code."""
    detail, codes, filtered = _error(value)
    if filtered:
        return _FILTERED
    statuses = [int(code) for code in codes if re.fullmatch("[45][0-9][0-9]", code)]
    if statuses:
        return _refused(statuses[0], value, b"", headers, secret)
    kind = next((_BY_CODE[code] for code in codes if code in _BY_CODE), "malformed")
    text = error_line(f"HTTP {status} with an error inside: {detail}".rstrip(": "), secret)
    return Failure(kind, text, status, fatal=kind in _DECISIVE)


def _kind_of(status: int) -> str:
    return _BY_STATUS.get(status) or ("server" if status >= 500 else "bad_request")  # noqa: PLR2004


def _error(value: Any) -> tuple[str, list[str], bool]:
    """
    The message and codes of an error body, and whether it is about filtered content.

    The body has OpenAI's format or one of those of other servers, some of which put it into a list or `detail`.
    """
    if isinstance(value, dict) and not value.get("error"):
        several, one = value.get("errors"), value.get("detail")
        value = several if several and isinstance(several, list) else one if isinstance(one, dict) else value
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]
    if not isinstance(value, dict):
        return "", [], False
    error = value.get("error") or value
    if not isinstance(error, dict):
        code = value.get("code")
        codes = [str(code).lower()] if isinstance(code, str | int) else []
        return str(error), codes, is_filtered(value, str(error), codes)
    detail = next((text for name in ("message", "msg", "detail", "error") if (text := error.get(name))), "")
    detail = detail if isinstance(detail, str) else json.dumps(detail, default=str)
    # Azure's innererror is more exact than its code, which may be missing; its details are a list of errors.
    details = error.get("details")
    inside = [error.get("innererror"), *(details if isinstance(details, list) else [])]
    named = [error.get("code"), error.get("type"), *(each.get("code") for each in inside if isinstance(each, dict))]
    codes = [str(code).lower() for code in named if isinstance(code, str | int)]
    return detail, codes, is_filtered(error, detail, codes)


def _parsed(body: bytes) -> Any:
    """The JSON value of a body, or None."""
    if len(body) > MAX_BODY:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "").lower() or body.lstrip()[:15].lower().startswith(
        (b"<!doctype", b"<html")
    )


def _excerpt(body: bytes, secret: str) -> str:
    # Masked before it is cut, because part of a key would not be recognized.
    return without_keys(body.decode("utf-8", "replace"), secret)[:LONGEST_ERROR]
