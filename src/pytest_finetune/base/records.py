"""The values that pass through the house, one way: Case -> Request -> Completion -> Score -> Sample. All frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal  # noqa: TC003 - pydantic reads the annotations when a run record is loaded
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    # Python 3.11 takes a mapping proxy for a mutable default.
    return NOTHING


@dataclass(frozen=True, slots=True)
class Message:
    """
    One chat message as it goes over the wire.

    Args:
        role: `system`, `developer`, `user`, `assistant` or `tool`.
        content: Text, a list of content parts, or None beside tool calls.
        extra: Whatever else the message carries: `name`, `tool_calls`, `tool_call_id`.
    """

    role: str
    content: Any
    extra: Mapping[str, Any] = field(default_factory=_nothing)

    def to_wire(self) -> dict[str, Any]:
        """The message as the JSON object that a server expects."""
        return {"role": self.role, "content": self.content, **self.extra}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that a model calls, with its arguments as the JSON text that was written."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Case:
    """
    One line of an eval set.

    Args:
        id: The line's own `id`, or a hash of its content; unique within the set.
        line: 1-based line in the file.
        messages: The prompt, without the expected answer.
        expected: Acceptable answers, any of them: text, or a JSON value where the line held one.
        tool_calls: Expected calls, where the expected answer is calls and not text.
        tools: Tool definitions that go with the request.
        tags: Words to select and slice by.
        metadata: Any other facts to slice by.
    """

    id: str
    line: int
    messages: tuple[Message, ...]
    expected: tuple[Any, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class Request:
    """
    One question to a model, complete but for the server's address.

    Args:
        model: The model id as the server knows it.
        messages: The prompt.
        params: Everything else of the chat-completions body: temperature, limits, tools, response format.
        attempt: 0-based repeat of the same question; part of the cache key, not of the body.
        eval_set, case_id: Where the question comes from, for targets that answer from a record; never sent.
    """

    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=_nothing)
    attempt: int = 0
    eval_set: str = ""
    case_id: str = ""

    def body(self) -> dict[str, Any]:
        """The JSON body of `POST /chat/completions`."""
        return {"messages": [message.to_wire() for message in self.messages], "model": self.model, **self.params}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the server counted them; `cached` ones are part of `prompt`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """
    What a model answered.

    Args:
        text: The answer; empty when it only called tools, refused, or said nothing.
        finish_reason: The server's word: `stop`, `length`, `content_filter`, `tool_calls`, …
        model: The model name that the server answered under.
        tool_calls: Functions it called, in order.
        refusal: The refusal text, where the model refused.
        usage: Tokens, or None where the server did not count.
        latency: Seconds from sending the successful request to its last byte.
        retries: Calls that failed before this one succeeded.
        from_cache: Answered by the response cache, not by the server.
    """

    text: str
    finish_reason: str = "stop"
    model: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str = ""
    usage: Usage | None = None
    latency: float = 0.0
    retries: int = 0
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A question that got no answer: data where the program goes on.

    Args:
        kind: `connection`, `timeout`, `rate_limit`, `server`, `malformed`, `bad_request`, `auth`, `quota`,
            `not_found`, `budget` or `target`.
        message: One line for people, free of secrets.
        status: HTTP status, where there was one.
        fatal: No further question can succeed, so the run stops.
        latency: Seconds from the first try to giving up.
        retries: Tries after the first.
    """

    kind: str
    message: str
    status: int | None = None
    fatal: bool = False
    latency: float = 0.0
    retries: int = 0


class FormatFailure(StrEnum):
    """Why an answer does not have the asked form; the first that applies, in reading order."""

    EMPTY = "empty"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    FILTERED = "filtered"
    FENCED = "fenced"
    WRAPPED = "wrapped in prose"
    NOT_JSON = "not JSON"
    DUPLICATE_KEY = "duplicate key"
    NOT_FINITE = "not finite"
    MISSING_KEY = "missing key"
    EXTRA_KEY = "extra key"
    WRONG_TYPE = "wrong type"
    NOT_IN_ENUM = "not in enum"
    OUT_OF_RANGE = "out of range"
    PATTERN = "pattern"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Score:
    """
    The judgement of one answer.

    Args:
        passed: The answer is right.
        format_failure: Why the answer has not the asked form; None when it is valid.
        path: JSON path of the format failure or of the first difference, `$.slots.city`; empty for plain text.
        detail: One line for people: what was wrong.
        label: The answer after normalizing, for `label` scoring of a valid answer.
        fields: Right leaves and all leaves of the expected JSON value, for `json`, `tool_call`.
        shape: Tree of keys and JSON types of a valid JSON answer, as compact JSON text in the answer's own key
            order: `{"name":"string","age":"number"}`. Empty for plain text.
    """

    passed: bool
    format_failure: FormatFailure | None = None
    path: str = ""
    detail: str = ""
    label: str = ""
    fields: tuple[int, int] | None = None
    shape: str = ""


class State(StrEnum):
    """
    How a planned sample ended.

    `unneeded` is one that was not asked because no answer to it could have changed a verdict any more; it exists only
    under `--stop-when-decided`.
    """

    PASSED = "passed"
    MISSED = "missed"
    ERROR = "error"
    UNRUN = "unrun"
    UNNEEDED = "unneeded"


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One answer to one case: what a run is made of.

    `completion` and `score` are there when the target answered (`passed`, `missed`), `failure` when it did not
    (`error`); an `unrun` sample has neither, and a scorer that broke leaves a completion and a failure.
    `cost` is in US dollars, None when the price is unknown. `prompt_sha256` is a short hash of what was asked, so
    that a replayed answer is never scored against another question.
    """

    eval_set: str
    case_id: str
    attempt: int
    state: State
    completion: Completion | None = None
    score: Score | None = None
    failure: Failure | None = None
    cost: Decimal | None = None
    prompt_sha256: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What names the sample in its run: eval set, case id, attempt."""
        return self.eval_set, self.case_id, self.attempt
