"""Fixed files: safe fixes are applied, everything else is copied byte for byte, and no fixed code is left."""

from __future__ import annotations

import json

import pytest
from planted_faults import clean_rows, lines, row, sentence

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.fix import FIXED, Fixed, write_fixed

SPACED = b'{ "messages" : [{"role":"user","content":"hi"},{"role":"assistant","content":"caf\\u00e9"}] }'


@pytest.fixture
def source(tmp_path):
    return tmp_path / "train.jsonl"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "fixed.jsonl"


def test_all_safe_fixes_are_applied_and_counted(source, target):
    rows = clean_rows()
    broken = [b'{"torn', b"[1]", b'{"a": "\\udc00"}', b"", json.dumps(rows[5]).encode() + b"\r"]
    source.write_bytes(b"\xef\xbb\xbf" + lines([*rows, *broken, row(sentence(901), " other\n")]))
    fixed = write_fixed(source, target, name="train.jsonl")
    dropped = {"invalid_json": 1, "data_type": 1, "lone_surrogate": 1, "duplicate": 1}
    assert fixed == Fixed("train.jsonl", 121, dropped, 1, ("byte_order_mark", "blank_line", "line_ending"))
    assert json.loads(target.read_bytes().splitlines()[-1]) == row(sentence(901), "other")
    assert check([target]).by_code == {}


def test_rows_without_findings_are_copied_byte_for_byte(source, target):
    source.write_bytes(SPACED + b"\r\n" + lines([row("?", "x")]))
    write_fixed(source, target)
    assert target.read_bytes() == SPACED + b"\n" + lines([row("?", "x")])


def test_unsafe_fixes_are_not_applied(source, target):
    rows = [{"messages": []}, row("hello", "a"), row("hello", "b"), row("", "c"), row("hi", "  ")]
    source.write_bytes(lines(rows))
    write_fixed(source, target)
    assert target.read_bytes() == lines(rows)


def test_a_fixed_file_has_none_of_the_fixed_codes(source, target):
    rows = [*clean_rows(), row(sentence(901), "other "), b"{", clean_rows()[5]]
    source.write_bytes(b"\xef\xbb\xbf" + lines(rows))
    assert set(check([source]).by_code) & set(FIXED)
    write_fixed(source, target)
    assert not set(check([target]).by_code) & set(FIXED)


def test_fix_never_writes_in_place_or_overwrites(source, target):
    source.write_bytes(lines(clean_rows()))
    with pytest.raises(DataError, match="the output file is the input"):
        write_fixed(source, source, force=True)
    target.write_bytes(b"mine")
    with pytest.raises(DataError, match="exists already"):
        write_fixed(source, target)
    assert target.read_bytes() == b"mine"
    write_fixed(source, target, force=True)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"{\n", b"[1]\n"])
def test_fix_writes_nothing_without_a_usable_row(source, target, data):
    source.write_bytes(data)
    with pytest.raises(DataError):
        write_fixed(source, target)
    assert [path.name for path in source.parent.iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize(
    ("padded", "trimmed"),
    [
        ({"instruction": "Say hi", "output": "hi \n"}, {"instruction": "Say hi", "output": "hi"}),
        ({"prompt": "Say hi ", "completion": " hi"}, {"prompt": "Say hi ", "completion": "hi"}),
        ({"input": "Say hi", "output": "hi "}, {"input": "Say hi", "output": "hi"}),
        (
            {"conversations": [{"from": "human", "value": " Say hi"}, {"from": "gpt", "value": "hi "}]},
            {"conversations": [{"from": "human", "value": " Say hi"}, {"from": "gpt", "value": "hi"}]},
        ),
        (
            {
                "input": {"messages": [{"role": "user", "content": "Say hi"}]},
                "preferred_output": [{"role": "assistant", "content": "hi "}],
                "non_preferred_output": [{"role": "assistant", "content": "no"}],
            },
            {
                "input": {"messages": [{"role": "user", "content": "Say hi"}]},
                "preferred_output": [{"role": "assistant", "content": "hi"}],
                "non_preferred_output": [{"role": "assistant", "content": "no"}],
            },
        ),
    ],
)
def test_answers_are_trimmed_in_every_shape(source, target, padded, trimmed):
    source.write_text(json.dumps(padded) + "\n", "utf-8")

    assert write_fixed(source, target).trimmed == 1

    assert json.loads(target.read_text("utf-8")) == trimmed


def test_a_row_whose_question_is_its_answer_is_not_changed_by_a_guess(source, target):
    echo = {"prompt": "hi ", "completion": "hi "}
    source.write_text(json.dumps(echo) + "\n", "utf-8")

    assert write_fixed(source, target).trimmed == 0

    assert json.loads(target.read_text("utf-8")) == echo
