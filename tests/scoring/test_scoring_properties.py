from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.json_compare import differences, field_counts, leaves
from pytest_finetune.base.json_shape import shape
from pytest_finetune.base.records import Case, Completion, Score, ToolCall
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.json_schema.validation import compile_schema
from pytest_finetune.verdicts.scoring import make_scorer

if TYPE_CHECKING:
    from pytest_finetune.verdicts.evalset.scorer import Scorer

ANY_TEXT = st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NEAR_JSON = JSON.map(json.dumps).flatmap(
    lambda text: st.sampled_from([text, text[:-1], f"```json\n{text}\n```", f"Sure: {text}", f"{text} {text}"])
)
ANSWERS = ANY_TEXT | NEAR_JSON
COMPLETIONS = st.builds(
    Completion,
    text=ANSWERS,
    finish_reason=st.sampled_from(["stop", "length", "content_filter", "tool_calls"]),
    tool_calls=st.lists(st.builds(ToolCall, name=st.sampled_from("fg") | ANY_TEXT, arguments=ANSWERS)).map(tuple),
    refusal=st.just("") | ANY_TEXT,
)
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "pattern": "^a*$", "format": "uri"}, "b": {"multipleOf": 0.3}},
    "patternProperties": {"^x": {"uniqueItems": True}},
    "additionalProperties": {"anyOf": [{"type": "number"}, {"$ref": "#"}]},
}


def built(**fields: Any) -> Scorer:
    return make_scorer(EvalSettings.model_validate(fields), Path())


SCORERS = {
    "exact": (built(normalize=["nfkc", "strip_punctuation", "casefold"]), Case("x", 1, (), ("bug",))),
    "label": (built(scorer="label", labels=["bug", "other"]), Case("x", 1, (), ("bug",))),
    "contains": (built(scorer="contains"), Case("x", 1, (), ("bug",))),
    "regex": (built(scorer="regex"), Case("x", 1, (), ("b.*g",))),
    "json": (built(scorer="json"), Case("x", 1, (), ({"a": [1, None]}, "[]"))),
    "tool_call": (built(scorer="tool_call"), Case("x", 1, (), (), (ToolCall("f", '{"a": [1]}'),))),
    "sql": (built(scorer="sql"), Case("x", 1, (), ("SELECT a FROM t",))),
}


@pytest.mark.parametrize("name", SCORERS)
@given(completion=COMPLETIONS)
@examples(60)
def test_no_answer_makes_a_scorer_raise(name: str, completion: Completion) -> None:
    """Its result can also be serialized, and a format failure never counts as passed."""
    scorer, case = SCORERS[name]
    assert scorer.check(case) is None
    score = scorer.score(case, completion)
    assert isinstance(score, Score)
    assert not (score.passed and score.format_failure)
    for text in (score.path, score.detail, score.label, score.shape, *scorer.explain(case, completion)):
        text.encode("utf-8")
        assert "\n" not in text
    if score.fields:
        assert 0 <= score.fields[0] <= score.fields[1]


@given(ANSWERS.filter(str.strip), ANY_TEXT.filter(str.strip))
def test_nothing_added_to_a_right_text_leaves_it_right(text: str, more: str) -> None:
    exact = built(normalize=[])
    case = Case("x", 1, (), (text,))
    assert exact.score(case, Completion(text)).passed
    assert not exact.score(case, Completion(text + more)).passed
    assert not exact.score(case, Completion(text[:-1])).passed


@given(JSON)
def test_equality_is_reflexive_however_a_value_is_written(value: Any) -> None:
    scorer, case = built(scorer="json"), Case("x", 1, (), (json.dumps(value),))
    score = scorer.score(case, Completion(json.dumps(value, indent=1, sort_keys=True)))
    assert score.passed
    assert score.fields == (leaves(value), leaves(value))


@given(JSON, JSON)
def test_equality_is_symmetric_and_agrees_with_python_but_for_booleans(one: Any, other: Any) -> None:
    forth, back = list(differences(one, other)), list(differences(other, one))
    assert bool(forth) == bool(back)
    if one != other:
        assert forth
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert not forth


@given(JSON, JSON)
def test_counts_stay_within_the_leaves(expected: Any, got: Any) -> None:
    right, total = field_counts(expected, list(differences(expected, got)))
    assert 0 <= right <= leaves(expected) <= total
    assert (right == total) == (not list(differences(expected, got)))


@given(JSON)
def test_a_shape_is_json_and_says_nothing_of_values(value: Any) -> None:
    text = shape(value)
    assert json.loads(text) is not None
    assert shape(json.loads(json.dumps(value))) == text


@given(JSON)
def test_no_value_makes_a_validation_raise(value: Any) -> None:
    schema = compile_schema(SCHEMA, "x.json")
    first, second = schema.fault(value), schema.fault(value)
    assert (first and first.path) == (second and second.path)


@pytest.mark.parametrize("depth", [200, 900, 5000, 100_000])
@pytest.mark.parametrize("unit", [("[", "]"), ('{"a":', "}"), ("(", ")"), ("-", ""), ("\\", "\\")])
def test_depth_never_crashes(depth: int, unit: Any) -> None:
    text = unit[0] * depth + ("1" if unit[0] != "[" else "") + unit[1] * depth
    completion = Completion(text, tool_calls=(ToolCall("f", text),))
    for scorer, case in SCORERS.values():
        assert not scorer.score(case, completion).passed
        scorer.explain(case, completion)
    assert sys.getrecursionlimit() < 10_000


def test_our_own_eval_set_passes_against_itself_and_its_schema() -> None:
    folder = Path(__file__).parents[2] / "eval_sets"
    scorer = make_scorer(EvalSettings.model_validate({"scorer": "json", "schema": "profile.schema.json"}), folder)
    for line in (folder / "profile.jsonl").read_text(encoding="utf-8").splitlines():
        answer = json.dumps(json.loads(line)["expected"])
        case = Case("x", 1, (), (answer,))
        assert scorer.check(case) is None
        assert scorer.score(case, Completion(answer)).passed
