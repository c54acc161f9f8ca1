"""Errors of the fine-tuning API: the server refused a request, or its outcome is unknown."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.answers import is_billing
from pytest_finetune.lifecycle.training.advice import advice_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

_MAYBE_DONE = frozenset({408, 409, 425})
"""HTTP statuses below 500 after which the request may have been carried out."""

_SLOW_DOWN = 429
_CONNECT = "check --base-url or OPENAI_BASE_URL, and that the server is running"


class NoAnswerError(TrainingError):
    """There was no usable response; the request may have been carried out anyway."""


class RefusedError(TrainingError):
    """
    The server refused a request and did nothing.

    Args:
        problem, where, hint: As in every error.
        status: The HTTP status.
        code: The server's error code, or its error type where that says more; empty if it sent neither.
    """

    def __init__(self, problem: str, where: str = "", hint: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(problem, where, hint)
        self.args = (problem, where, hint, status, code)
        self.status, self.code = status, code

    @property
    def is_temporary(self) -> bool:
        """Whether this is a rate limit, after which the same request can succeed a little later."""
        return self.status == _SLOW_DOWN and not is_billing(self.code)


@contextmanager
def translated_errors(where: str, secret: str) -> Iterator[None]:
    """
    Translate the official client's exceptions into this project's errors.

    Args:
        where: The request, such as `POST /fine_tuning/jobs`.
        secret: The API key, which is masked in messages.

    Raises:
        RefusedError: The server refused the request.
        NoAnswerError: It is unknown whether the request was carried out.
    """
    import openai

    try:
        yield
    except openai.APITimeoutError as error:
        raise NoAnswerError("timed out", where, _CONNECT) from error
    except openai.APIConnectionError as error:
        reason = str(error.__cause__ or error) or type(error.__cause__ or error).__name__
        raise NoAnswerError(f"no connection: {error_line(reason, secret)}", where, _CONNECT) from error
    except openai.APIStatusError as error:
        raise _status_error(error, where, secret) from error
    except openai.OpenAIError as error:
        raise TrainingError(error_line(str(error), secret), where) from error


def _status_error(error: openai.APIStatusError, where: str, secret: str) -> TrainingError:
    details = _details(error)
    code, kind, param = (error_line(str(details.get(key) or ""), secret) for key in ("code", "type", "param"))
    # Servers other than OpenAI's may name a billing problem in the type alone.
    code = kind if is_billing(kind) else code
    message = error_line(str(details.get("message") or error.response.reason_phrase or "no reason given"), secret)
    problem = f"HTTP {error.status_code}: {message}"
    if error.status_code >= 500 or error.status_code in _MAYBE_DONE:  # noqa: PLR2004 - HTTP server errors
        return NoAnswerError(problem, where, "the server has a problem; try again later")
    return RefusedError(problem, where, advice_for(code, message, param), error.status_code, code)


def _details(error: openai.APIStatusError) -> dict[str, Any]:
    """The error object of the response; the client unwraps it if it has OpenAI's shape."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else {"message": inner}
    return {"message": body} if isinstance(body, str) and body.strip() else {}
