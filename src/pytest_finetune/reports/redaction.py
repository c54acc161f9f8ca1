"""What `--finetune-redact` shows instead of a text: enough to tell two texts apart, nothing to read."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.base.records import ToolCall

if TYPE_CHECKING:
    from pytest_finetune.base.records import Completion, Failure, Sample

OWN_WORDS = frozenset({"connection", "timeout", "budget", "record"})
"""Kinds of failure whose message is this project's own; any other may repeat what was asked or answered."""

_HIDDEN = re.compile(r"sha256:[0-9a-f]{12}, [0-9,]+ characters?")
_KIND = re.compile(r"(?:(\w+): )?(?:HTTP [0-9]{3})?")


def hidden(text: str) -> str:
    """
    A text's fingerprint and length: `sha256:0123456789ab, 34 characters`.

    Equal texts have equal fingerprints in every report. The fingerprint of a text that can be guessed, such as a
    label, can be found by trying.
    """
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"sha256:{digest}, {len(text):,} character{'' if len(text) == 1 else 's'}"


def is_hidden(text: str) -> bool:
    """The text is what `hidden` has made of another."""
    return _HIDDEN.fullmatch(text) is not None


def failure_words(failure: Failure, *, redact: bool) -> str:
    """`kind: message` of a failure; redacted, a message that others had a hand in is left out but for the status."""
    return stop_words(f"{failure.kind}: {failure.message}", redact=redact)


def stop_words(told: str, *, redact: bool) -> str:
    """As `failure_words`, of a failure that is text already, with its kind or without."""
    kind = _KIND.match(told)
    if not redact or kind is None or kind[1] in OWN_WORDS:
        return told
    return kind[0].removesuffix(": ") or "the reason is in the record"


def redacted_sample(sample: Sample) -> Sample:
    """The sample with fingerprints for the answer, and without what else quotes it: paths, labels, shapes, reasons."""
    completion, score, failure = sample.completion, sample.score, sample.failure
    return replace(
        sample,
        completion=completion and _redacted_completion(completion),
        score=score and replace(score, path="", detail="", label="", shape=""),
        failure=failure and replace(failure, message=_message(failure)),
    )


def _redacted_completion(completion: Completion) -> Completion:
    calls = tuple(ToolCall(hidden(call.name), hidden(call.arguments)) for call in completion.tool_calls)
    text, refusal = (hidden(said) if said else "" for said in (completion.text, completion.refusal))
    return replace(completion, text=text, refusal=refusal, tool_calls=calls)


def _message(failure: Failure) -> str:
    if failure.kind in OWN_WORDS:
        return failure.message
    return stop_words(failure.message, redact=True)
