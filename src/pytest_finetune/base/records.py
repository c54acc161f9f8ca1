"""The records that pass through the layers: Case -> Request -> Completion -> Score -> Sample. All are frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal  # noqa: TC003 - pydantic reads the annotations when a run record is loaded
from enum import StrEnum
from math import exp, fsum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    # Python 3.11 rejects a mapping proxy as a dataclass default, as if it were mutable.
    return NOTHING


@dataclass(frozen=True, slots=True)
class Message:
    """
    One chat message in the form that a server expects.

    Args:
        role: `system`, `developer`, `user`, `assistant` or `tool`.
        content: Text, a list of content parts, or None with tool calls.
        extra: All other keys: `name`, `tool_calls`, `tool_call_id`.
    """

    role: str
    content: Any
    extra: Mapping[str, Any] = field(default_factory=_nothing)

    def to_wire(self) -> dict[str, Any]:
        """The message as the JSON object that a server expects."""
        return {"role": self.role, "content": self.content, **self.extra}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call by a model; `arguments` is the JSON text as the model wrote it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Case:
    """
    One line of an eval set.

    Args:
        id: The `id` of the line, or a hash of its content; unique within the eval set.
        line: 1-based line in the file.
        messages: The prompt, without the expected answer.
        expected: Acceptable answers, any of which is right: text, or a JSON value if the line has one.
        tool_calls: Expected calls, if the expected answer is calls and not text.
        tools: Tool definitions sent with the request.
        accept: By JSON path, values that are right there besides the expected one, for `json` and `tool_call`.
        tags: For `-k` and for slices.
        metadata: Other values for slices.
        group: What the case has in common with others, so that they are not independent: a template, a conversation, a
            customer, a document; empty for a case of its own.
    """

    id: str
    line: int
    messages: tuple[Message, ...]
    expected: tuple[Any, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=_nothing)
    accept: Mapping[str, Any] = field(default_factory=_nothing)
    group: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request to a model, complete except for the server's address.

    Args:
        model: The model id that is sent.
        messages: The prompt.
        params: All other keys of the body: temperature, limits, tools, response format.
        attempt: 0-based number of the repeat; part of the cache key, not of the body.
        eval_set, case_id: Origin of the request, for targets that answer from a record; never sent.
        copy: Number of earlier cases of the session that send the same request; part of the cache key.
        api: The API that it is sent to: `chat` for chat completions, `responses`, or `embeddings`, where the messages
            are texts, and the answer is how similar the first one is to each of the others.
    """

    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=_nothing)
    attempt: int = 0
    eval_set: str = ""
    case_id: str = ""
    copy: int = 0
    api: Literal["chat", "responses", "embeddings"] = "chat"

    def body(self) -> dict[str, Any]:
        """The JSON body of `POST /chat/completions`."""
        return {"messages": [message.to_wire() for message in self.messages], "model": self.model, **self.params}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as counted by the server; `cached` ones are part of `prompt`, `reasoning` ones part of `completion`."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """
    The answer of a model.

    Args:
        text: The text; empty if the model only called tools, refused, or wrote nothing.
        finish_reason: As reported by the server: `stop`, `length`, `content_filter`, `tool_calls`, …
        model: Model name in the response.
        tool_calls: The calls, in order.
        refusal: The refusal text, if the model refused.
        usage: Tokens, or None if the server reports none.
        latency: Seconds from sending the successful request to its last byte.
        retries: Failed requests before this one succeeded.
        from_cache: Whether it comes from the response cache, not from the server.
        batched: Whether it was requested in a batch, which has its own price and measures no latency.
        reasoning: What the model wrote before the answer, if the server or the settings keep it apart.
        logprobs: The pieces that make up `text`, each with its natural log probability; empty if they are not known. A
            piece is a token, or several whose bytes are only together text.
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
    reasoning: str = ""
    logprobs: tuple[tuple[str, float], ...] = ()
    batched: bool = False

    @property
    def is_timed(self) -> bool:
        """Whether `latency` was measured."""
        return not (self.from_cache or self.batched)

    @property
    def probability(self) -> float | None:
        """
        The probability that the model gave to this text, in [0, 1]; None if it is not known.

        It is the product of the probabilities of its tokens, without the end of the text, which not all servers report.
        """
        if not self.logprobs:
            return None
        found = exp(min(fsum(logprob for _, logprob in self.logprobs), 1.0))
        # NaN is not in the range either; a target of the user's may report anything.
        return found if 0 <= found <= 1 else None


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A request without an answer, as data, because the run continues.

    Args:
        kind: `connection`, `timeout`, `rate_limit`, `server`, `malformed`, `bad_request`, `auth`, `quota`,
            `not_found`, `budget` or `target`.
        message: One line for people, without secrets.
        status: HTTP status, if there was a response.
        fatal: No further request can succeed, so the run stops.
        latency: Seconds from the first attempt to giving up.
        retries: Attempts after the first.
    """

    kind: str
    message: str
    status: int | None = None
    fatal: bool = False
    latency: float = 0.0
    retries: int = 0


class FormatFailure(StrEnum):
    """Why an answer does not have the required format; the first one that applies, from the start of the answer."""

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
    The score of one answer.

    Args:
        passed: Whether the answer is right.
        format_failure: Why the answer does not have the required format; None if it is valid.
        path: JSON path of the format failure or of the first difference, `$.slots.city`; empty for plain text.
        detail: What is wrong, in one line for people.
        label: The answer after normalizing, for `label` scoring of a valid answer.
        value: How near the answer is to an expected one, from 0 to 1, for scorers with a `threshold`.
        fields: Number of right leaves and of all leaves of the expected JSON value, for `json` and `tool_call`.
        wrong: JSON paths that differ from the expected value, for gates on a `field`; `$` means all of them. None if no
            path differs, and for an answer without a valid value.
        shape: Tree of keys and JSON types of a valid JSON answer, as compact JSON text in the answer's own key
            order: `{"name":"string","age":"number"}`. Empty for plain text.
        undecided: Scoring was given up, for example because it took too long: the answer counts as wrong, and so it
            does for `not`.
        parts: By name, the scores of the set's scorers that do not decide whether the answer passed; None if one scorer
            is all it has.
    """

    passed: bool
    format_failure: FormatFailure | None = None
    path: str = ""
    detail: str = ""
    label: str = ""
    value: float | None = None
    fields: tuple[int, int] | None = None
    wrong: tuple[str, ...] | None = None
    shape: str = ""
    undecided: bool = False
    parts: dict[str, Score] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a model replied that a scorer asked about an answer, such as a judge: a completion or a failure.

    Args:
        request_sha256: Hash of the whole request; a recorded reply is used again only for the same request.
        completion: None if there is none.
        failure: Why there is none.
        cost: US dollars; None if the price is unknown.
        scorer: Name of the scorer that asked; empty for the one that decides whether the answer passed.
    """

    request_sha256: str
    completion: Completion | None = None
    failure: Failure | None = None
    cost: Decimal | None = None
    scorer: str = ""


class State(StrEnum):
    """
    The final state of a planned sample.

    `unneeded` means that no request was sent, because the verdicts were decided without it: with `--stop-when-decided`,
    or by sequential gates.
    """

    PASSED = "passed"
    MISSED = "missed"
    ERROR = "error"
    UNRUN = "unrun"
    UNNEEDED = "unneeded"


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One attempt at one case; a run consists of samples.

    `completion` and `score` are set if the target answered (`passed`, `missed`), `failure` if it did not (`error`). An
    `unrun` sample has none; if the scorer raised, there are a completion and a failure. `cost` is in US dollars, None
    if the price is unknown. `prompt_sha256` is a short hash of the prompt, so that a replayed answer is never
    scored against another prompt. `replies` are those of the models that the scorers asked, if they ask any.
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
    replies: tuple[Reply, ...] = ()

    @property
    def total_cost(self) -> Decimal | None:
        """US dollars of the answer and of all replies about it; None if the price of any is unknown."""
        total = self.cost
        for reply in self.replies:
            total = None if total is None or reply.cost is None else total + reply.cost
        return total

    @property
    def key(self) -> tuple[str, str, int]:
        """The key of the sample within its run: eval set, case id, attempt."""
        return self.eval_set, self.case_id, self.attempt
