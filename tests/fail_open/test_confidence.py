"""A gate on the model's confidence never passes where the confidence of an answer is not known."""

from __future__ import annotations

import pytest
from sample_plans import cases, rules, sample, table

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.records import Completion, Sample, State
from pytest_finetune.verdicts.checks import settings_faults
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.gates.quality import guards_quality
from pytest_finetune.verdicts.loading import load_eval_sets

GATES = [{"metric": "ece", "max": 1.0}, {"metric": "accuracy_at_coverage", "coverage": 0.5, "min": 0.0}]


def answered(number, logprobs):
    made = sample(number)
    return Sample(made.eval_set, made.case_id, 0, State.PASSED, Completion("bug", logprobs=logprobs), made.score)


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate["metric"])
@pytest.mark.parametrize("unknown", [(), (("bug", float("nan")),), (("bug", 0.1),)], ids=["none", "nan", "above one"])
def test_one_answer_of_unknown_confidence_makes_the_gate_incomplete(gate, unknown):
    known = [answered(number, (("bug", -0.1),)) for number in range(9)]
    [found] = judge(rules(gate), table(cases(10), [*known, answered(9, unknown)]))
    assert found.status is Status.INCOMPLETE
    assert found.message.startswith("incomplete: 1 of 10 answers have no logprobs of their text")
    assert "set logprobs = true in [request]" in found.message
    [found] = judge(rules(gate), table(cases(9), known))
    assert found.status is Status.PASS


def test_no_answers_are_no_calibrated_answers():
    errors = [sample(number, State.ERROR) for number in range(3)]
    [found] = judge(rules({"metric": "ece", "max": 1.0}), table(cases(3), errors))
    assert found.status is Status.INCOMPLETE


@pytest.mark.parametrize("request_table", ["", "[request]\nlogprobs = false\n", '[request]\nlogprobs = "default"\n'])
def test_a_gate_whose_logprobs_are_not_requested_is_an_error(tmp_path, request_table):
    (tmp_path / "s.jsonl").write_text('{"input": "?", "expected": "a"}\n')
    (tmp_path / "s.toml").write_text(request_table + '[[gates]]\nmetric = "ece"\nmax = 0.1\n')
    with pytest.raises(EvalSetErrors, match="add logprobs = true under"):
        load_eval_sets([tmp_path / "s.jsonl"], root=tmp_path)


def test_logprobs_of_one_model_are_a_request():
    gates = [{"metric": "ece", "max": 0.1}]
    settings = EvalSettings.model_validate({"gates": gates, "models": {"old": {"request": {"logprobs": True}}}})
    assert not list(settings_faults(settings, cases(3)))


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate["metric"])
def test_confidence_does_not_guard_quality(gate):
    [rule] = rules(gate)
    assert not guards_quality(rule, 10, 10)
