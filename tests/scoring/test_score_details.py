"""What a score says about a wrong answer, and what is wrong with an expected one, in the words that reports show."""

from __future__ import annotations

import json

import pytest

from pytest_finetune.base.records import Completion, FormatFailure, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.json_schema import validation
from pytest_finetune.verdicts.scoring import sql_statements
from pytest_finetune.verdicts.scoring.scorers import regex, tool_call
from pytest_finetune.verdicts.scoring.sql_statements import SqlFault, statements

CALL_B = ("b", '{"x": 1}')
TOOL = {"type": "function", "function": {"name": "b", "parameters": {"required": ["x"]}}}


@pytest.mark.parametrize(
    ("completion", "kind", "detail"),
    [
        (Completion(""), "empty", "the answer is empty"),
        (Completion(" ", finish_reason="length"), "truncated", "cut off at the token limit before any text"),
        (Completion("", reasoning="hm"), "empty", "reasoning only"),
        (
            Completion("", reasoning="hm", finish_reason="length"),
            "truncated",
            "cut off at the token limit before any answer",
        ),
        (Completion("bu", finish_reason="length"), "truncated", "cut off at the token limit"),
        (Completion("b", finish_reason="content_filter"), "filtered", "the answer was cut off by the content filter"),
        (Completion("", refusal="no"), "refusal", "the model refused: no"),
    ],
)
def test_a_format_failure_has_its_reason(scorer, case, completion, kind, detail):
    score = scorer().score(case("bug"), completion)
    assert (score.format_failure, score.detail) == (kind, detail)


def test_calls_are_no_text(scorer, case, calling):
    score = scorer().score(case("bug"), calling(CALL_B))
    assert (score.format_failure, score.detail) == ("empty", "the model called tools and returned no text")


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        ("```json\n{}\n```", "fenced", "the answer is in a code fence"),
        ("Here it is: {}", "wrapped in prose", "there is text around the JSON"),
        ("Here {it is}: {}", "wrapped in prose", "there is text around the JSON"),
        ("I'm sorry, no.", "refusal", "the model refused: I'm sorry, no."),
    ],
)
def test_why_an_answer_is_not_json(scorer, case, text, kind, detail):
    score = scorer("json").score(case({"a": 1, "b": 2}, {"a": 1}), Completion(text))
    assert (score.format_failure, score.detail, score.fields) == (kind, detail, (0, 2))


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("exact", {}, "no expected text"),
        ("label", {"labels": ["a"]}, "no expected text"),
        ("sql", {}, "no expected text"),
        ("json", {}, "no expected JSON value"),
    ],
)
def test_a_case_that_expects_nothing_is_refused(scorer, case, name, settings, problem):
    made = scorer(name, **settings)
    assert made.check(case()) == problem
    assert made.check(case(calls=[CALL_B])) == f"{problem}, only tool calls; use scorer 'tool_call'"


def test_a_case_that_expects_neither_a_call_nor_a_text_is_refused(scorer, case):
    assert scorer("tool_call").check(case()) == "no expected tool calls"
    assert scorer("tool_call").check(case("a text")) is None


def test_strings_alone_are_normalized_in_json(scorer, case):
    made = scorer("json", normalize=["casefold"])
    assert made.score(case({"a": "X", "n": 1, "z": None}), Completion('{"a": "x", "n": 1, "z": null}')).passed
    assert not made.score(case({"a": "1"}), Completion('{"a": 1}')).passed


def test_the_nearest_value_is_the_one_with_the_largest_share_of_right_leaves(scorer, case):
    score = scorer("json").score(case(dict.fromkeys("abcde", 1), {"a": 1}), Completion('{"a": 1, "b": 1}'))
    assert (score.fields, score.detail) == ((1, 2), "$.b: expected nothing, got 1")


def test_a_wrong_value_has_a_shape_too(scorer, case):
    score = scorer("json").score(case({"a": 1}), Completion('{"a": 2}'))
    assert (score.path, score.shape) == ("$.a", '{"a":"number"}')


@pytest.mark.parametrize("depth", [800, 5000])
@pytest.mark.parametrize(("name", "settings"), [("json", {}), ("schema", {"schema": {"items": {"$ref": "#"}}})])
def test_no_depth_of_nesting_is_an_exception(scorer, case, name, settings, depth):
    deep = "[" * depth + "]" * depth
    score = scorer(name, **settings).score(case({"a": 1, "b": 2}, {"a": 1}), Completion(deep))
    assert isinstance(score, Score)
    assert score.fields == ((0, 2) if name == "json" else None)


def test_an_expected_value_that_is_too_deep_is_refused(scorer, case):
    value = json.loads("[" * 500 + "]" * 500)
    for _ in range(5000):
        value = [value]
    assert scorer("json").check(case(value)) == "expected is nested too deeply"


def test_other_calls_are_named_with_their_shape(scorer, case, calling):
    made = scorer("tool_call")
    score = made.score(case("text"), calling(("a", "{}"), CALL_B))
    assert (score.detail, score.shape) == ("expected no call, got a, b", '{"a":{},"b":{"x":"number"}}')
    score = made.score(case(calls=[CALL_B]), calling(("b", '{"x": 2}')))
    assert (score.path, score.shape) == ("$.b.x", '{"b":{"x":"number"}}')


def test_another_order_of_calls_is_named_with_both(scorer, case, calling):
    score = scorer("tool_call").score(case(calls=[("a", "{}"), CALL_B]), calling(CALL_B, ("a", "{}")))
    assert score.detail == "calls in another order: expected a, b; got b, a"
    assert (score.passed, score.path, score.fields, score.shape) == (False, "$", (2, 2), '{"b":{"x":"number"},"a":{}}')
    many = [(f"call_number_{number}", "{}") for number in range(20)]
    assert len(scorer("tool_call").score(case(calls=many), calling(*many[::-1])).detail) == 200


def test_a_text_in_place_of_calls_is_named(scorer, case):
    made = scorer("tool_call")
    score = made.score(case(calls=[("a", "{}"), CALL_B]), Completion("no call"))
    assert score.detail == "expected a call of a, b, got the text 'no call'"
    assert (score.path, score.fields) == ("$", (0, 2))
    many = [(f"call_number_{number}", "{}") for number in range(20)]
    assert len(made.score(case(calls=many), Completion("no call")).detail) == 200
    cut = made.score(case(calls=[CALL_B]), Completion("I will", finish_reason="length"))
    assert (cut.format_failure, cut.fields) == ("truncated", (0, 1))
    assert made.score(case("text"), Completion("")).fields == (0, 0)


def test_a_call_that_cannot_count_has_no_field_right(scorer, case, calling):
    made = scorer("tool_call")
    assert made.score(case(calls=[CALL_B]), calling(CALL_B, refusal="no")).fields == (0, 1)
    cut = made.score(case(calls=[CALL_B]), calling(("b", '{"x'), finish_reason="length"))
    assert (cut.format_failure, cut.fields) == ("truncated", (0, 1))
    listed = made.score(case(calls=[CALL_B]), calling(("b", "[1]")))
    assert (listed.format_failure, listed.path) == (FormatFailure.WRONG_TYPE, "$.b")
    assert listed.detail == "$.b: arguments are array, not object"
    deep = made.score(case(calls=[CALL_B]), calling(("b", '{"x":' + "[" * 5000 + "]" * 5000 + "}")))
    assert (deep.passed, deep.fields) == (False, (0, 1))


def test_where_a_text_is_expected_texts_are_compared(scorer, case):
    made = scorer("tool_call")
    assert made.explain(case("yes"), Completion("no")) == scorer().explain(case("yes"), Completion("no")) != []


def test_tools_that_are_not_functions_are_ignored(scorer, case, calling):
    tools = [{"type": "web_search"}, {"type": "function", "function": {}}, {"type": "x", "function": "b"}]
    made = scorer("tool_call")
    assert made.score(case(calls=[CALL_B], tools=tools), calling(CALL_B)).passed
    score = made.score(case(calls=[CALL_B], tools=[*tools, TOOL]), calling(("b", "{}")))
    assert score.format_failure is FormatFailure.MISSING_KEY


def test_all_calls_of_an_answer_share_one_time_limit(scorer, case, calling, monkeypatch):
    renewed = []
    for module in (tool_call, validation):
        monkeypatch.setattr(module, "renew_budget", lambda: renewed.append(1))
    made = scorer("tool_call")
    wanted = case(calls=[CALL_B, CALL_B], tools=[TOOL])
    assert made.score(wanted, calling(CALL_B, CALL_B)).passed
    compiled = len(renewed)
    assert made.score(wanted, calling(CALL_B, CALL_B)).passed
    assert len(renewed) - compiled == 1


def test_all_patterns_of_a_case_share_one_time_limit(scorer, case, monkeypatch):
    clock, searches = iter([10.0, 10.0, 10.75, 12.0]), []

    class Pattern:
        def fullmatch(self, text, *, timeout, concurrent):
            searches.append((text, timeout, concurrent))

    monkeypatch.setattr(regex, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(regex, "compiled", lambda _pattern: Pattern())
    assert not scorer("regex").score(case("a", "b", "c"), Completion("x")).passed
    assert searches == [("x", 1.0, True), ("x", 0.25, True), ("x", 0.001, True)]


def test_after_a_pattern_that_took_too_long_no_other_is_tried(scorer, case, monkeypatch):
    tried = []

    class Slow:
        def fullmatch(self, text, **_):
            tried.append(text)
            raise TimeoutError

    monkeypatch.setattr(regex, "compiled", lambda _pattern: Slow())
    score = scorer("regex").score(case("a", "b"), Completion("x"))
    assert (score.detail, len(tried)) == ("the pattern 'a' took longer than 1 s on this answer", 1)


def test_a_pattern_that_another_version_would_read_otherwise_is_taken(scorer, case):
    assert scorer("regex").check(case("[[a]b]")) is None


def test_a_label_is_normalized_as_the_settings_ask(scorer):
    assert scorer("label", labels=["Bug"], normalize=["casefold"]).normalized("BUG") == "bug"


def test_any_expected_statement_is_accepted(scorer, case):
    made = scorer("sql")
    assert made.score(case("SELECT 1", "SELECT 2"), Completion("select 2")).passed
    assert not made.score(case("SELECT 1", "SELECT 2"), Completion("select 3")).passed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (";", "has no statement"),
        ("SELECT 1 FROM", "at line 1, column 13"),
        ("SELECT 'a", "Error tokenizing"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "nested too deeply"),
        ("SELECT 1" + " " * sql_statements.MOST_CHARACTERS, "longer than 100,000 characters"),
    ],
)
def test_why_a_text_is_not_sql(scorer, text, problem):
    with pytest.raises(SqlFault, match=problem) as caught:
        statements(text, scorer("sql").dialect)
    assert "\n" not in str(caught.value)


def test_why_an_answer_is_not_sql_is_shortened(scorer, case, monkeypatch):
    def unread(*_):
        raise SqlFault("x" * 300)

    one = case("SELECT 1")
    assert scorer("sql").check(one) is None
    monkeypatch.setattr(sql_statements, "_parsed", unread)
    assert scorer("sql").score(one, Completion("SELECT")).detail == f"not SQL: {shorten('x' * 300, 160)}"


def test_a_statement_keeps_the_quotes_of_its_dialect(scorer):
    assert statements("select `a b` from t", scorer("sql", dialect="mysql").dialect) == ("SELECT `a b` FROM t",)


def test_statements_of_the_longest_text_are_read(scorer):
    dialect = scorer("sql").dialect
    text = "SELECT 1;; SELECT 2; -- both"
    padded = text + " " * (sql_statements.MOST_CHARACTERS - len(text))
    assert statements(padded, dialect) == statements(text, dialect) == ("SELECT 1", "SELECT 2")


def test_the_longer_a_statement_the_more_steps_it_may_take(scorer, monkeypatch):
    dialect = scorer("sql").dialect
    monkeypatch.setattr(sql_statements, "STEPS", 0)
    assert statements("SELECT a FROM t WHERE a IN (1, 2, 3)", dialect)
    monkeypatch.setattr(sql_statements, "STEPS_PER_TOKEN", 0)
    with pytest.raises(SqlFault, match="takes too long to parse"):
        statements("SELECT 1", dialect)


def test_whatever_the_parser_raises_is_a_fault_of_the_text(scorer, monkeypatch):
    def broken(*_):
        raise KeyError("x")

    monkeypatch.setattr(sql_statements, "_parsed", broken)
    with pytest.raises(SqlFault, match="cannot be parsed: KeyError"):
        statements("SELECT 1", scorer("sql").dialect)
