"""Wraps a target that the user's hook returned: it never raises nor waits for ever, and its errors become failures."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure, ToolCall, Usage
from pytest_finetune.base.secret_masking import error_line, masked, masked_completion, without_keys
from pytest_finetune.base.text import described
from pytest_finetune.evaluation.targets.answer_parts import text_of, usage_of
from pytest_finetune.evaluation.targets.answers import finished

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.targets import Target

_T = TypeVar("_T")

GRACE = 5.0
"""Seconds that `ask` may take beyond its deadline, and `close` altogether."""

LONGEST_OPENING = 1800.0
"""Seconds that `open` may take: it may load large weights."""


class GuardedTarget:
    """The wrapper: an exception, or a result that is not an outcome, becomes the failure of one sample."""

    def __init__(self, target: Target) -> None:
        """
        Read the target's attributes.

        Raises:
            TargetError: One of them cannot be read, or is of another type.
        """
        self._target = target
        values = {name: _attribute(target, name, str) for name in ("spec", "model", "base_url")}
        self.spec, self.model, self.base_url = values.values()
        self.immutable, self.free = (_attribute(target, name, bool) for name in ("immutable", "free"))
        self.secret: str = getattr(target, "secret", "") or os.environ.get("OPENAI_API_KEY", "").strip()

    @property
    def identity(self) -> str:
        """The identity of the wrapped target."""
        return self._target.identity

    async def open(self) -> None:
        """
        Open the wrapped target.

        Raises:
            TargetError: The wrapped target raised, or did not return.
        """
        problem = await _within(
            LONGEST_OPENING, _problem(self._target.open()), f"did not return in {LONGEST_OPENING:g} s"
        )
        if problem:
            raise TargetError(
                without_keys(f"open {problem}", self.secret), self.spec, "fix the target that the hook returned"
            )

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """The wrapped target's answer, or a failure with its error."""
        late = Failure("timeout", f"no answer within {deadline:g} s, and the target did not give up by itself")
        outcome = await _within(deadline + GRACE, self._ask(request, deadline), late)
        if isinstance(outcome, Completion):
            return masked_completion(outcome, self.secret)
        return replace(outcome, message=error_line(masked(outcome.message, self.secret), self.secret))

    async def _ask(self, request: Request, deadline: float) -> Completion | Failure:
        try:
            return _checked(await self._target.ask(request, deadline))
        except BaseException as error:
            if _is_cancelled(error):
                raise
            return Failure("target", f"ask broke: {described(error)}")

    async def close(self) -> None:
        """Close the wrapped target; whatever goes wrong, the answers are there already."""
        await _within(GRACE, _problem(self._target.close()), "")


def _attribute(target: object, name: str, kind: type[_T]) -> _T:
    try:
        value = getattr(target, name)
    except Exception as error:
        problem = f"{name} of the target of type {type(target).__name__} broke: {described(error)}"
        raise TargetError(problem, "pytest_finetune_target", "fix the target that the hook returned") from error
    if not isinstance(value, kind):
        problem = f"{name} of the target of type {type(target).__name__} is a {type(value).__name__}"
        raise TargetError(problem, "pytest_finetune_target", f"it has to be a {kind.__name__}")
    return value


async def _problem(work: Coroutine[Any, Any, None]) -> str:
    """
    What the user's code raised; empty if it returned.

    It is caught within the task: anything but an Exception would end the event loop.
    """
    try:
        await work
    except BaseException as error:
        if _is_cancelled(error):
            raise
        return f"broke: {described(error)}"
    return ""


async def _within(limit: float, work: Coroutine[Any, Any, _T], otherwise: _T) -> _T:
    """The result of `work`, or `otherwise` after `limit` seconds, even if the user's code ignores its cancellation."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=limit)
    finally:
        if not task.done():
            task.cancel()
    return task.result() if task.done() else otherwise


def _checked(outcome: Any) -> Completion | Failure:
    """The outcome, if all that it consists of is what it should be."""
    if isinstance(outcome, Failure):
        is_sound = isinstance(outcome.kind, str) and isinstance(outcome.message, str) and type(outcome.fatal) is bool
        return outcome if is_sound else Failure("target", "ask returned a Failure whose parts are of other types")
    if not isinstance(outcome, Completion):
        return Failure("target", f"ask returned {type(outcome).__name__}, and no Completion or Failure")
    if problem := _unsound(outcome):
        return Failure("target", f"ask returned a Completion whose {problem}")
    usage = outcome.usage and usage_of(
        outcome.usage.prompt,
        outcome.usage.completion,
        cached=outcome.usage.cached,
        reasoning=outcome.usage.reasoning,
        answered=bool(outcome.text),
    )
    return finished(replace(outcome, text=text_of(outcome.text, "text"), usage=usage))


def _unsound(answer: Any) -> str:
    for name in ("text", "finish_reason", "model", "refusal", "reasoning"):
        if not isinstance(getattr(answer, name), str):
            return f"{name} is not text"
    if not isinstance(answer.tool_calls, tuple) or not all(map(_is_call, answer.tool_calls)):
        return "tool_calls is not a tuple of ToolCall"
    if answer.usage is not None and not isinstance(answer.usage, Usage):
        return "usage is not a Usage"
    if not _is_number(answer.latency) or answer.latency < 0 or type(answer.retries) is not int:
        return "latency or retries is not a number of at least 0"
    if not isinstance(answer.logprobs, tuple) or not all(map(_is_piece, answer.logprobs)):
        return "logprobs is not a tuple of (text, number)"
    return ""


def _is_piece(piece: object) -> bool:
    match piece:
        case (str(), float() | int()):
            return True
    return False


def _is_call(call: object) -> bool:
    return isinstance(call, ToolCall) and isinstance(call.name, str) and isinstance(call.arguments, str)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and isfinite(value)  # type: ignore[arg-type]


def _is_cancelled(error: BaseException) -> bool:
    """The evaluation itself is being cancelled, rather than the target raising CancelledError of its own accord."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
