"""What `--finetune-redact` shows instead of a text: a fingerprint that distinguishes texts without revealing them."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.base.records import ToolCall

if TYPE_CHECKING:
    from pytest_finetune.base.records import Completion, Failure, Sample, Score

OWN_WORDS = frozenset({"connection", "timeout", "budget", "record"})
"""Kinds of failure whose message this project writes; others may quote a prompt or an answer."""

_HIDDEN = re.compile(r"sha256:[0-9a-f]{12}, [0-9,]+ characters?")
_IN_RECORD = "the reason is in the run record"


def hidden(text: str) -> str:
    """
    A text's fingerprint and length: `sha256:0123456789ab, 34 characters`.

    Equal texts have equal fingerprints in every report. A text that can be guessed, such as a label, can be found
    by hashing guesses.
    """
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"sha256:{digest}, {len(text):,} character{'' if len(text) == 1 else 's'}"


def is_hidden(text: str) -> bool:
    """Whether the text is a result of `hidden`."""
    return _HIDDEN.fullmatch(text) is not None


def failure_words(failure: Failure, *, redact: bool) -> str:
    """`kind: message`; redacted, a message that may quote the prompt or the answer is replaced by the HTTP status."""
    message = redacted_message(failure) if redact else failure.message
    return ": ".join(part for part in (failure.kind, message) if part) or _IN_RECORD


def redacted_message(failure: Failure) -> str:
    """The message of a failure if it is this project's own, else the HTTP status, if any."""
    if failure.kind in OWN_WORDS:
        return failure.message
    return f"HTTP {failure.status}" if failure.status else ""


def redacted_sample(sample: Sample) -> Sample:
    """The sample with a fingerprint for its answer, and without what may quote it: path, label, shape, detail."""
    completion, score, failure = sample.completion, sample.score, sample.failure
    return replace(
        sample,
        completion=completion and _redacted_completion(completion),
        score=score and _redacted_score(score),
        failure=failure and _redacted_failure(failure),
        replies=tuple(
            replace(
                reply,
                completion=reply.completion and _redacted_completion(reply.completion),
                failure=reply.failure and _redacted_failure(reply.failure),
            )
            for reply in sample.replies
        ),
    )


def _redacted_failure(failure: Failure) -> Failure:
    return replace(failure, message=redacted_message(failure) or _IN_RECORD)


def _redacted_score(score: Score) -> Score:
    parts = score.parts and {name: _redacted_score(part) for name, part in score.parts.items()}
    return replace(score, path="", detail="", label="", shape="", parts=parts)


def _redacted_completion(completion: Completion) -> Completion:
    calls = tuple(ToolCall(hidden(call.name), hidden(call.arguments)) for call in completion.tool_calls)
    texts = (completion.text, completion.refusal, completion.reasoning)
    text, refusal, reasoning = (hidden(text) if text else "" for text in texts)
    # The pieces of the text would spell it.
    logprobs = tuple(("", logprob) for _, logprob in completion.logprobs)
    return replace(completion, text=text, refusal=refusal, reasoning=reasoning, tool_calls=calls, logprobs=logprobs)
