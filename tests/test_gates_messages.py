"""The message of a verdict: the value, its evidence, the bar, and what would settle it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sample_plans import case, cases, labelled, rules, run_of, sample, table

from pytest_finetune.base.records import Score, Usage
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.gates.bars import limit_of, status_of
from pytest_finetune.verdicts.gates.certainty import value_alone_decides
from pytest_finetune.verdicts.gates.completeness import plan_fault
from pytest_finetune.verdicts.gates.inputs import GateInputs
from pytest_finetune.verdicts.gates.wording import certainty_text, error_text, figure, interval_text
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.rule import Rule
from pytest_finetune.verdicts.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.gates import Verdict

TAGGED = [case(number, tags=("a",)) for number in range(8)]


def verdict(samples: Sequence[Sample], planned: list[Case], repeats: int = 1, **rule: Any) -> Verdict:
    return judge(rules(rule), table(planned, samples, repeats))[0]


@pytest.mark.parametrize(
    ("passed", "value", "message"),
    [
        (8, 1.0, "8 of 8 cases passed"),
        (7, 0.875, "7 of 8 cases passed; 1 missed: c7"),
        (3, 0.375, "3 of 8 cases passed; 5 missed: c3, c4, c5, c6, c7"),
        (2, 0.25, "2 of 8 cases passed; 6 missed: c2, c3, c4, c5, c6 …"),
    ],
)
def test_must_pass_names_the_first_five_cases_that_missed(passed, value, message):
    found = verdict(run_of(passed, 8 - passed), TAGGED, must_pass=["a"])
    assert (found.message, found.value, found.n) == (message, value, 8)
    assert found.missed == tuple(f"c{number}" for number in range(passed, 8))


def test_a_share_of_cases_is_counted_in_cases():
    assert verdict(run_of(19, 1), cases(20), max=0.5).message == "accuracy 0.950 (19 of 20 cases), bar <= 0.5"


def test_with_repeats_passes_may_be_fractions():
    ends = ["passed", "missed", "passed", "passed", "passed", "passed"]
    samples = [sample(number // 3, end, number % 3) for number, end in enumerate(ends)]
    assert verdict(samples, cases(2), 3, min=0.5).message == (
        "accuracy 0.833 (2 cases), bar >= 0.5:"
        " the value alone decides, its 95 % interval 0.087 to 1.000 crosses the bar"
    )


def test_percentiles_count_answers_and_means_count_cases():
    slow = verdict(run_of(20), cases(20), metric="latency_p50", max=2.0)
    assert slow.message == "latency_p50 1.000 (20 answers), bar <= 2"
    used = [sample(number, usage=Usage(1, 1)) for number in range(9)]
    tokens = verdict(used, cases(9), metric="tokens_per_case", max=5)
    assert tokens.message == "tokens_per_case 2.000 (9 cases), bar <= 5"


def test_a_latency_leaves_out_cached_answers():
    found = verdict([sample(0), sample(1, from_cache=True)], cases(2), metric="latency_p50", max=2.0)
    assert found.n == 1
    assert found.message == (
        "latency_p50 1.000 (1 answers), bar <= 2:"
        " the value alone decides, its 95 % interval 0.000 to unbounded crosses the bar"
    )


@pytest.mark.parametrize(
    ("rule", "bar", "more"), [({"max": 11}, "<= 11", "92,000"), ({"min": 10.5}, ">= 10.5", "4,900")]
)
def test_what_would_settle_a_percentile_narrows_with_the_root_of_the_evidence(rule, bar, more):
    samples = [sample(number, latency=1 + number / 10) for number in range(200)]
    assert verdict(samples, cases(200), metric="latency_p50", confidence=0.95, **rule).message == (
        f"latency_p50 10.900 (200 answers), 95 % interval 9.500 to 12.400, bar {bar}:"
        f" about {more} more cases would settle it with a power of 80 %"
    )


def test_without_a_value_the_message_names_the_metric():
    found = verdict([sample(0, from_cache=True)], cases(1), metric="latency_p95", max=1.0)
    assert found.message == "incomplete: no answer gives a value of latency_p95"
    assert (found.value, found.interval, found.n) == (None, None, 1)


def test_a_passed_gate_with_a_confidence_shows_its_interval_and_nothing_to_settle():
    found = verdict(run_of(20), cases(20), metric="latency_p50", max=2.0, confidence=0.95)
    assert found.message == "latency_p50 1.000 (20 answers), 95 % interval 1.000 to 1.000, bar <= 2"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"min": 0.9}, "0.950 (95 of 100 cases), 90 % interval 0.898 to 0.980, bar >= 0.9: about 110"),
        ({"max": 0.97}, "0.950 (95 of 100 cases), 90 % interval 0.898 to 0.980, bar <= 0.97: about 510"),
    ],
)
def test_how_many_cases_would_settle_a_rate_depends_on_its_confidence(rule, message):
    found = verdict(run_of(95, 5), cases(100), confidence=0.9, **rule)
    assert found.message == f"accuracy {message} more cases would settle it with a power of 80 %"


def test_what_would_settle_macro_f1():
    planned = [case(number, "bug" if number % 2 else "other") for number in range(100)]
    answers = ["bug" if number % 2 or not number % 10 else "other" for number in range(100)]
    samples = [labelled(number, str(planned[number].expected[0]), answer) for number, answer in enumerate(answers)]
    assert verdict(samples, planned, metric="macro_f1", min=0.92, confidence=0.9).message == (
        "macro_f1 0.899 (100 cases), 90 % interval 0.829 to 0.950, bar >= 0.92:"
        " about 1,300 more cases would settle it with a power of 80 %"
    )


def test_what_would_settle_a_mean_of_shares():
    samples = [sample(number, score=Score(passed=True, fields=(number % 4, 4))) for number in range(30)]
    assert verdict(samples, cases(30), metric="field_accuracy", min=0.3, confidence=0.9).message == (
        "field_accuracy 0.358 (30 cases), 90 % interval 0.214 to 0.525, bar >= 0.3:"
        " about 400 more cases would settle it with a power of 80 %"
    )


@pytest.mark.parametrize(
    ("kind", "interval", "expected"),
    [
        ("min", Interval(0.5, 0.9), Status.PASS),
        ("min", Interval(0.2, 0.5), Status.INCONCLUSIVE),
        ("min", Interval(0.2, 0.4999), Status.FAIL),
        ("max", Interval(0.2, 0.5), Status.PASS),
        ("max", Interval(0.5, 0.9), Status.INCONCLUSIVE),
        ("max", Interval(0.5001, 0.9), Status.FAIL),
        ("min", None, Status.INCONCLUSIVE),
    ],
)
def test_an_interval_that_ends_on_the_bar_clears_it_and_never_fails_it(kind, interval, expected):
    assert status_of(Rule(kind, "accuracy", 0.5, confidence=0.9), as_written(0.5), interval) is expected


def test_must_pass_has_no_bar():
    assert limit_of(Rule("min", "accuracy", 0.25)) == 0.25
    with pytest.raises(ValueError, match="must_pass=a has no bar"):
        limit_of(Rule("must_pass", tags=("a",)))


def test_without_a_baseline_there_are_no_figures_to_compare_with():
    gate = rules({"metric": "accuracy", "max_drop": 0.1, "against": "production"})[0]
    with pytest.raises(ValueError, match="no baseline to compare with"):
        assert GateInputs(gate, table(cases(2), run_of(2))).before


@pytest.mark.parametrize(
    ("planned", "repeats", "rule", "fault"),
    [
        ([], 1, {"min": 0.5}, "nothing planned: the eval set holds no case"),
        (cases(2), 0, {"min": 0.5}, "nothing planned: no attempts per case"),
        (
            [case(0, lang="de")],
            1,
            {"min": 0.5, "where": {"tag": "a", "lang": "en"}},
            "nothing planned: no case has tag = 'a' and lang = 'en'",
        ),
        ([case(0, tags=("a",))], 1, {"must_pass": ["a", "b"]}, "nothing planned: no case has the tag 'b'"),
        (cases(2), 1, {"min": 0.5}, ""),
    ],
)
def test_a_gate_that_no_answer_can_pass_is_named(planned, repeats, rule, fault):
    inputs = GateInputs(rules(rule)[0], table(planned, [], repeats))
    assert plan_fault(inputs) == fault


def test_a_figure_has_enough_digits_to_differ_from_the_bar():
    assert figure(0.123456789012, 0.5) == "0.123"
    assert figure(0.49999999999, 0.5) == "0.49999999999"
    assert figure(0.4999999999999, 0.5) == "0.4999999999999"
    assert figure(as_written(0.5), 0.5) == "0.500"


def test_an_interval_is_shown_with_its_confidence_in_percent():
    assert interval_text(Interval(0.87, 0.97), 0.95) == ", 95 % interval 0.870 to 0.970"
    assert interval_text(Interval(0.87, float("inf")), 0.995, "of the drop ") == (
        ", 99.5 % interval of the drop 0.870 to unbounded"
    )
    assert interval_text(None, 0.95) == ", no interval for so few answers"


@pytest.mark.parametrize(
    ("gate", "ends", "alone"),
    [
        ({"min": 0.9}, (0.9, 1.0), False),
        ({"min": 0.9}, (0.89, 1.0), True),
        ({"min": 0.9}, (0.8, 0.9), True),
        ({"min": 0.9}, (0.8, 0.89), False),
        ({"min": 0.9}, (0.8, None), True),
        ({"min": 0.9}, (None, None), False),
        ({"min": 0.9, "confidence": 0.95}, (0.8, 1.0), False),
        ({"metric": "error_rate", "max": 0.1}, (0.1, 0.2), True),
        ({"metric": "error_rate", "max": 0.1}, (0.05, 0.1), False),
        ({"metric": "error_rate", "max": 0.1}, (0.11, 0.2), False),
        ({"max_flips": 1, "against": "x"}, (0.0, 5.0), False),
    ],
)
def test_the_value_alone_decides_if_its_interval_has_values_on_both_sides_of_the_bar(
    gate: dict[str, Any], ends: tuple[float | None, float | None], *, alone: bool
) -> None:
    (rule,) = rules(gate)
    assert [value_alone_decides(rule, status, *ends) for status in ("pass", "fail")] == [alone, alone]
    assert not value_alone_decides(rule, "inconclusive", *ends)
    assert not value_alone_decides(None, "pass", *ends)


# The chance of 90 or more right of 100 at a rate of 0.9; 2.5 % is half of what a confidence of 95 % leaves.
ALONE = "the value alone decides: 58 % of models at the bar would pass; confidence limits that"


@pytest.mark.parametrize(
    ("gate", "n", "text"),
    [
        ({"min": 0.9}, 100, ALONE),
        ({"metric": "error_rate", "max": 0.1}, 100, ALONE),
        ({"metric": "recall", "label": "bug", "min": 0.9}, 100, ALONE),
        ({"min": 0.9}, 0, ""),
        ({"min": 1}, 100, ""),
        ({"metric": "error_rate", "max": 0}, 100, ""),
        ({"metric": "latency_p95", "max": 0.5}, 100, ""),
        ({"max_flips": 1, "against": "x"}, 100, ""),
        ({"max_drop": 0.1, "against": "x"}, 100,
         "a comparison of two values, no test of non-inferiority: add confidence"),
        ({"min": 0.9, "confidence": 0.95}, 100, "at most 2.5 % of models at the bar would pass"),
        ({"metric": "macro_f1", "min": 0.9, "confidence": 0.95}, 100, "about 2.5 % of models at the bar would pass"),
        ({"max_drop": 0.1, "against": "x", "confidence": 0.9}, 100,
         "about 5 % of models whose accuracy is lower by 0.1 would pass"),
    ],
)  # fmt: skip
def test_a_gate_says_how_often_it_passes_a_model_at_its_bar(gate: dict[str, Any], n: int, text: str) -> None:
    (rule,) = rules(gate)
    assert certainty_text(rule, n) == text
    assert error_text(rule) == (text if rule.confidence else "")
