"""Any schema that loads and any body of a server give a sample with a state and a reason, never an exception."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from examples import examples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import State
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.evaluation import Evaluation
from pytest_finetune.evaluation.plan import plan
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.evaluation.targets.answers import read_http_answer
from pytest_finetune.verdicts.json_schema.validation import compile_schema
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pathlib import Path

BOUNDED = settings(examples(60), derandomize=True, suppress_health_check=list(HealthCheck))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1, 10**30, 10**400, float("nan"), float("inf"), 1e308, -0.0]),
    st.floats(),
    st.text(st.characters(codec=None), max_size=8),
    st.sampled_from(["\ud800", "stop", "length", "tool_calls", "content_filter", "error", "assistant", "[]", "{}"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def maybe(strategy):
    """A value of the right shape or of any other."""
    return st.one_of(strategy, strategy, values)


def record(**fields):
    return maybe(st.fixed_dictionaries({}, optional={name: maybe(field) for name, field in fields.items()}))


usages = record(
    prompt_tokens=st.integers(),
    completion_tokens=st.integers(),
    prompt_tokens_details=record(cached_tokens=st.integers()),
)
calls = record(
    id=st.text(max_size=3), type=st.just("function"), function=record(name=st.text(max_size=3), arguments=scalars)
)
answer_texts = st.one_of(
    values.map(json.dumps),
    st.sampled_from(["[" * 5_000, "1" * 5_000, "1e999", '{"a": 1, "a": 2}', "NaN", '"\\ud800"', "-", "", "{" * 2_000]),
    st.text(st.characters(codec=None), max_size=8),
)
messages = record(
    role=st.just("assistant"), content=answer_texts, refusal=scalars, tool_calls=st.lists(calls, max_size=2)
)
choices = record(message=messages, finish_reason=scalars, index=scalars, error=values, text=scalars)
bodies = record(
    choices=st.lists(choices, max_size=2), usage=usages, model=scalars, error=values, id=scalars, object=scalars
)

KEYWORDS = {
    "type": st.sampled_from(["object", "array", "string", "number", "integer", "null", "boolean"]),
    "enum": st.lists(scalars, min_size=1, max_size=3),
    "const": scalars,
    "minimum": st.integers(),
    "multipleOf": st.sampled_from([1, 0.01, 7, 1e-300, 10**30]),
    "minLength": st.integers(0, 5),
    "pattern": st.sampled_from(["^a", "(a|aa)+$", "\\d", "[^x]*"]),
    "format": st.sampled_from(
        ["date", "email", "uri", "uri-template", "regex", "ipv6", "idn-hostname", "json-pointer"]
    ),
    "required": st.lists(st.text(max_size=3), max_size=2, unique=True),
    "uniqueItems": st.booleans(),
    "maxProperties": st.integers(0, 2),
}


def compound(inner):
    one, many = inner, st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("not", "if", "then", "else", "items", "contains", "propertyNames"), one),
            **dict.fromkeys(("additionalProperties", "unevaluatedProperties", "unevaluatedItems"), one),
            **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), many),
            "properties": st.dictionaries(st.text(max_size=3), inner, max_size=2),
            "dependentSchemas": st.dictionaries(st.text(max_size=3), inner, max_size=2),
        },
    )


schemas = st.recursive(
    st.booleans() | st.fixed_dictionaries({}, optional=KEYWORDS) | st.just({"$ref": "#"}), compound, max_leaves=6
)


def usable(schema):
    try:
        compile_schema(parse_json(json.dumps(schema)), "schema")
    except (ScorerError, JsonFault):
        return False
    return True


def serialized(value):
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b"["


class BodyTarget:
    """A model whose server sends the same body for every request."""

    spec = model = "ft:fuzzed"
    base_url = identity = ""
    immutable, free = False, False

    def __init__(self, body):
        self.body = body

    async def open(self):
        """Nothing to open."""

    async def close(self):
        """Nothing to close."""

    async def ask(self, request, deadline):
        return read_http_answer(200, {}, self.body)


class Source:
    """The planned requests, one after the other."""

    def __init__(self, eval_sets):
        self.planned = iter(plan(eval_sets))

    async def next(self):
        planned = next(self.planned, None)
        return None if planned is None else planned.request("ft:fuzzed")

    def close(self):
        self.planned = iter(())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzzed")


def samples_of(folder: Path, schema, scorer, body):
    """Evaluate one case completely: read, score, price, record, judge, and read its sample back from the record."""
    line = {"id": "a", "input": "question", "expected": "{}"}
    folder.joinpath("t.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    folder.joinpath("s.json").write_text(json.dumps(schema), "utf-8")
    toml = f'scorer = "{scorer}"\n' + ('schema = "s.json"\n' if scorer == "schema" else "")
    folder.joinpath("t.toml").write_text(f"{toml}[[gates]]\nmin = 0.5\n", "utf-8")
    sets = load_eval_sets([folder / "t.jsonl"], root=folder)
    evaluation = Evaluation(BodyTarget(body), sets, Limits(concurrency=1, deadline=20))
    run = evaluation.open_record(RunStore(folder / "runs"), root=folder, keep_files=False)

    async def everything():
        return [sample async for sample in evaluation.request(Source(sets))]

    samples = asyncio.run(everything())
    evaluation.conclude()
    assert list(run.samples().values()) == samples
    return samples, evaluation


@BOUNDED
@given(schemas.filter(usable), bodies, st.sampled_from(["schema", "json", "exact", "regex"]))
@example(
    {"anyOf": [False, {"type": "object"}]},
    {"choices": [{"message": {"content": "5"}, "finish_reason": "stop"}]},
    "schema",
)
@example({}, {"choices": [{"message": {"content": "5"}}], "usage": {"prompt_tokens": 10**400}}, "schema")
def test_every_answer_ends_in_a_sample_with_a_reason(folder, schema, body, scorer):
    samples, evaluation = samples_of(folder, schema, scorer, serialized(body))
    (sample,) = samples
    assert sample.state in (State.PASSED, State.MISSED, State.ERROR)
    if sample.state is State.ERROR:
        assert sample.failure is not None
        assert sample.failure.kind
    else:
        assert sample.score is not None
    assert evaluation.stopped is None or sample.failure == evaluation.stopped
