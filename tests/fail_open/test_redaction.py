"""A redacted sample keeps no text of the model, whichever field it is in."""

from __future__ import annotations

from dataclasses import fields

from pytest_finetune.base.records import Completion, Failure, Reply, Sample, Score, State, ToolCall
from pytest_finetune.evaluation.runs import sample_to_dict
from pytest_finetune.reports.redaction import redacted_sample

SECRET = "zeppelin"
WHOLE = Completion(
    text=SECRET,
    tool_calls=(ToolCall(SECRET, SECRET),),
    refusal=SECRET,
    reasoning=SECRET,
    logprobs=((SECRET[:4], -0.5), (SECRET[4:], -0.25)),
)
PUBLIC = {"finish_reason", "model", "usage", "latency", "retries", "from_cache", "batched"}


def test_no_field_of_an_answer_reaches_a_redacted_report():
    score = Score(passed=False, path=SECRET, detail=SECRET, label=SECRET, shape=SECRET)
    replies = (Reply("hash", WHOLE), Reply("hash", failure=Failure("scorer", SECRET)))
    sample = Sample("s", "c", 0, State.MISSED, WHOLE, score, Failure("scorer", SECRET), replies=replies)
    redacted = redacted_sample(sample)
    text = str(sample_to_dict(redacted))
    assert SECRET not in text
    assert SECRET[:4] not in text
    assert redacted.completion.probability == WHOLE.probability


def test_a_new_field_of_an_answer_has_to_be_redacted_or_public():
    hidden = redacted_sample(Sample("s", "c", 0, State.MISSED, WHOLE)).completion
    for field in fields(Completion):
        same = getattr(hidden, field.name) == getattr(WHOLE, field.name)
        assert same == (field.name in PUBLIC), field.name
