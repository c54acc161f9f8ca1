from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults, read_objects
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset import EvalSet

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = text.filter(bool)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(text, children, max_size=3),
    max_leaves=8,
)
answers = words | st.dictionaries(text, json_values, max_size=3)
plain_cases = st.fixed_dictionaries(
    {"input": text, "expected": answers}, optional={"system": text, "metadata": st.dictionaries(text, json_values)}
)
messages = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["system", "user"]), text
)
chat_cases = st.builds(
    lambda prompt, answer: {"messages": [*prompt, {"role": "assistant", "content": answer}]},
    st.lists(messages, min_size=1, max_size=3),
    words,
)
lines = st.lists(plain_cases | chat_cases, min_size=1, max_size=6)
layouts = st.tuples(st.booleans(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]), st.booleans())


def load(data: bytes, toml: bytes | None = None) -> EvalSet:
    with TemporaryDirectory() as folder:
        path = Path(folder, "set.jsonl")
        path.write_bytes(data)
        if toml is not None:
            path.with_suffix(".toml").write_bytes(toml)
        return load_eval_sets([path], root=Path(folder))[0]


def read(data: bytes) -> tuple[list[Case], str]:
    faults = Faults("set.jsonl")
    reader = CaseReader(faults)
    cases = [case for line, value in read_objects(data, faults) if (case := reader.read(line, value)) is not None]
    assert not faults.found, faults.found
    return cases, reader.cases_sha256()


@given(lines, layouts)
@pytest.mark.slow
def test_valid_cases_round_trip_through_a_file(values: Any, layout: Any) -> None:
    escaped, line_end, mark, last = layout
    written = line_end.join(json.dumps(value, ensure_ascii=escaped) for value in values)
    cases, digest = read((mark + written + line_end * last).encode())
    assert digest == read("".join(json.dumps(value) + "\n" for value in values).encode())[1]
    for value, case in zip(values, cases, strict=True):
        *prompt, answer = value.get("messages", [{"content": value.get("expected")}])
        prompt_messages = prompt or [
            *([{"role": "system", "content": value["system"]}] if "system" in value else []),
            {"role": "user", "content": value["input"]},
        ]
        assert [message.to_wire() for message in case.messages] == prompt_messages
        assert case.expected == (answer["content"],)
        assert case.metadata == value.get("metadata", {})


@given(lines, st.data())
def test_an_inserted_line_changes_no_id(values: Any, data: st.DataObject) -> None:
    written = [json.dumps(value).encode() for value in values]
    before = [case.id for case in read(b"\n".join(written))[0]]
    place = data.draw(st.integers(0, len(written)))
    written.insert(place, b'{"input": "inserted", "expected": "x"}')
    after = [case.id for case in read(b"\n".join(written))[0]]
    assert after[:place] + after[place + 1 :] == before


near_json = st.lists(
    st.sampled_from([*'{}[]":,', "\n", "\\u", "d800", "input", "messages", "role", "expected", "1", "NaN", "\x00", "é"])
).map("".join)
shaped = st.dictionaries(
    st.sampled_from(["id", "tags", "metadata", "messages", "input", "expected", "ideal", "system", "tools", "output"]),
    json_values | st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "weight"]), json_values)),
)
contents = (
    st.binary()
    | near_json.map(str.encode)
    | st.lists(shaped).map(lambda values: "\n".join(map(json.dumps, values)).encode())
)
toml_contents = (
    st.none()
    | st.binary()
    | st.sampled_from(
        [b'scorer = "label"\nlabels = ["a"]', b"[[gates]]\nmin = 1", b"gates = [[]]", b"request = [1]", b"[a.b]\nc = 1"]
    )
)


@given(contents, toml_contents)
@pytest.mark.slow
def test_any_bytes_give_cases_or_faults(data: bytes, toml: bytes | None) -> None:
    try:
        eval_set = load(data, toml)
    except EvalSetErrors as error:
        places = [fault.where for fault in error.faults]
    else:
        places = []
        assert eval_set.cases
        assert all(json.dumps(eval_set.request(case, "m").body()) for case in eval_set.cases)
    assert all(place.startswith("set.") and place.partition(":")[2].isdigit() for place in places)
