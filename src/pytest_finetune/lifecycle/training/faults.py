"""The two ways in which a server does not do as asked: it says no, or nobody knows what it did."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.evaluation.targets.answers import clean
from pytest_finetune.lifecycle.training.advice import advice_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai

_MAYBE_DONE = frozenset({408, 409, 425})
"""Statuses below 500 that leave open whether the request was carried out."""

_SLOW_DOWN = 429
_CONNECT = "check --base-url or OPENAI_BASE_URL, and that the server runs"


class NoAnswerError(TrainingError):
    """No usable answer came: the request may have been carried out all the same."""


class RefusedError(TrainingError):
    """
    The server said no, and did nothing.

    Args:
        problem, where, hint: As in every error.
        status: The HTTP status.
        code: The server's own word for the reason; empty where it has none.
    """

    def __init__(self, problem: str, where: str = "", hint: str = "", status: int = 0, code: str = "") -> None:
        super().__init__(problem, where, hint)
        self.args = (problem, where, hint, status, code)
        self.status, self.code = status, code

    @property
    def will_pass(self) -> bool:
        """A question asked too fast; the same one will be answered a little later."""
        return self.status == _SLOW_DOWN and "quota" not in self.code


@contextmanager
def told(where: str, secret: str) -> Iterator[None]:
    """
    Turn what the official client raises into this project's errors.

    Args:
        where: What was asked, `POST /fine_tuning/jobs`.
        secret: The API key, which no message shows.

    Raises:
        RefusedError: The server said no.
        NoAnswerError: It cannot be known whether it did as asked.
    """
    import openai

    try:
        yield
    except openai.APITimeoutError as error:
        raise NoAnswerError("no answer in time", where, _CONNECT) from error
    except openai.APIConnectionError as error:
        reason = str(error.__cause__ or error) or type(error.__cause__ or error).__name__
        raise NoAnswerError(f"no connection: {clean(reason, secret)}", where, _CONNECT) from error
    except openai.APIStatusError as error:
        raise _status_error(error, where, secret) from error
    except openai.OpenAIError as error:
        raise TrainingError(clean(str(error), secret), where) from error


def _status_error(error: openai.APIStatusError, where: str, secret: str) -> TrainingError:
    said = _said(error)
    code, param = (clean(str(said.get(key) or ""), secret) for key in ("code", "param"))
    message = clean(str(said.get("message") or error.response.reason_phrase or "no reason given"), secret)
    problem = f"HTTP {error.status_code}: {message}"
    if error.status_code >= 500 or error.status_code in _MAYBE_DONE:  # noqa: PLR2004 - HTTP's own border
        return NoAnswerError(problem, where, "the fault is the server's: try again a little later")
    return RefusedError(problem, where, advice_for(code, message, param), error.status_code, code)


def _said(error: openai.APIStatusError) -> dict[str, Any]:
    """The error object of the answer; the client unwraps it where it is shaped as OpenAI's."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        return inner if isinstance(inner, dict) else {"message": inner}
    return {"message": body} if isinstance(body, str) and body.strip() else {}
