"""The response cache: answers of a model with fixed weights are not requested, or paid for, again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Completion, ToolCall, Usage
from pytest_finetune.evaluation.targets.answer_store import AnswerStore

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Failure, Request
    from pytest_finetune.evaluation.targets import Target

FORMAT = 1
"""Part of every key; raised when the meaning of stored answers changes, so that old ones are no longer found."""

_COMPLETE = ("stop", "tool_calls")


class CachedTarget:
    """
    A target that caches its complete answers, if its id always means the same weights.

    An answer is found again by the target's identity (else its base URL), the model, the whole request, the attempt,
    and the number of earlier cases of the session that send the same request. So k repeats stay k answers, and two
    cases with the same request each have their own, whatever their timing. Failures, truncated, filtered, refused
    and empty answers are not kept. A cache that cannot be read or written only costs time: see `warnings`.

    Args:
        target: Answers the requests that are not cached.
        directory: Folder of the cache; created if missing, and safe to share between processes.
    """

    def __init__(self, target: Target, directory: Path) -> None:
        self._target = target
        self.spec, self.model, self.base_url = target.spec, target.model, target.base_url
        self.immutable = target.immutable
        self.free = target.free
        self.version: str = getattr(target, "version", "")
        self.secret: str = getattr(target, "secret", "")
        self._store = AnswerStore(directory / "answers.sqlite3") if target.immutable else None
        self._prefix = ""

    @property
    def identity(self) -> str:
        """The identity of the cached target."""
        return self._target.identity or self.base_url

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the cache file."""
        return () if self._store is None else tuple(self._store.warnings)

    async def open(self) -> None:
        """Open the target and the cache."""
        await self._target.open()
        if self._store is not None:
            # Hashing gigabytes of weights must not block the event loop.
            identity = await asyncio.to_thread(getattr, self, "identity")
            self._prefix = _dump([FORMAT, identity, self.model])
            self._store.open()

    async def close(self) -> None:
        """Write pending answers, and close the target."""
        if self._store is not None:
            self._store.close()
        await self._target.close()

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """The cached answer, marked `from_cache`, or else the target's."""
        key = None if self._store is None else self._key(request)
        if self._store is None or key is None:
            return await self._target.ask(request, deadline)
        if known := _decode(self._store.get(key)):
            return known
        outcome = await self._target.ask(request, deadline)
        if isinstance(outcome, Completion) and is_whole(outcome):
            self._store.put(key, _encode(outcome))
        return outcome

    def _key(self, request: Request) -> bytes | None:
        """None if the request is not JSON; the target then reports it."""
        try:
            own = [request.attempt, request.copy] if request.copy else [request.attempt]
            content = _dump([request.body(), *own, *([] if request.api == "chat" else [request.api])])
        except (TypeError, ValueError, RecursionError):
            return None
        return hashlib.sha256(f"{self._prefix}{content}".encode()).digest()


def is_whole(completion: Completion) -> bool:
    """Whether an answer is complete: it ended by itself, and has text or tool calls."""
    has_answer = bool(completion.text or completion.tool_calls)
    return has_answer and not completion.refusal and completion.finish_reason in _COMPLETE


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=dict)


def _encode(completion: Completion) -> str:
    usage = completion.usage
    return _dump(
        [
            completion.text,
            completion.finish_reason,
            completion.model,
            [[call.name, call.arguments] for call in completion.tool_calls],
            None if usage is None else [usage.prompt, usage.completion, usage.cached, usage.reasoning],
            completion.reasoning,
            completion.logprobs,
        ]
    )


def _decode(stored: str | None) -> Completion | None:
    """The stored answer; None if there is none or the entry is damaged, which is then requested and stored again."""
    if stored is None:
        return None
    try:
        # Entries of earlier versions end with the usage, or with the reasoning.
        text, finish_reason, model, calls, usage, *others = json.loads(stored)
        reasoning, logprobs = (others + ["", []][len(others) :])[:2]
        completion = Completion(
            text=text,
            finish_reason=finish_reason,
            model=model,
            tool_calls=tuple(ToolCall(name, arguments) for name, arguments in calls),
            usage=None if usage is None else Usage(*usage),
            reasoning=reasoning,
            logprobs=tuple((piece, logprob) for piece, logprob in logprobs),
        )
    except (ValueError, TypeError):
        return None
    return replace(completion, from_cache=True) if is_whole(completion) else None
