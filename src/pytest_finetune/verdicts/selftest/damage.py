"""Typical bad answers, made from right ones. Only an answer that the eval set's own scorer rejects is damage."""

from __future__ import annotations

from collections import Counter
from copy import copy
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_finetune.base.records import Completion, Failure, Sample, State
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.verdicts.evalset.scorer import json_text
from pytest_finetune.verdicts.selftest.perfect import scored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_finetune.verdicts.evalset import EvalSet

T = TypeVar("T")

TRIES = 8
"""Variants of one kind that are tried for a case until the scorer rejects one."""


class DamageKind(StrEnum):
    """How an answer is bad; `error` means that there is none."""

    EMPTY = "empty"
    FENCED = "fenced"
    ANOTHER = "another case's answer"
    WRONG_LABEL = "wrong label"
    TRUNCATED = "truncated"
    EXTRA_KEY = "extra key"
    WRONG_TYPE = "wrong type"
    NO_FIELDS = "no fields"
    ARBITRARY = "arbitrary text"
    CONSTANT = "a constant answer"
    MOST_FREQUENT = "the most frequent answer"
    ERROR = "error"


USELESS = (DamageKind.EMPTY, DamageKind.NO_FIELDS, DamageKind.ARBITRARY, DamageKind.CONSTANT, DamageKind.MOST_FREQUENT)
"""What a model answers that has learnt nothing; the last two are right answers to some of the cases."""

_TEXT = "The quick brown fox jumps over the lazy dog, which is not an answer."


@dataclass(frozen=True, slots=True)
class Damage:
    """
    One kind of damage, in every case of an eval set where it is possible.

    Args:
        kind: The kind.
        samples: By case id, the damaged sample of each case where the scorer rejects it.
        unnoticed: Ids of the cases where the scorer accepts every variant.
    """

    kind: DamageKind
    samples: Mapping[str, Sample]
    unnoticed: frozenset[str]


def plant(
    eval_set: EvalSet, perfect: Sequence[Sample], kinds: Sequence[DamageKind] = tuple(DamageKind)
) -> tuple[Damage, ...]:
    """Damage of these kinds to a perfect run with one sample per case; empty for a kind that fits no case."""
    planter = _Planter(eval_set, perfect)
    return tuple(_errors(perfect) if kind is DamageKind.ERROR else planter.damage(kind) for kind in kinds)


class _Planter:
    def __init__(self, eval_set: EvalSet, perfect: Sequence[Sample]) -> None:
        self.eval_set, self.perfect = eval_set, perfect
        self.answers = list(dict.fromkeys(answer for sample in perfect if (answer := sample.completion)))
        self.places = {answer: place for place, answer in enumerate(self.answers)}
        self.frequent = Counter(sample.completion for sample in perfect if sample.completion).most_common(1)

    def damage(self, kind: DamageKind) -> Damage:
        bad: dict[str, Sample] = {}
        unnoticed: set[str] = set()
        for case, right in zip(self.eval_set.cases, self.perfect, strict=True):
            variants = islice(_VARIANTS[kind](self, right), TRIES)
            # One answer for all is right for some: there the scorer overlooks nothing.
            for answer in (answer for answer in variants if answer != right.completion):
                sample = scored(self.eval_set, case, answer)
                if sample.state is not State.PASSED:
                    bad[case.id] = sample
                    unnoticed.discard(case.id)
                    break
                unnoticed.add(case.id)
        if kind in (DamageKind.CONSTANT, DamageKind.MOST_FREQUENT) and self.eval_set.scorer.form_decides:
            # Any answer of the form is right in every case, and a constant one may be meant.
            unnoticed.clear()
        return Damage(kind, bad, frozenset(unnoticed))

    def arbitrary(self, right: Sample) -> Iterator[Completion]:  # noqa: ARG002 - all kinds have one signature
        yield Completion(_TEXT)

    def constant(self, right: Sample) -> Iterator[Completion]:  # noqa: ARG002 - as above
        yield from self.answers[:1]

    def most_frequent(self, right: Sample) -> Iterator[Completion]:  # noqa: ARG002 - as above
        yield from (answer for answer, _ in self.frequent)

    def empty(self, right: Sample) -> Iterator[Completion]:  # noqa: ARG002 - all kinds have one signature
        yield Completion("")

    def fenced(self, right: Sample) -> Iterator[Completion]:
        if right.completion is None:
            return
        calls = [{"name": call.name, "arguments": call.arguments} for call in right.completion.tool_calls]
        text = json_text(calls) if calls else right.completion.text
        language = "json" if calls else self.eval_set.scorer.fence
        yield Completion(f"```{language}\n{text}\n```")

    def another(self, right: Sample) -> Iterator[Completion]:
        if right.completion is not None:
            yield from _others(self.answers, self.places[right.completion])

    def wrong_label(self, right: Sample) -> Iterator[Completion]:
        labels = self.eval_set.scorer.labels
        if right.score is not None and right.score.label in labels:
            yield from map(Completion, _others(labels, labels.index(right.score.label)))

    def truncated(self, right: Sample) -> Iterator[Completion]:
        if right.completion is not None:
            text = _text_of(right.completion)
            yield replace(_with_text(right.completion, text[: len(text) // 2]), finish_reason="length")

    def extra_key(self, right: Sample) -> Iterator[Completion]:
        return self._changed(right, _extra_key)

    def wrong_type(self, right: Sample) -> Iterator[Completion]:
        return self._changed(right, _wrong_type)

    def no_fields(self, right: Sample) -> Iterator[Completion]:
        return islice(self._changed(right, _no_fields), 1)

    def _changed(self, right: Sample, change: Callable[[Any], Iterable[Any]]) -> Iterator[Completion]:
        if right.completion is None or not self.eval_set.scorer.holds_json:
            return
        try:
            value = parse_json(_text_of(right.completion))
        except JsonFault:
            return
        for changed in _variants(value, change):
            yield _with_text(right.completion, json_text(changed))


_VARIANTS: dict[DamageKind, Callable[[_Planter, Sample], Iterator[Completion]]] = {
    DamageKind.EMPTY: _Planter.empty,
    DamageKind.FENCED: _Planter.fenced,
    DamageKind.ANOTHER: _Planter.another,
    DamageKind.WRONG_LABEL: _Planter.wrong_label,
    DamageKind.TRUNCATED: _Planter.truncated,
    DamageKind.EXTRA_KEY: _Planter.extra_key,
    DamageKind.WRONG_TYPE: _Planter.wrong_type,
    DamageKind.NO_FIELDS: _Planter.no_fields,
    DamageKind.ARBITRARY: _Planter.arbitrary,
    DamageKind.CONSTANT: _Planter.constant,
    DamageKind.MOST_FREQUENT: _Planter.most_frequent,
}


def _errors(perfect: Sequence[Sample]) -> Damage:
    failure = Failure("server", "planted by the self-test")
    bad = {right.case_id: Sample(right.eval_set, right.case_id, 0, State.ERROR, failure=failure) for right in perfect}
    return Damage(DamageKind.ERROR, bad, frozenset())


def _others(of: Sequence[T], place: int) -> Iterator[T]:
    return (of[(place + step) % len(of)] for step in range(1, len(of)))


def _text_of(completion: Completion) -> str:
    """The text of an answer, or the arguments of its last call."""
    return completion.tool_calls[-1].arguments if completion.tool_calls else completion.text


def _with_text(completion: Completion, text: str) -> Completion:
    """The answer with another text, or other arguments of its last call."""
    if not completion.tool_calls:
        return replace(completion, text=text)
    *before, last = completion.tool_calls
    return replace(completion, tool_calls=(*before, replace(last, arguments=text)))


def _variants(value: object, change: Callable[[object], Iterable[object]]) -> Iterator[Any]:
    """A JSON value with one place changed, outer places first."""
    yield from change(value)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        for changed in _variants(item, change):
            whole: Any = copy(value)
            whole[key] = changed
            yield whole


def _extra_key(value: object) -> Iterator[Any]:
    if isinstance(value, dict):
        name = "note"
        while name in value:
            name += "_"
        yield {**value, name: "planted"}


def _no_fields(value: object) -> Iterator[Any]:
    if isinstance(value, dict | list) and value:
        yield type(value)()


def _wrong_type(value: object) -> Iterator[Any]:
    if isinstance(value, str):
        yield [value]
    elif isinstance(value, dict | list):
        if not value:
            yield None
    else:
        yield [] if value is None else json_text(value)
