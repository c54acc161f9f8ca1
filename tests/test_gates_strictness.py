"""What is lost when the gates of a set are changed, in the words of the refusal."""

from __future__ import annotations

import pytest

from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.rule import Rule

ALL_PASS = Rule("min", "accuracy", 1.0)
GONE = "no gate demands it now"


def accuracy(bar=0.9, **others):
    return Rule("min", "accuracy", bar, **others)


def must_pass(*tags, **others):
    return Rule("must_pass", tags=tags, **others)


@pytest.mark.parametrize(
    "rule",
    [
        accuracy(confidence=0.95, where={"tag": "a"}, max_errors=2),
        accuracy(per_case="2 of 3"),
        must_pass("a", "b"),
        Rule("max", "error_rate", 0.1, max_errors=None),
        Rule("max_drop", "accuracy", 0.1, against="production"),
        Rule("max_flips", bar=2, against="production"),
    ],
)
def test_a_gate_that_stays_loses_nothing(rule):
    assert lost_demand(rule, [rule]) == ""
    assert lost_demand(rule, [Rule("max", "latency_p95", 2.0), rule]) == ""
    assert lost_demand(rule, [Rule("max", "latency_p95", 2.0)]) == GONE
    assert lost_demand(rule, []) == GONE


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        (accuracy(), accuracy(0.5), "now accuracy>=0.5 with min 0.5 instead of 0.9"),
        (
            accuracy(confidence=0.9),
            accuracy(0.5),
            "now accuracy>=0.5 with min 0.5 instead of 0.9, confidence dropped instead of 0.9",
        ),
        (accuracy(), accuracy(0), "now accuracy>=0 with min 0 instead of 0.9"),
        (
            accuracy(where={"tag": "a", "lang": "de"}),
            accuracy(),
            "now accuracy>=0.9 with all cases instead of tag=a and lang=de",
        ),
        (
            accuracy(per_case="2 of 3"),
            accuracy(),
            "now accuracy>=0.9 with per_case dropped instead of 2 of 3",
        ),
        (
            accuracy(per_case="2 of 3"),
            accuracy(per_case="3 of 4"),
            "now accuracy>=0.9,per_case=3 of 4 with per_case 3 of 4 instead of 2 of 3",
        ),
        (
            Rule("max", "error_rate", 0.1),
            Rule("max", "error_rate", 0.1, max_errors=None),
            "now error_rate<=0.1 with max_errors unlimited instead of 0",
        ),
        (
            must_pass("a"),
            must_pass("a", max_errors=3),
            "now must_pass=a with max_errors 3 instead of 0",
        ),
        (must_pass("a", "b", "c"), must_pass("c"), "now must_pass=c with must_pass without a and b"),
    ],
)
def test_what_is_lost_is_named_with_what_it_was(before, now, lost):
    assert lost_demand(before, [now]) == lost


def test_of_several_gates_on_one_metric_the_closest_is_named():
    slices = [accuracy(0.5, where={"tag": "a"}), accuracy(0.8, confidence=0.9)]
    assert lost_demand(accuracy(), slices) == "now accuracy>=0.8 with min 0.8 instead of 0.9"
    alike = [accuracy(where={"tag": "b"}), accuracy()]
    assert lost_demand(accuracy(where={"tag": "a"}), alike) == "now accuracy>=0.9,tag=b with tag=b instead of tag=a"


@pytest.mark.parametrize(
    "before",
    [
        *(Rule("min", metric, 0.9) for metric in ("accuracy", "macro_f1", "field_accuracy")),
        accuracy(where={"tag": "a"}),
        accuracy(per_case="2 of 3"),
        must_pass("a"),
        Rule("max_drop", "macro_f1", 0.0, against="production"),
        Rule("max_flips", bar=0, against="production"),
    ],
)
def test_where_every_case_must_pass_all_else_about_right_answers_follows(before):
    assert lost_demand(before, [ALL_PASS]) == ""
    for lax in (accuracy(0.8), accuracy(0), accuracy(1.0, where={"tag": "b"}), Rule("max", "accuracy", 1.0)):
        assert lost_demand(before, [lax]) != "", lax
    tolerant = accuracy(1.0, max_errors=1)
    assert lost_demand(before, [tolerant]) != ""


@pytest.mark.parametrize(
    "before",
    [
        Rule("min", "valid_rate", 0.9),
        Rule("max_drop", "valid_rate", 0.1, against="production"),
        Rule("max", "accuracy", 0.9),
        Rule("max", "latency_p95", 2.0),
        Rule("min", "macro_f1", 0.9, confidence=0.9),
    ],
)
def test_where_every_case_must_pass_nothing_else_follows(before):
    assert lost_demand(before, [ALL_PASS]) == GONE
