"""Diagnoses: each verdict at its threshold, with evidence, and none if there is too little data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.records import FormatFailure
from pytest_finetune.lifecycle.training.curves import Curves, LossPoint
from pytest_finetune.lifecycle.training.diagnosis import Conclusion, Condition, diagnose
from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence, LearningPoint, Rate

NOTHING_INVALID = Rate(0, 450)
FALLING = [10 * 0.7**step for step in range(40)]


def evidence(passed=420, cases=450, *, training=None, invalid=0, **more):
    training = Rate(*training) if training else None
    return DiagnosisEvidence(
        Rate(passed, cases), Rate(invalid, cases), more.pop("failures", {}), training=training, **more
    )


def curves(train, valid=()):
    points = {step: LossPoint(step, loss) for step, loss in enumerate(train, 1)}
    for step, loss in valid:
        points[step] = LossPoint(step, points[step].train if step in points else None, loss)
    return Curves(tuple(points[step] for step in sorted(points)))


def answers(given_evidence):
    return {finding.kind: finding.answer for finding in diagnose(given_evidence).findings}


def finding(given_evidence, kind):
    return next(one for one in diagnose(given_evidence).findings if one.kind is kind)


def test_a_model_that_is_right_on_training_and_eval_data_is_healthy():
    diagnosis = diagnose(evidence(training=(97, 100)))
    assert (diagnosis.verdict, diagnosis.is_healthy) == ("healthy", True)
    assert all(not one.remedies and one.evidence for one in diagnosis.findings)


def test_right_on_training_data_and_wrong_on_new_data_is_overfitting():
    one = finding(evidence(300, 450, training=(99, 100)), Condition.OVERFITTING)
    assert one.answer is Conclusion.YES
    assert any("+0.323 above the eval set (95 %:" in text for text in one.evidence)
    assert any("more varied data" in remedy for remedy in one.remedies)
    assert any("fewer epochs" in remedy for remedy in one.remedies)
    assert any("lower learning rate" in remedy for remedy in one.remedies)


@pytest.mark.parametrize(
    ("passed", "training", "answer"),
    [
        (420, (100, 100), Conclusion.YES),  # +0.067 [0.024, 0.094]
        (440, (100, 100), Conclusion.NO),  # +0.022 [-0.015, 0.041]
        (400, (19, 20), Conclusion.UNKNOWN),  # +0.061 [-0.133, 0.108]
        (440, (95, 100), Conclusion.NO),  # -0.028
    ],
)
def test_a_gap_counts_once_it_is_significant(passed, training, answer):
    assert answers(evidence(passed, training=training))[Condition.OVERFITTING] is answer


def test_without_training_data_overfitting_is_unknown():
    one = finding(evidence(), Condition.OVERFITTING)
    assert one.answer is Conclusion.UNKNOWN
    assert any("--training FILE" in text for text in one.evidence)
    assert diagnose(evidence()).verdict == "cannot tell"


RISING = curves(FALLING, [(10, 0.5), (20, 0.4), (30, 0.6), (40, 0.9)])


def test_without_training_accuracy_a_rising_validation_loss_is_overfitting():
    one = finding(evidence(curves=RISING), Condition.OVERFITTING)
    assert one.answer is Conclusion.YES
    assert any("rose from 0.4 at step 20 to 0.75" in text for text in one.evidence)


def test_a_rising_loss_with_right_answers_is_not_overfitting():
    one = finding(evidence(440, training=(98, 100), curves=RISING), Condition.OVERFITTING)
    assert one.answer is Conclusion.NO
    assert any("is not affected" in text for text in one.evidence)


@pytest.mark.parametrize(
    "valid",
    [
        [(10, 0.5), (20, 0.4), (30, 0.42), (40, 0.43)],
        [(10, 0.5), (20, 0.4), (30, 0.3), (40, 0.5)],
        [(20, 0.4), (40, 0.9)],
    ],
    ids=["within a tenth", "one point alone", "two points"],
)
def test_a_small_or_single_rise_is_not_evidence(valid):
    assert answers(evidence(curves=curves(FALLING, valid)))[Condition.OVERFITTING] is Conclusion.UNKNOWN


def test_a_model_that_is_wrong_on_its_training_data_is_underfitted():
    one = finding(evidence(200, 450, training=(60, 100)), Condition.UNDERFITTING)
    assert one.answer is Conclusion.YES
    assert any("more epochs" in remedy for remedy in one.remedies)
    assert any("better data" in remedy for remedy in one.remedies)


@pytest.mark.parametrize(
    ("passed", "training", "answer"),
    [
        (420, None, Conclusion.NO),
        (200, (95, 100), Conclusion.NO),
        (200, (88, 100), Conclusion.UNKNOWN),
        (200, None, Conclusion.UNKNOWN),
    ],
)
def test_a_model_that_is_right_on_either_side_is_not_underfitted(passed, training, answer):
    assert answers(evidence(passed, training=training))[Condition.UNDERFITTING] is answer


def test_a_loss_that_never_fell_is_underfitting():
    flat = curves([2.4 - step * 0.005 for step in range(40)])
    one = finding(evidence(100, curves=flat), Condition.UNDERFITTING)
    assert one.answer is Conclusion.YES
    assert any("hardly fell" in text for text in one.evidence)


def test_a_loss_that_still_falls_is_underfitting_only_where_answers_are_wrong():
    falling = curves([2.0 * 0.97**step for step in range(40)])
    assert answers(evidence(200, curves=falling))[Condition.UNDERFITTING] is Conclusion.YES
    assert answers(evidence(440, curves=falling))[Condition.UNDERFITTING] is Conclusion.NO


def test_a_falling_loss_near_zero_is_not_underfitting():
    assert answers(evidence(200, curves=curves(FALLING)))[Condition.UNDERFITTING] is Conclusion.UNKNOWN


@pytest.mark.parametrize(
    ("invalid", "cases", "answer"),
    [
        (0, 450, Conclusion.NO),
        (30, 450, Conclusion.YES),
        (0, 20, Conclusion.UNKNOWN),
        (1, 20, Conclusion.UNKNOWN),
        (5, 20, Conclusion.YES),
    ],
)
def test_the_format_is_unstable_once_the_rate_is_significant(invalid, cases, answer):
    assert answers(evidence(cases - invalid, cases, invalid=invalid))[Condition.UNSTABLE_FORMAT] is answer


def test_changing_shapes_are_unstable():
    assert answers(evidence(unstable=Rate(60, 450)))[Condition.UNSTABLE_FORMAT] is Conclusion.YES
    assert answers(evidence(unstable=Rate(0, 450)))[Condition.UNSTABLE_FORMAT] is Conclusion.NO


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (FormatFailure.FENCED, "JSON mode, or better a response schema"),
        (FormatFailure.MISSING_KEY, "a response schema, so that the server allows"),
        (FormatFailure.TRUNCATED, "max_completion_tokens"),
        (FormatFailure.REFUSAL, "refused requests"),
        (FormatFailure.OTHER, "exactly one format"),
        (FormatFailure.EMPTY, "validating answers"),
    ],
)
def test_the_remedy_depends_on_the_failure(kind, remedy):
    one = finding(evidence(400, invalid=50, failures={kind: 50}), Condition.UNSTABLE_FORMAT)
    assert any(remedy in text for text in one.remedies)
    assert f"of these: {kind} 50" in one.evidence


def test_missing_answers_leave_no_verdict():
    diagnosis = diagnose(evidence(training=(97, 100), missing=3))
    assert diagnosis.verdict == "cannot tell"
    assert all("3 planned answers are missing" in one.evidence[0] for one in diagnosis.findings)


def test_a_better_earlier_checkpoint_is_named():
    learning = (LearningPoint(10, "a", 0.4, Rate(430, 450)), LearningPoint(20, "b", 0.6, Rate(300, 450)))
    one = finding(evidence(300, training=(99, 100), learning=learning), Condition.OVERFITTING)
    assert "step 10" in one.remedies[0]


RATES = st.integers(1, 600).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(RATES, RATES | st.none(), st.lists(st.floats(1e-6, 20), max_size=60), st.lists(st.floats(1e-6, 20), max_size=6))
def test_every_answer_has_evidence_and_only_a_yes_has_remedies(counts, training, train, valid):
    given_evidence = evidence(*counts, training=training, curves=curves(train, list(enumerate(valid, 1))))
    diagnosis = diagnose(given_evidence)
    for one in diagnosis.findings:
        assert one.evidence
        assert bool(one.remedies) == (one.answer is Conclusion.YES)
    assert diagnosis.is_healthy == (diagnosis.verdict == "healthy")


@given(RATES)
def test_nothing_is_healthy_without_training_data(counts):
    assert not diagnose(evidence(*counts)).is_healthy
