"""What holds for every scorer of the package: the self-test, the settings and the metrics know it without more code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Completion, FormatFailure, State
from pytest_finetune.verdicts.evalset.scorer import SCORER_METRICS
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.scoring import scorer_class
from pytest_finetune.verdicts.selftest import DamageKind, check_gates
from pytest_finetune.verdicts.selftest.perfect import perfect_run, scored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet

SENTENCES = ["the parcel arrived on monday", "please restart the blue router", "our shop opens at nine"]
CALL = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]}
SETS: dict[str, tuple[str, list[Any]]] = {
    "bleu": ("threshold = 0.6", SENTENCES),
    "chrf": ("threshold = 0.6", SENTENCES),
    "contains": ("", SENTENCES),
    "embedding": ('model = "e"\nthreshold = 0.8', SENTENCES),
    "exact": ("", SENTENCES),
    "f1": ("threshold = 0.6", SENTENCES),
    "fuzzy": ("threshold = 0.8", SENTENCES),
    "json": ("", [{"a": 1}, {"a": 2}, {"a": 3}]),
    "judge": ('model = "j"\nrubric = "r"\nlabels = ["good", "bad"]\npasses = ["good"]', SENTENCES),
    "preference": ('model = "j"\nrubric = "r"', SENTENCES),
    "label": ('labels = ["bug", "feature"]', ["bug", "feature", "bug"]),
    "not": ('of = "contains"', ["password", "secret", "token"]),
    "number": ("absolute = 0.5", [1, "2.5", 40]),
    "refusal": ("", ["refusal", "answer", "refusal"]),
    "regex": ("", ["a+", "b+", "c+"]),
    "rouge_l": ("threshold = 0.6", SENTENCES),
    "schema": ('schema = "answer.schema.json"', [{"a": 1}, {"a": 2}]),
    "sql": ("", ["SELECT a FROM t", "SELECT b FROM t", "SELECT c FROM t"]),
    "sql_result": ('database = "db.sql"', ["SELECT a FROM t", "SELECT b FROM t", "SELECT a + b FROM t"]),
    "tool_call": ("", [{"city": "Oslo"}, {"city": "Rome"}]),
}
UNPROVABLE = {
    "embedding": "it asks another model",
    "judge": "it asks another model",
    "preference": "it asks another model",
    "regex": "a pattern is not an answer that matches it",
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., EvalSet]:
    def _load(name: str, gates: str = "[[gates]]\nmin = 1\n") -> EvalSet:
        options, expected = SETS[name]
        if name == "preference":
            gates = '[[gates]]\nmetric = "win_rate"\nmin = 1\n'
        lines = [{"id": f"c{at}", "input": f"question {at}", "expected": value} for at, value in enumerate(expected)]
        if name == "tool_call":
            lines = [{"id": f"c{at}", "messages": [_question(), _call(value)]} for at, value in enumerate(expected)]
        (tmp_path / "answer.schema.json").write_text('{"type": "object", "required": ["a"]}')
        (tmp_path / "db.sql").write_text("CREATE TABLE t AS SELECT 1 AS a, 2 AS b")
        (tmp_path / "set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (tmp_path / "set.toml").write_text(f'[scorer]\ntype = "{name}"\n{options}\n{gates}', "utf-8")
        return load_eval_sets([tmp_path / "set.jsonl"], root=tmp_path)[0]

    return _load


def _question() -> dict[str, Any]:
    return {"role": "user", "content": "?"}


def _call(arguments: Any) -> dict[str, Any]:
    function = {"name": "weather", "arguments": json.dumps(arguments)}
    return {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def test_every_scorer_has_a_set_here() -> None:
    assert set(SETS) == set(built_in_scorers())


@pytest.mark.parametrize("name", sorted(SETS.keys() - UNPROVABLE.keys()))
def test_the_self_test_finds_damage_with_every_scorer(load: Callable[..., EvalSet], name: str) -> None:
    check = check_gates(load(name))
    assert check.untestable == ""
    (gate,) = check.gates
    assert gate.perfect is not None
    assert gate.perfect.status is Status.PASS
    assert DamageKind.EMPTY in gate.caught
    # What no scorer of this kind can notice is a finding, and not silence.
    assert check.protects_nothing is (name == "not")
    assert gate.finding == ""


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Completion(""), FormatFailure.EMPTY),
        (Completion("\n"), FormatFailure.EMPTY),
        (Completion("x", finish_reason="content_filter"), FormatFailure.FILTERED),
        (Completion("", finish_reason="length"), FormatFailure.TRUNCATED),
    ],
)
def test_no_scorer_passes_an_answer_that_is_not_there(
    load: Callable[..., EvalSet], name: str, answer: Completion, failure: FormatFailure
) -> None:
    eval_set = load(name)
    for case in eval_set.cases:
        score = eval_set.scorer.score(case, answer)
        assert (score.passed, score.format_failure) == (False, failure)


@pytest.mark.parametrize("name", ["bleu", "chrf", "f1", "fuzzy", "rouge_l"])
def test_a_gate_on_the_score_is_judged_over_the_plan(load: Callable[..., EvalSet], name: str) -> None:
    eval_set = load(name, '[[gates]]\nmetric = "score"\nmin = 0.7\n[[gates]]\nmetric = "score"\nmin = 0.6\n')
    good = perfect_run(eval_set)[:2]
    bad = scored(eval_set, eval_set.cases[2], Completion(""))
    assert (bad.state, bad.score.value if bad.score else 0) == (State.MISSED, None)
    verdicts = judge(eval_set.settings.rules, eval_set.table([*good, bad]))
    assert [(verdict.status, verdict.value) for verdict in verdicts] == [
        (Status.FAIL, pytest.approx(2 / 3)),
        (Status.PASS, pytest.approx(2 / 3)),
    ]
    assert verdicts[0].interval == eval_set.table([*good, bad]).summary.value("accuracy").interval


@pytest.mark.parametrize("name", SETS)
def test_a_scorer_supports_metrics_that_there_are(name: str) -> None:
    assert scorer_class(name).metrics <= SCORER_METRICS
