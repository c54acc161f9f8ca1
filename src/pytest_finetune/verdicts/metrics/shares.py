"""The share of one case that is right, for each metric in [0, 1]; errors and unrun attempts never count as right."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.verdicts.field_paths import field_is_right
from pytest_finetune.verdicts.metrics.measure import as_written

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pytest_finetune.base.records import Completion, Sample, Score
    from pytest_finetune.verdicts.metrics.plan import CaseSamples


def passed_share(row: CaseSamples, needed: int | None = None) -> Fraction:
    """Share of the attempts that passed; with `needed`, 1 for a case that passed that often and else 0."""
    passed = row.count(State.PASSED)
    if needed is not None:
        return Fraction(int(passed >= needed))
    return Fraction(passed, len(row.samples))


def valid_share(row: CaseSamples) -> Fraction:
    """Share of the attempts with an answer in the required format."""
    return Fraction(sum(score.format_failure is None for score in row.scores), len(row.samples))


def stable_share(row: CaseSamples) -> Fraction:
    """1 for a case whose attempts are all valid and of one shape, else 0. Key order does not matter."""
    shapes = {canonical_shape(score.shape) for score in row.scores}
    return Fraction(int(valid_share(row) == 1 and len(shapes) == 1))


def agreeing_share(row: CaseSamples) -> Fraction:
    """Share of the attempts that equal the most common answer to the case."""
    answers = Counter(_answer(s.score, s.completion) for s in row.samples if s and s.score and s.completion)
    return Fraction(max(answers.values(), default=0), len(row.samples))


def pairwise_agreeing_share(row: CaseSamples) -> Fraction:
    """
    Share of the pairs of attempts with equal answers, which does not depend on the number of attempts; 1 for one.

    An error agrees with nothing.

    Source: Fleiss (1971), Psychological Bulletin 76, 378-382: the extent of agreement of one subject.
    """
    attempts = len(row.samples)
    answers = Counter(_answer(s.score, s.completion) for s in row.samples if s and s.score and s.completion)
    if attempts == 1:
        return Fraction(sum(answers.values()))
    return Fraction(sum(count * (count - 1) for count in answers.values()), attempts * (attempts - 1))


def field_share(row: CaseSamples) -> Fraction:
    """Mean share of right fields over the attempts; an answer that cannot be parsed has none."""
    right = [_right_fields(sample) for sample in row.samples]
    return sum(right, Fraction(0)) / len(right)


def one_field_share(row: CaseSamples, field: str) -> Fraction:
    """Share of the attempts that have one field right, given by its JSON path."""
    return Fraction(sum(field_is_right(score, field) for score in row.scores), len(row.samples))


def score_share(row: CaseSamples) -> Fraction:
    """Mean graded score over the attempts; an attempt without a value has 0."""
    graded = [as_written(score.value) for score in row.scores if score.value is not None]
    return sum(graded, Fraction(0)) / len(row.samples)


def error_share(row: CaseSamples) -> Fraction:
    """Share of the attempts that ended in an error."""
    return Fraction(row.count(State.ERROR), len(row.samples))


SHARES: dict[str, Callable[[CaseSamples], Fraction]] = {
    "accuracy": passed_share,
    "valid_rate": valid_share,
    "format_stability": stable_share,
    "agreement": agreeing_share,
    "pairwise_agreement": pairwise_agreeing_share,
    "score": score_share,
    "win_rate": score_share,
    "field_accuracy": field_share,
    "error_rate": error_share,
}

CASE_MEANS = tuple(metric for metric in SHARES if metric not in ("error_rate", "win_rate"))
"""The metrics whose drop has a paired interval: means over cases where higher is better."""


@lru_cache(maxsize=1024)
def canonical_shape(shape: str) -> str:
    """A shape with its keys in alphabetical order, so that answers that differ only in key order are equal."""
    try:
        return json.dumps(_sorted_shape(json.loads(shape)), sort_keys=True) if shape else shape
    except RecursionError:
        # Only a broken or hostile answer is nested this deeply; compare it as text.
        return shape


def _sorted_shape(shape: object) -> object:
    if isinstance(shape, dict):
        return {key: _sorted_shape(value) for key, value in shape.items()}
    if isinstance(shape, list):
        elements = {json.dumps(_sorted_shape(element), sort_keys=True) for element in shape}
        return [json.loads(element) for element in sorted(elements)]
    return shape


def _right_fields(sample: Sample | None) -> Fraction:
    if sample is None or sample.score is None or sample.score.fields is None:
        return Fraction(0)
    right, of = sample.score.fields
    return Fraction(right, of) if of else Fraction(int(sample.score.passed))


def _answer(score: Score, completion: Completion) -> Hashable:
    """What makes two answers the same: the label, the JSON value, or else text and calls."""
    if score.label:
        return score.label
    if score.shape and not completion.tool_calls:
        return _canonical_json(completion.text)
    return completion.text.strip(), completion.refusal, completion.tool_calls


def _canonical_json(text: str) -> str:
    try:
        return json.dumps(parse_json(text), sort_keys=True)
    except (JsonFault, RecursionError):
        return text
