"""Gates on the recall of one label, and of the label with the lowest recall."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError
from sample_plans import case, labelled, rules, sample, table

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.gates.quality import guards_quality
from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL
from pytest_finetune.verdicts.stats import rate_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.gates import Verdict


def recall(label: str = "refund", **more: Any) -> dict[str, Any]:
    return {"metric": "recall", "label": label, "min": 0.9} | more


def verdict(right: dict[str, tuple[int, int]], **gate: Any) -> Verdict:
    """Judge a run in which so many of so many cases of each label are right."""
    planned, samples = [], []
    for label, (passed, count) in right.items():
        for place in range(count):
            planned.append(case(len(planned), label))
            samples.append(labelled(len(samples), label, label if place < passed else "wrong"))
    return judge(rules(recall(**gate)), table(planned, samples))[0]


def test_the_recall_of_a_label_counts_its_cases_alone_with_their_exact_interval() -> None:
    found = verdict({"refund": (45, 50), "bug": (0, 200)}, confidence=0.95)
    assert (found.value, found.n, found.status) == (0.9, 50, Status.INCONCLUSIVE)
    assert found.interval == rate_interval(45, 50)
    assert found.gate == "recall>=0.9,label=refund"
    assert found.message.startswith(
        "recall of refund 0.900 (45 of 50 cases), 95 % interval 0.782 to 0.967, bar >= 0.9: too close"
    )
    more = verdict({"refund": (48, 50), "bug": (0, 200)}, confidence=0.95)
    assert "about " in more.message
    assert "more cases of refund would settle it with a power of 80 %" in more.message


def test_answers_of_a_label_to_other_cases_do_not_change_its_recall() -> None:
    planned = [case(number, "refund" if number < 10 else "bug") for number in range(30)]
    samples = [labelled(number, planned[number].expected[0], "refund") for number in range(30)]
    assert judge(rules(recall()), table(planned, samples))[0].value == 1.0


@pytest.mark.parametrize(
    ("right", "status"), [((200, 200), Status.PASS), ((180, 200), Status.INCONCLUSIVE), ((100, 200), Status.FAIL)]
)
def test_the_interval_of_the_label_decides(right: tuple[int, int], status: Status) -> None:
    assert verdict({"refund": right, "bug": (1, 1)}, confidence=0.95).status is status


def test_without_confidence_the_value_decides_and_an_interval_that_crosses_the_bar_is_named() -> None:
    found = verdict({"refund": (2, 2), "bug": (5, 5)})
    assert found.status is Status.PASS
    assert "the value alone decides, its 95 % interval 0.158 to 1.000 crosses the bar" in found.message


def test_of_every_label_the_one_with_the_lowest_recall_decides() -> None:
    right = {"refund": (50, 50), "bug": (40, 50), "praise": (300, 300)}
    found = verdict(right, label="*", confidence=0.95)
    assert (found.value, found.n, found.status) == (0.8, 50, Status.INCONCLUSIVE)
    assert found.interval
    assert found.interval.low == rate_interval(40, 50).low
    # Three labels share the error of the upper end.
    assert found.interval.high == rate_interval(40, 50, confidence=1 - 0.05 / 3).high
    assert found.message.startswith("recall of bug, the lowest of 3 labels, 0.800 (40 of 50 cases), 95 % interval")
    assert verdict({"refund": (300, 300), "bug": (290, 300)}, label="*", confidence=0.95).status is Status.PASS
    assert verdict({"refund": (300, 300), "bug": (200, 300)}, label="*", confidence=0.95).status is Status.FAIL


def test_the_page_quotes_what_a_gate_on_the_lowest_recall_says() -> None:
    right = {"refund": (50, 50), "bug": (45, 50), "praise": (300, 300)}
    found = verdict(right, label="*", confidence=0.95, min=0.75)
    assert f"\n{found.message}\n" in (Path(__file__).parents[1] / "docs" / "verdicts.md").read_text("utf-8")


def test_neither_end_of_the_lowest_recall_is_wrong_more_often_than_promised() -> None:
    rng, runs, size = np.random.default_rng(6), 4000, 60
    for truths in ([0.9] * 12, [0.9] + [0.99] * 11):
        right = rng.binomial(size, truths, (runs, 12))
        low = np.array([rate_interval(passed, size).low for passed in range(size + 1)])[right].min(axis=1)
        shared = [rate_interval(passed, size, confidence=1 - 0.05 / 12).high for passed in range(size + 1)]
        high = np.array(shared)[right].min(axis=1)
        luck = 4 * (0.025 / runs) ** 0.5
        assert np.mean(low > 0.9) <= 0.025 + luck
        assert np.mean(high < 0.9) <= 0.025 + luck


def test_of_labels_with_the_same_recall_the_first_in_the_alphabet_is_named() -> None:
    planned = [case(number, label) for number, label in enumerate(["d", "c", "b", "a"])]
    samples = [labelled(number, one.expected[0], "a") for number, one in enumerate(planned)]
    summary = table(planned, samples).summary
    assert replace(summary, label=EVERY_LABEL).recalled == "b"
    assert list(summary.by_label) == ["a", "b", "c", "d"]
    assert (summary.recalled, replace(summary, label="a").recalled, replace(summary, label="e").recalled) == (
        "",
        "a",
        "",
    )
    assert replace(table([], []).summary, label=EVERY_LABEL).recalled == ""


@pytest.mark.parametrize("label", ["bug", EVERY_LABEL])
def test_the_interval_of_a_recall_has_the_level_that_was_asked_for(label: str) -> None:
    found = verdict({"bug": (45, 50)}, label=label, confidence=0.8)
    assert found.interval == rate_interval(45, 50, confidence=0.8)


def test_a_label_without_cases_is_not_a_pass() -> None:
    for label in ("other", "*"):
        found = judge(rules(recall(label, confidence=0.95)), table([], []))[0]
        assert found.status is Status.INCOMPLETE
    found = verdict({"bug": (50, 50)})
    assert found.status is Status.INCOMPLETE
    assert found.message == "incomplete: nothing planned: no case expects the label 'refund'"


def test_without_labels_there_is_no_recall() -> None:
    planned = [case(number) for number in range(5)]
    plain = replace(table(planned, [sample(number) for number in range(5)]), expected_label=None)
    assert judge(rules(recall("bug")), plain)[0].status is Status.INCOMPLETE


def test_an_error_is_a_miss_of_its_label_and_tolerated_only_as_far_as_max_errors_says() -> None:
    planned = [case(number, "refund") for number in range(10)]
    samples = [*(labelled(number, "refund", "refund") for number in range(9)), sample(9, State.ERROR)]
    strict, lenient = (judge(rules(recall(max_errors=errors)), table(planned, samples))[0] for errors in (0, 1))
    assert strict.status is Status.INCOMPLETE
    assert (lenient.value, lenient.status) == (0.9, Status.PASS)


def test_repeats_count_cases() -> None:
    planned = [case(number, "refund") for number in range(20)]
    samples = [
        labelled(number, "refund", "refund" if attempt or number else "bug", attempt)
        for number in range(20)
        for attempt in range(5)
    ]
    found = judge(rules(recall(confidence=0.95)), table(planned, samples, repeats=5))[0]
    assert (found.value, found.n) == (pytest.approx(0.99), 20)
    assert found.interval == rate_interval(19.8, 20)


def test_only_the_lowest_recall_of_all_labels_guards_the_quality_of_a_set() -> None:
    one, every = rules(recall(), recall("*"))
    assert not guards_quality(one, 100, 100)
    assert guards_quality(every, 100, 100)
    assert not guards_quality(rules(recall("*", min=0.0))[0], 100, 100)


def test_the_recall_of_every_label_demands_that_of_each_but_not_the_reverse() -> None:
    one, other, every = rules(recall(), recall("bug"), recall("*"))
    assert lost_demand(one, [every]) == ""
    assert lost_demand(one, [other]) == "no gate demands it now"
    assert lost_demand(every, [one, other]) == "no gate demands it now"


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ({"metric": "recall", "min": 0.9}, "recall of which label"),
        ({"metric": "accuracy", "label": "bug", "min": 0.9}, "accuracy is not about one label"),
        ({"metric": "recall", "label": "bug", "min": 1.2}, "recall is in"),
        ({"metric": "recall", "label": "bug", "max_drop": 0.1, "against": "x"}, "Extra inputs"),
    ],
)
def test_a_recall_that_says_too_little_or_too_much_is_refused(gate: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        rules(gate)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    def _load(gate: str, labels: tuple[str, ...] = ("Bug", "Refund"), normalize: str = '["strip", "casefold"]') -> Any:
        path = tmp_path / "set.jsonl"
        rows = [{"input": f"text {n}", "expected": ("bug", "refund")[n % 4 == 0]} for n in range(80)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        settings = f'scorer = "label"\nlabels = {json.dumps(list(labels))}\nnormalize = {normalize}\n'
        path.with_suffix(".toml").write_text(f'{settings}[[gates]]\nmetric = "recall"\n{gate}', "utf-8")
        return load_eval_sets([path], root=tmp_path)[0]

    return _load


def test_labels_are_compared_as_the_scorer_does(load: Callable[..., Any]) -> None:
    eval_set = load('label = "Refund"\nmin = 0.5\n')
    found = judge(eval_set.settings.judged_by, eval_set.table(()))[0]
    assert (found.n, found.status) == (80, Status.INCOMPLETE)
    assert "80 of 80 samples were not run" in found.message
    assert len(eval_set.table(()).summary.by_label["Refund"].rows) == 20


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ('label = "Refnd"\nmin = 0.5\n', r"'Refnd' is not one of the labels\n  hint: did you mean 'Refund'"),
        ('label = "Praise"\nmin = 0.5\n', "no case expects the label 'Praise'"),
        ('label = "*"\nmin = 0.5\n', "no case expects the label 'Praise'"),
        ('label = "Refund"\nmin = 0.95\nconfidence = 0.95\n', r"20 cases cannot show recall >= 0\.95"),
    ],
)
def test_a_gate_on_recall_that_cannot_pass_is_an_error_of_the_settings(
    load: Callable[..., Any], gate: str, problem: str
) -> None:
    with pytest.raises(EvalSetErrors, match=problem):
        load(gate, labels=("Bug", "Refund", "Praise"))


def test_of_every_label_the_rarest_says_whether_a_gate_can_pass(load: Callable[..., Any]) -> None:
    with pytest.raises(EvalSetErrors, match=r"20 cases cannot show recall >= 0\.85"):
        load('label = "*"\nmin = 0.85\nconfidence = 0.95\n')
    assert load('label = "*"\nmin = 0.8\nconfidence = 0.95\n')
